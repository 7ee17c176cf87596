"""Indexes: the package indexes that Poetry and PDM know for a project, in uv's words.

Where a private package were looked up on the public index, anybody could put one of its name there. So what the
project names goes first, and the public index counts only where the project's own tool would ask it:
https://python-poetry.org/docs/repositories/, https://pdm-project.org/latest/usage/config/. Names of indexes are
kept, so that uv finds their credentials in UV_INDEX_<NAME>_USERNAME and UV_INDEX_<NAME>_PASSWORD.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_PUBLIC = "pypi"
# The order in which Poetry asks; "explicit" ones are asked only for the packages that name them.
_PRIORITIES = ("default", "primary", "secondary", "supplemental")


def flags(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """What tells uv of the indexes that any package may come from.

    uv has no index after the default one, so that Poetry's supplemental indexes are asked before the public one,
    too. An index that has a package in other versions only does not end the search.

    Args:
        metadata: the content of pyproject.toml.
    """
    ranked = _of_poetry(metadata)
    named = [one for one in ranked if "url" in one]
    only = any(_priority(one) in _PRIORITIES[:2] for one in named) and len(named) == len(ranked)
    last = [named.pop()] if only else []
    for one in _sources(metadata, "pdm"):
        if "url" in one:
            (last if _is_public(one) else named).append(one)
    words = [*_flagged("--index", named), *_flagged("--default-index", last)]
    return (*words, "--index-strategy", "unsafe-first-match") if named else tuple(words)


def bound(metadata: Mapping[str, Any], wanted: Sequence[tuple[str, str, str, str]]) -> str:
    """A pyproject.toml for uv that binds packages to the one index each that Poetry would take them from.

    Args:
        metadata: the content of pyproject.toml.
        wanted: for each such package its requirement, name, marker and the name of its source.

    Returns:
        The file's text; empty where no package is bound to an index.
    """
    urls = {str(one.get("name")): str(one["url"]) for one in _sources(metadata, "poetry") if "url" in one}
    found = [one for one in wanted if one[3] in urls]
    if not found:
        return ""
    places: dict[str, list[str]] = {}
    for _, name, marker, source in found:
        told = f", marker = {json.dumps(marker)}" if marker else ""
        places.setdefault(name, []).append(f"{{ index = {json.dumps(_plain(source))}{told} }}")
    tables = [
        f"[[tool.uv.index]]\nname = {json.dumps(_plain(source))}\nurl = {json.dumps(urls[source])}\nexplicit = true"
        for source in dict.fromkeys(one[3] for one in found)
    ]
    return "\n".join(
        [
            '[project]\nname = "bound-to-indexes"\nversion = "0"',
            f"dependencies = {json.dumps(list(dict.fromkeys(one[0] for one in found)))}",
            "[tool.uv.sources]",
            *(f"{json.dumps(name)} = [{', '.join(dict.fromkeys(told))}]" for name, told in places.items()),
            *tables,
            "",
        ]
    )


def _of_poetry(metadata: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those that any package may come from, in the order in which Poetry asks; the public one has no address."""
    general = [one for one in _sources(metadata, "poetry") if _priority(one) in _PRIORITIES]
    told = [one for one in general if "url" in one or _is_public(one)]
    return sorted(told, key=lambda one: _PRIORITIES.index(_priority(one)))


def _priority(source: Mapping[str, Any]) -> str:
    """Before Poetry 1.5 there were flags."""
    flagged = next((name for name in ("default", "secondary") if source.get(name) is True), "primary")
    return str(source.get("priority", flagged)).lower()


def _is_public(source: Mapping[str, Any]) -> bool:
    return str(source.get("name")).lower() == _PUBLIC


def _sources(metadata: Mapping[str, Any], tool: str) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = metadata.get("tool", {}).get(tool, {}).get("source", [])
    return found


def _flagged(flag: str, sources: Sequence[Mapping[str, Any]]) -> list[str]:
    return [word for one in sources for word in (flag, f"{_plain(str(one.get('name')))}={one['url']}")]


def _plain(name: str) -> str:
    """The name as uv takes it."""
    return re.sub(r"[^\w.-]+", "-", name)
