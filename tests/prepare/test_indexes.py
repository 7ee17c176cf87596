"""What Poetry and PDM say of package indexes, in uv's words."""

from __future__ import annotations

import tomllib

import pytest

from realdb_ci.prepare import indexes, poetry

BOTH = ("--index-strategy", "unsafe-first-match")


def _source(name: str, *more: str, url: bool = True, tool: str = "poetry") -> str:
    address = [f'url = "https://{name}.example.org/simple"'] if url else []
    return "\n".join([f"[[tool.{tool}.source]]", f'name = "{name}"', *address, *more, ""])


def _named(name: str) -> str:
    return f"{name}=https://{name}.example.org/simple"


A, B = _source("a"), _source("b", 'priority = "supplemental"')
CASES = {
    "one primary source takes the public index's place": (A, ("--default-index", _named("a"))),
    "a default one does": (_source("a", "default = true"), ("--default-index", _named("a"))),
    "the public one beside it": (
        A + _source("PyPI", 'priority = "primary"', url=False),
        ("--index", _named("a"), *BOTH),
    ),
    "supplemental": (B, ("--index", _named("b"), *BOTH)),
    "secondary": (_source("b", "secondary = true"), ("--index", _named("b"), *BOTH)),
    "supplemental after primary": (B + A, ("--index", _named("a"), "--default-index", _named("b"), *BOTH)),
    "explicit": (_source("a", 'priority = "explicit"'), ()),
    "PDM's own": (_source("a", tool="pdm"), ("--index", _named("a"), *BOTH)),
    "PDM's public one": (_source("pypi", tool="pdm"), ("--default-index", _named("pypi"))),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_sources_are_asked_as_their_tool_asks_them(text: str, expected: tuple[str, ...]) -> None:
    """The public index is asked only where the tool would ask it."""
    assert indexes.flags(tomllib.loads(text)) == expected


def test_package_is_bound_to_its_source_with_its_marker() -> None:
    """One source for each platform, in the tables that uv reads; a source that is not described binds nothing."""
    tables = (
        '[tool.poetry.dependencies]\nidna = "*"\nplain = {version = "1", source = "pypi"}\n'
        'torch = [{version = "^2", source = "a", platform = "linux"}, {version = "^2", source = "b", '
        "markers = \"sys_platform == 'darwin'\"}]\n"
    )
    metadata = tomllib.loads(tables + A + B)
    found = tomllib.loads(indexes.bound(metadata, poetry.sourced(metadata, ["dev"])))
    markers = ["sys_platform == 'linux'", "sys_platform == 'darwin'"]
    assert found["project"]["dependencies"] == [f"torch ; {marker}" for marker in markers]
    bound = [{"index": name, "marker": marker} for name, marker in zip("ab", markers, strict=True)]
    assert found["tool"]["uv"]["sources"] == {"torch": bound}
    assert [(one["name"], one["explicit"]) for one in found["tool"]["uv"]["index"]] == [("a", True), ("b", True)]
    assert indexes.bound({}, []) == ""
