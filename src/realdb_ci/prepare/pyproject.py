"""pyproject.toml of the tested project: read with its shape checked; what it says of packages, groups, extras."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from realdb_ci.errors import EnvironmentProblem

# Names under which projects keep what only their tests need.
TEST_NAMES = ("test", "tests", "testing", "dev")
# What must stand at the places that we read, a star for any name or place in a list; other places are their tools'.
_SHAPES: Mapping[tuple[type, ...], tuple[str, ...]] = {
    (dict,): (
        *("tool", "tool.uv", "tool.uv.pip", "tool.uv.workspace", "tool.pdm", "tool.pdm.source.*"),
        *("project", "project.optional-dependencies", "dependency-groups", "tool.pdm.dev-dependencies"),
        *("tool.poetry", "tool.poetry.dependencies", "tool.poetry.dev-dependencies", "tool.poetry.extras"),
        *("tool.poetry.group", "tool.poetry.group.*", "tool.poetry.group.*.dependencies", "tool.poetry.source.*"),
    ),
    (list,): (
        *("project.dynamic", "tool.uv.dev-dependencies", "tool.uv.workspace.*"),
        *("tool.poetry.source", "tool.pdm.source", "tool.pdm.dev-dependencies.*"),
    ),
    (str,): (
        *("tool.uv.dev-dependencies.*", "tool.uv.default-groups.*", "tool.uv.workspace.*.*"),
        "tool.pdm.dev-dependencies.*.*",
    ),
    (list, str): ("tool.uv.default-groups",),
}
_WORDS: Mapping[type, str] = {dict: "a table", list: "a list", str: "a text"}


def read(path: Path) -> dict[str, Any]:
    """The content of a pyproject.toml, empty where there is none.

    Raises:
        EnvironmentProblem: it is not TOML, or something else than its standards say stands in it.
    """
    content = read_toml(path)
    for kinds, places in _SHAPES.items():
        for place in places:
            if any(not isinstance(value, kinds) for value in _at(content, place.split("."))):
                raise _unreadable(path, f"{place} is to be {' or '.join(_WORDS[kind] for kind in kinds)}")
    return content


def read_toml(path: Path) -> dict[str, Any]:
    """The file's content, empty where there is no file.

    Raises:
        EnvironmentProblem: it is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as problem:
        raise _unreadable(path, str(problem)) from None


def is_package(project: Path, metadata: Mapping[str, Any]) -> bool:
    """Whether it can be installed; each tool has a word of its own for a project that is only worked in."""
    tool = metadata.get("tool", {})
    words = (("uv", "package"), ("poetry", "package-mode"), ("pdm", "distribution"))
    told = [tool.get(name, {}).get(word) for name, word in words]
    if False in told:
        return False
    # Without a build-system setuptools builds, for whoever has set it up.
    of_setuptools = bool(setuptools(project)) or ("project" in metadata and "setuptools" in tool)
    return "build-system" in metadata or of_setuptools or True in told[:1]


def setuptools(project: Path) -> tuple[Path, ...]:
    """What made a package before there was pyproject.toml."""
    script, configuration = project / "setup.py", project / "setup.cfg"
    describes = configuration.is_file() and "[metadata]" in configuration.read_text(
        encoding="utf-8", errors="replace"
    )
    return (*([script] if script.is_file() else ()), *([configuration] if describes else ()))


def groups(metadata: Mapping[str, Any]) -> list[str]:
    """The dependency groups to install: those that the project itself has uv install, else those for tests.

    Groups may conflict with one another, so that none is added to those that the project has chosen.
    """
    known = metadata.get("dependency-groups", {})
    chosen = metadata.get("tool", {}).get("uv", {}).get("default-groups", TEST_NAMES)
    return [name for name in (known if chosen == "all" else chosen) if name in known]


def extras(metadata: Mapping[str, Any]) -> list[str]:
    """The project's own extras for tests, of those that pyproject.toml lists."""
    poetrys = metadata.get("tool", {}).get("poetry", {}).get("extras", {})
    known = {**metadata.get("project", {}).get("optional-dependencies", {}), **poetrys}
    return [name for name in TEST_NAMES if name in known]


def tells_extras(metadata: Mapping[str, Any]) -> bool:
    """Whether pyproject.toml lists the extras; otherwise only building the project would tell them."""
    project = metadata.get("project")
    if project is None:
        return "poetry" in metadata.get("tool", {})
    return "optional-dependencies" not in project.get("dynamic", ())


def _at(value: Any, steps: Sequence[str]) -> Iterator[Any]:
    if not steps:
        yield value
        return
    inside = value
    if isinstance(value, list):
        inside = dict(enumerate(value)) if steps[0] == "*" else {}
    if isinstance(inside, dict):
        for name in inside if steps[0] == "*" else {steps[0]} & inside.keys():
            yield from _at(inside[name], steps[1:])


def _unreadable(path: Path, why: str) -> EnvironmentProblem:
    return EnvironmentProblem(f"{path.name} of the project cannot be read", why=why, remedy="Mend that file.")
