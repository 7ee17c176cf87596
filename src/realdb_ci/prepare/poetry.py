"""Poetry: what a project asks for in Poetry's own tables, as any installer reads it.

Poetry's own words for versions are the caret, the tilde and a bare version, which means that one alone:
https://python-poetry.org/docs/dependency-specification/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from realdb_ci.prepare import locks

_OWN = re.compile(r"(\^|~|)\s*v?((\d+(?:\.\d+)*)[\w.*+!-]*)")
_AND = re.compile(r"\s*,\s*|\s+(?=[<>=!~^])")
_OR = re.compile(r"\s*\|\|?\s*")
_COMPARED = re.compile(r"([<>=!~]*)\s*(.+)")


def roots(metadata: Mapping[str, Any], test_names: Sequence[str], *, main: bool) -> tuple[str, ...]:
    """What the project's tests ask for, by name: for whoever has the versions from a lock file.

    Args:
        metadata: the content of pyproject.toml.
        test_names: the groups to take.
        main: whether to take what the project itself asks for, too.
    """
    return _lines(_named(name, one) for name, one in _all(metadata, test_names, main=main))


def requirements(
    metadata: Mapping[str, Any], test_names: Sequence[str], project: Path, *, main: bool
) -> tuple[str, ...]:
    """What the project's tests ask for, with the versions they take.

    Args:
        metadata: the content of pyproject.toml.
        test_names: the groups to take.
        project: the folder that paths in it start from.
        main: whether to take what the project itself asks for, too.
    """
    return _lines(_named(name, one, _version(one, project)) for name, one in _all(metadata, test_names, main=main))


def sourced(metadata: Mapping[str, Any], test_names: Sequence[str]) -> list[tuple[str, str, str, str]]:
    """Requirement without a version, name, marker and source of all that is to come from a source of that name.

    Args:
        metadata: the content of pyproject.toml.
        test_names: the groups to take.
    """
    found = _all(metadata, test_names, main=True)
    return [(_named(name, one), name, _marker(one), str(one["source"])) for name, one in found if "source" in one]


def _all(
    metadata: Mapping[str, Any], test_names: Sequence[str], *, main: bool
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    tables = [_poetry(metadata).get("dependencies", {})] if main else []
    tables += _groups(metadata, test_names)
    return (found for table in tables for found in _wanted(table))


def _poetry(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = metadata.get("tool", {}).get("poetry", {})
    return found


def _groups(metadata: Mapping[str, Any], test_names: Sequence[str]) -> list[Mapping[str, Any]]:
    groups = _poetry(metadata).get("group", {})
    return [
        _poetry(metadata).get("dev-dependencies", {}),
        *(groups[name].get("dependencies", {}) for name in test_names if name in groups),
    ]


def _wanted(table: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, value in table.items():
        for one in value if isinstance(value, list) else [value]:
            plain = one if isinstance(one, dict) else {"version": str(one)}
            if name != "python" and not plain.get("optional"):
                yield name, plain


def _lines(found: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found))


def _named(name: str, one: Mapping[str, Any], version: str = "") -> str:
    extras = f"[{','.join(one['extras'])}]" if one.get("extras") else ""
    marker = _marker(one)
    return f"{name}{extras}{version}{' ; ' * bool(marker)}{marker}"


def _marker(one: Mapping[str, Any]) -> str:
    """What Poetry's own keys say of where a package is wanted, as the standard marker."""
    platforms = (_compared("sys_platform", text) for text in _OR.split(str(one.get("platform", ""))) if text)
    pythons = (_python(text) for text in _OR.split(str(one.get("python", ""))) if text)
    told = [text for text in (str(one.get("markers", "")), " or ".join(platforms), " or ".join(pythons)) if text]
    return told[0] if len(told) == 1 else " and ".join(f"({text})" for text in told)


def _python(text: str) -> str:
    clauses = [clause for clause in specifier(text).split(",") if clause]
    # Any Python, as one alternative among others, has to be said, too.
    return " and ".join(
        _compared("python_full_version" if clause.count(".") > 1 else "python_version", clause)
        for clause in clauses or [">=3"]
    )


def _compared(variable: str, text: str) -> str:
    found = _COMPARED.fullmatch(text.strip())
    operator, value = found.groups() if found else ("", text)
    return f"{variable} {operator or '=='} '{value}'"


def _version(one: Mapping[str, Any], project: Path) -> str:
    if "git" in one:
        revision = next((str(one[word]) for word in ("rev", "tag", "branch") if word in one), "")
        return f" @ {locks.repository(str(one['git']), revision, one.get('subdirectory'))}"
    if "path" in one:
        return f" @ {(project / str(one['path'])).resolve().as_uri()}"
    if "url" in one:
        return f" @ {one['url']}"
    return specifier(str(one.get("version", "*")))


def specifier(text: str) -> str:
    """A constraint of Poetry's as Python's packaging standards write it, empty where anything will do.

    Alternatives (``||``) have no such form; then anything does.
    """
    if "|" in text or text.strip() == "*":
        return ""
    return ",".join(_clause(part) for part in _AND.split(text.strip()) if part)


def _clause(text: str) -> str:
    found = _OWN.fullmatch(text)
    if found is None:
        return text.replace(" ", "")
    operator, version = found[1], found[2]
    if not operator:
        return f"=={version}"
    numbers = [int(one) for one in found[3].split(".")]
    if operator == "^":  # up to the next of the first number that is not zero
        last = next((at for at, one in enumerate(numbers) if one), len(numbers) - 1)
    else:  # up to the next minor version, or major where there is no minor one
        last = min(1, len(numbers) - 1)
    above = ".".join(map(str, [*numbers[:last], numbers[last] + 1]))
    return f">={version},<{above}"
