"""Lists: which requirements files of a project are for its tests, and what else they name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

_PATTERNS = ("requirements*.txt", "*-requirements.txt", "requirements/*.txt", "tests/requirements*.txt")
# Words of a list's path that say that it is for tests, and those of a list that all others build upon.
_FOR_TESTS = frozenset({"test", "tests", "testing", "dev", "ci"})
_PLAIN = frozenset({"requirements", "base", "common"})
_INCLUDE = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[\s=]+(\S+)", re.MULTILINE)
_BOUND = re.compile(r"^\s*(?:-c|--constraint)[\s=]+(\S+)", re.MULTILINE)
_HASHES = re.compile(r"^\s*--require-hashes\b", re.MULTILINE)


def of(project: Path) -> list[Path]:
    """Those to install: where some are for tests by their names, these and the plain one, else all of them.

    What another list names as constraints asks for nothing by itself.
    """
    found = sorted({path for pattern in _PATTERNS for path in project.glob(pattern)})
    bounds = {(path.parent / name).resolve() for path in found for name in _BOUND.findall(_text(path))}
    asking = [path for path in found if path.resolve() not in bounds]
    chosen = [path for path in asking if _words(path, project) & _FOR_TESTS]
    return [path for path in asking if path in chosen or _words(path, project) <= _PLAIN] if chosen else asking


def included(lists: Iterable[Path]) -> tuple[Path, ...]:
    """These requirements files and those that they name, at any depth."""
    found: dict[Path, None] = {}
    waiting = [path for path in lists if path.is_file()]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found[path] = None
            waiting += [there for name in _INCLUDE.findall(_text(path)) if (there := path.parent / name).is_file()]
    return tuple(found)


def demand_hashes(lists: Iterable[Path]) -> bool:
    """Whether one of them says that each package must have a hash.

    Args:
        lists: with those that they include.
    """
    return any(_HASHES.search(_text(path)) for path in lists)


def _words(path: Path, project: Path) -> frozenset[str]:
    below = path.relative_to(project).with_suffix("").as_posix().lower()
    return frozenset(re.split(r"[^a-z0-9]+", below))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
