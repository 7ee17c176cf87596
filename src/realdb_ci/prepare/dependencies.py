"""Dependencies: where a project says what its tests need, as arguments for ``uv pip install``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from realdb_ci.errors import EnvironmentProblem
from realdb_ci.prepare import locks

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
        export: arguments for ``uv export``, whose output is then installed too.
        files: the files that decided it, for cache keys and for messages on pins.
        pinned: whether they name the version of every package.
        said: whether they say all there is to say; what a user's own arguments mean is not known.
    """

    source: str
    arguments: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    export: tuple[str, ...] = ()
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
    lock = _upwards(project, workspace, "uv.lock")
    if lock is not None and metadata:
        return Plan(
            "uv.lock", export=_selection(metadata, "--group", "--extra"), files=(lock, pyproject), pinned=True
        )
    for name, roots in (("poetry.lock", locks.poetry_roots), ("pdm.lock", locks.pdm_roots)):
        if (project / name).is_file():
            pins = locks.pins(read_toml(project / name), project)
            arguments = (*_project(metadata), *roots(metadata, TEST_NAMES))
            return Plan(name, arguments, pins, files=_there(project / name, pyproject), pinned=True)
    lists = sorted({*project.glob("requirements*.txt"), *project.glob("requirements/*.txt")})
    if lists:
        chosen = [word for path in lists for word in ("-r", str(path.relative_to(project)))]
        itself = ("--editable", ".") if "build-system" in metadata else ()
        names = ", ".join(str(path.relative_to(project)) for path in lists)
        return Plan(names, (*chosen, *itself), files=(*_included(lists), *_there(pyproject)))
    if metadata:
        return Plan("pyproject.toml", _project(metadata), files=(pyproject,))
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


def _project(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """The project itself, or only what it depends on where it is no package, with its tests' groups and extras."""
    chosen = _selection(metadata, "--group", "--extra")
    groups = _only(chosen, "--group")
    if "build-system" in metadata:
        extras = ",".join(_only(chosen, "--extra")[1::2])
        return ("--editable", f".[{extras}]" if extras else ".", *groups)
    if "project" in metadata:
        return ("-r", "pyproject.toml", *chosen)
    return groups


def _selection(metadata: Mapping[str, Any], group: str, extra: str) -> tuple[str, ...]:
    groups = metadata.get("dependency-groups", {})
    extras = metadata.get("project", {}).get("optional-dependencies", {})
    return (
        *(word for name in TEST_NAMES if name in groups for word in (group, name)),
        *(word for name in TEST_NAMES if name in extras for word in (extra, name)),
    )


def _only(words: Sequence[str], flag: str) -> tuple[str, ...]:
    pairs = zip(words[::2], words[1::2], strict=True)
    return tuple(word for pair in pairs if pair[0] == flag for word in pair)


def _upwards(start: Path, top: Path, name: str) -> Path | None:
    for folder in (start, *start.parents):
        if (folder / name).is_file():
            return folder / name
        if folder == top:
            break
    return None


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
