"""Dependencies: where a project says what its tests need, as arguments for ``uv pip install``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from realdb_ci.errors import EnvironmentProblem
from realdb_ci.prepare import locks, poetry

# Names under which projects keep what only their tests need.
TEST_NAMES = ("test", "tests", "testing", "dev")
_INCLUDE = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[\s=]+(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Plan:
    """What to install, and who said so.

    Attributes:
        source: what said so, in words for a person.
        arguments: for ``uv pip install``, run in the project's folder.
        constraints: lines of a constraints file.
        root: where relative paths of the export start: the folder of the lock file.
        export: arguments for ``uv export``, whose output is then installed too; None for no export.
        files: the files that decided it, for cache keys and for messages on pins.
        pinned: whether they name the version of every package.
        said: whether they say all there is to say; what a user's own arguments mean is not known.
    """

    source: str
    arguments: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    root: Path | None = None
    export: tuple[str, ...] | None = None
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
    pyproject = project / "pyproject.toml"
    metadata = read_toml(pyproject)
    if install:
        files = _there(pyproject, *_included(_named(project, install)))
        return Plan("the input 'install'", tuple(install), files=files, said=False)
    lock = _uv_lock(project, workspace)
    if lock is not None and metadata:
        exported = (*_flagged("--group", _groups(metadata)), *_flagged("--extra", _extras(metadata)))
        return Plan("uv.lock", root=lock.parent, export=exported, files=(lock, pyproject), pinned=True)
    for name, roots in (("poetry.lock", poetry.roots), ("pdm.lock", locks.pdm_roots)):
        if (project / name).is_file():
            pins = locks.pins(read_toml(project / name), project)
            arguments = (*_project(project, metadata), *roots(metadata, TEST_NAMES))
            return Plan(name, arguments, pins, files=_there(project / name, pyproject), pinned=True)
    lists = sorted({*project.glob("requirements*.txt"), *project.glob("requirements/*.txt")})
    if lists:
        chosen = [word for path in lists for word in ("-r", str(path.relative_to(project)))]
        itself = ("--editable", ".") if _is_package(project, metadata) else ()
        names = ", ".join(str(path.relative_to(project)) for path in lists)
        return Plan(names, (*chosen, *itself), files=(*_included(lists), *_there(pyproject)))
    written = (*_there(pyproject), *_setuptools(project))
    if written:
        arguments = (*_project(project, metadata), *_older_tables(project, metadata))
        return Plan(written[0].name, arguments, files=written)
    return Plan("nothing: the project names no dependencies")


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
        raise EnvironmentProblem(
            f"{path.name} of the project cannot be read", why=str(problem), remedy="Mend that file."
        ) from None


def _project(project: Path, metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """The project itself, or only what it depends on where it is no package, with its tests' groups and extras."""
    groups, extras = _groups(metadata), _extras(metadata)
    if _is_package(project, metadata):
        if "project" not in metadata and "poetry" not in metadata.get("tool", {}):
            # What setup.py offers only running it would tell; to ask for an extra that is not there is a warning.
            extras = list(TEST_NAMES)
        return ("--editable", f".[{','.join(extras)}]" if extras else ".", *_flagged("--group", groups))
    if "project" in metadata:
        return ("-r", "pyproject.toml", *_flagged("--group", groups), *_flagged("--extra", extras))
    return _flagged("--group", groups)


def _is_package(project: Path, metadata: Mapping[str, Any]) -> bool:
    """Whether it can be installed; each tool has a word of its own for a project that is only worked in."""
    tool = metadata.get("tool", {})
    words = (("uv", "package"), ("poetry", "package-mode"), ("pdm", "distribution"))
    told = [tool.get(name, {}).get(word) for name, word in words]
    return False not in told and ("build-system" in metadata or bool(_setuptools(project)) or True in told[:1])


def _setuptools(project: Path) -> tuple[Path, ...]:
    """What made a package before there was pyproject.toml."""
    configuration = project / "setup.cfg"
    describes = configuration.is_file() and "[metadata]" in configuration.read_text(
        encoding="utf-8", errors="replace"
    )
    return _there(project / "setup.py", *([configuration] if describes else []))


def _older_tables(project: Path, metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """What tests need by tables that are older than the standard ones."""
    return (
        *poetry.requirements(metadata, TEST_NAMES, project, main=not _is_package(project, metadata)),
        *locks.pdm_roots(metadata, TEST_NAMES),
        *metadata.get("tool", {}).get("uv", {}).get("dev-dependencies", ()),
    )


def _groups(metadata: Mapping[str, Any]) -> list[str]:
    groups = metadata.get("dependency-groups", {})
    default = metadata.get("tool", {}).get("uv", {}).get("default-groups", ())
    names = dict.fromkeys((*TEST_NAMES, *(groups if default == "all" else default)))
    return [name for name in names if name in groups]


def _extras(metadata: Mapping[str, Any]) -> list[str]:
    poetrys = metadata.get("tool", {}).get("poetry", {}).get("extras", {})
    known = {**metadata.get("project", {}).get("optional-dependencies", {}), **poetrys}
    return [name for name in TEST_NAMES if name in known]


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
    told = read_toml(folder / "pyproject.toml").get("tool", {}).get("uv", {}).get("workspace", {})
    named, excluded = (
        {path for pattern in told.get(word, ()) for path in folder.glob(pattern)} for word in ("members", "exclude")
    )
    return named - excluded


def _named(project: Path, words: Sequence[str]) -> list[Path]:
    return [project / word for word in words if word.endswith((".txt", ".toml", ".in"))]


def _included(lists: Iterable[Path]) -> tuple[Path, ...]:
    """These requirements files and those that they name, at any depth."""
    found: dict[Path, None] = {}
    waiting = [path for path in lists if path.is_file()]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found[path] = None
            named = _INCLUDE.findall(path.read_text(encoding="utf-8", errors="replace"))
            waiting += [there for name in named if (there := path.parent / name).is_file()]
    return tuple(found)


def _there(*paths: Path) -> tuple[Path, ...]:
    return tuple(path for path in paths if path.is_file())
