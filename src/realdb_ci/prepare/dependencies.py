"""Dependencies: where a project says what its tests need, as arguments for uv."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from realdb_ci.prepare import indexes, lists, locks, poetry, pyproject
from realdb_ci.prepare.pyproject import TEST_NAMES

# Arguments by which a user says where packages come from, so that the project's own tool is not asked.
_OF_INDEXES = ("--index", "--default-index", "--extra-index", "--no-index", "--find-links", "-i", "-f")


@dataclass(frozen=True)
class Plan:
    """What to install, and who said so.

    Attributes:
        source: what said so, in words for a person.
        arguments: for ``uv pip install``, run in the project's folder.
        itself: more of them, for the project beside its lists.
        hashed: whether the lists demand a hash of every package; the project itself can have none.
        constraints: lines of a constraints file.
        indexes: arguments that name package indexes of which uv does not know by itself.
        bound: a pyproject.toml that binds packages to indexes, to be installed too; empty for none.
        sync: arguments for ``uv sync`` in the project's folder, in place of all these; None without a lock of uv's.
        files: the files that decided it, for cache keys and for messages on pins.
        pinned: whether they name the version of every package.
        said: whether they say all there is to say; what a user's own arguments mean is not known.
    """

    source: str
    arguments: tuple[str, ...] = ()
    itself: tuple[str, ...] = ()
    hashed: bool = False
    constraints: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    bound: str = ""
    sync: tuple[str, ...] | None = None
    files: tuple[Path, ...] = ()
    pinned: bool = False
    said: bool = True


def plan(project: Path, workspace: Path, install: Sequence[str]) -> Plan:
    """What to install for a project: the first that is there of what was told, lock files, lists, metadata.

    Args:
        project: the project's folder.
        workspace: the checkout; a lock file may lie in any folder between the two.
        install: what the user told, which ends the search.

    Raises:
        EnvironmentProblem: a file cannot be read.
    """
    metadata = pyproject.read(project / "pyproject.toml")
    if install:
        files = _there(project / "pyproject.toml", *lists.included(_named(project, install)))
        found = Plan("the input 'install'", tuple(install), files=files, said=False)
        if any(word.startswith(_OF_INDEXES) for word in install):
            return found
    else:
        lock = _uv_lock(project, workspace)
        if lock is not None and metadata:
            return _of_uv(project, metadata, lock)
        found = _of_lock(project, metadata) or _of_lists(project, metadata) or _of_metadata(project, metadata)
        found = replace(found, bound=indexes.bound(metadata, poetry.sourced(metadata, TEST_NAMES)))
    return replace(found, indexes=indexes.flags(metadata))


def _of_uv(project: Path, metadata: Mapping[str, Any], lock: Path) -> Plan:
    """uv.lock; settings of the workspace it belongs to lie beside it."""
    words = (
        *_flagged("--group", pyproject.groups(metadata)),
        *_flagged("--extra", pyproject.extras(metadata)),
    )
    beside = (project / "pyproject.toml", lock.with_name("pyproject.toml"), lock.with_name("uv.toml"))
    files = _there(lock, *dict.fromkeys(beside))
    return Plan("uv.lock", sync=words, files=files, pinned=True)


def _of_lock(project: Path, metadata: Mapping[str, Any]) -> Plan | None:
    """A lock file of Poetry or PDM. A package brings what it needs itself, with the markers it has for that."""
    main = not pyproject.is_package(project, metadata)
    wanted = {
        "poetry.lock": poetry.roots(metadata, TEST_NAMES, main=main),
        "pdm.lock": locks.pdm_roots(metadata, TEST_NAMES),
    }
    name = next((name for name in wanted if (project / name).is_file()), None)
    if name is None:
        return None
    pins = locks.pins(pyproject.read_toml(project / name), project)
    arguments = (*_project(project, metadata), *wanted[name])
    files = _there(project / name, project / "pyproject.toml")
    return Plan(name, arguments, constraints=pins, files=files, pinned=True)


def _of_lists(project: Path, metadata: Mapping[str, Any]) -> Plan | None:
    """Requirements files, and beside them the project with its extras and groups for tests."""
    listed = lists.of(project)
    if not listed:
        return None
    included = lists.included(listed)
    chosen = [str(path.relative_to(project)) for path in listed]
    told = metadata.get("tool", {}).get("uv", {}).get("pip", {}).get("require-hashes") is True
    return Plan(
        ", ".join(chosen),
        _flagged("-r", chosen),
        itself=(*_project(project, metadata), *_older_tables(project, metadata)),
        hashed=told or lists.demand_hashes(included),
        files=(*included, *_there(project / "pyproject.toml", *pyproject.setuptools(project))),
    )


def _of_metadata(project: Path, metadata: Mapping[str, Any]) -> Plan:
    written = (*_there(project / "pyproject.toml"), *pyproject.setuptools(project))
    if not written:
        return Plan("nothing: the project names no dependencies")
    arguments = (*_project(project, metadata), *_older_tables(project, metadata))
    return Plan(written[0].name, arguments, files=written)


def _project(project: Path, metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """The project itself, or only what it depends on where it is no package, with its tests' groups and extras."""
    groups, extras = _flagged("--group", pyproject.groups(metadata)), pyproject.extras(metadata)
    if pyproject.is_package(project, metadata):
        if not pyproject.tells_extras(metadata):
            # To ask for an extra that is not there is a warning.
            extras = list(TEST_NAMES)
        return ("--editable", f".[{','.join(extras)}]" if extras else ".", *groups)
    if "project" in metadata:
        return ("-r", "pyproject.toml", *groups, *_flagged("--extra", extras))
    return groups


def _older_tables(project: Path, metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """What tests need by tables that are older than the standard ones."""
    main = not pyproject.is_package(project, metadata)
    return (
        *poetry.requirements(metadata, TEST_NAMES, project, main=main),
        *locks.pdm_roots(metadata, TEST_NAMES),
        *metadata.get("tool", {}).get("uv", {}).get("dev-dependencies", ()),
    )


def _flagged(flag: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(word for name in names for word in (flag, name))


def _uv_lock(project: Path, workspace: Path) -> Path | None:
    """The project's own, or that of the uv workspace above which it is a member of."""
    for folder in (project, *project.parents):
        if (folder / "uv.lock").is_file() and (folder == project or project in _members(folder)):
            return folder / "uv.lock"
        if folder == workspace:
            break
    return None


def _members(folder: Path) -> set[Path]:
    """https://docs.astral.sh/uv/concepts/projects/workspaces/."""
    told = pyproject.read(folder / "pyproject.toml").get("tool", {}).get("uv", {}).get("workspace", {})
    patterns = (told.get(word, ()) for word in ("members", "exclude"))
    # Path.glob refuses absolute patterns.
    named, excluded = (
        {folder / path for one in found for path in glob.iglob(one, root_dir=folder)}  # noqa: PTH207
        for found in patterns
    )
    return named - excluded


def _named(project: Path, words: Sequence[str]) -> list[Path]:
    return [project / word for word in words if word.endswith((".txt", ".toml", ".in"))]


def _there(*paths: Path) -> tuple[Path, ...]:
    return tuple(path for path in paths if path.is_file())
