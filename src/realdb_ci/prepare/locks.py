"""Locks: what Poetry's and PDM's lock files pin, for an installer that knows neither.

The pins become constraints, and the project's own lists say what is wanted at all; so markers and extras are
resolved by the installer, which older lock files leave no other way to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def pins(lock: Mapping[str, Any], project: Path) -> tuple[str, ...]:
    """One constraint a locked package; a package locked in several versions at once is left to the resolver.

    Args:
        lock: the content of poetry.lock or pdm.lock.
        project: the folder that paths in it start from.
    """
    packages = [one for one in lock.get("package", ()) if isinstance(one, dict) and "name" in one]
    versions = Counter(str(one["name"]).lower() for one in packages if not one.get("extras"))
    lines = (_pin(one, project) for one in packages if versions[str(one["name"]).lower()] == 1)
    return tuple(dict.fromkeys(line for line in lines if line))


def pdm_roots(metadata: Mapping[str, Any], test_names: Sequence[str]) -> tuple[str, ...]:
    """What PDM's table of development dependencies asks for; the rest stands in standard tables."""
    table = metadata.get("tool", {}).get("pdm", {}).get("dev-dependencies", {})
    return tuple(root for name in test_names for root in table.get(name, ()) if not root.startswith("-e"))


def repository(address: str, revision: str, folder: str | None) -> str:
    """A package in a repository of git, as a requirement names it.

    Args:
        address: a URL, or ``user@host:path`` as for scp, which is none.
        revision: a commit, tag or branch; empty for the newest.
        folder: where the package lies in it, None for its top.
    """
    if "://" not in address:
        address = f"ssh://{address.replace(':', '/', 1)}"
    place = f"#subdirectory={folder}" if folder else ""
    return f"git+{address}{'@' * bool(revision)}{revision}{place}"


def _pin(package: Mapping[str, Any], project: Path) -> str:
    name = str(package["name"])
    source = package.get("source") or {}
    # Poetry describes a source in a table of its own, PDM among the package's own keys.
    git, revision = source.get("url"), source.get("resolved_reference")
    if source.get("type") not in ("git", None):
        git = None
    git, revision = package.get("git", git), package.get("revision", revision)
    if git and revision:
        folder = package.get("subdirectory") or source.get("subdirectory")
        return f"{name} @ {repository(str(git), str(revision), folder)}"
    path = package.get("path") or (source.get("url") if source.get("type") in ("directory", "file") else None)
    if path:
        return f"{name} @ {(project / path).resolve().as_uri()}"
    url = package.get("url") or (source.get("url") if source.get("type") == "url" else None)
    if url:
        return f"{name} @ {url}"
    return f"{name}=={package['version']}" if "version" in package else ""
