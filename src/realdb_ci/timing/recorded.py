"""Recorded: a baseline from events files of earlier runs, for where no cache service keeps one."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from realdb_ci import results
from realdb_ci.errors import SettingError
from realdb_ci.results import Results
from realdb_ci.timing.history import Base, History, Run

REMEDY = "Name events.jsonl files of earlier runs; put a pattern in quotes."
Recorded = tuple[tuple[str, Results], ...]


def read(patterns: Sequence[str]) -> Recorded:
    """Read the events files that these patterns match, each once, with the names they were found by.

    Raises:
        SettingError: a pattern matches no file, or a file is something else.
    """
    found: dict[str, Results] = {}
    for pattern in patterns:
        matches = glob.glob(pattern, recursive=True)  # noqa: PTH207 - it may be absolute
        names = sorted(name for name in matches if Path(name).is_file())
        if not names:
            raise SettingError(f"The baseline {pattern!r} cannot be used", why="no file matches it", remedy=REMEDY)
        for name in names:
            found[name] = _read(name)
    return tuple(found.items())


def base(recorded: Recorded, project: str) -> Base:
    """What these files tell of a project. All of them count: two may be the shards of one run."""
    runs = [
        Run.of(suite, name)
        for name, told in recorded
        for suite in told.suites
        if suite.project == project and (suite.cases or suite.collect_errors)
    ]
    return Base(project, History(tuple(sorted(runs, key=lambda run: run.age, reverse=True))))


def _read(name: str) -> Results:
    try:
        told = results.read(Path(name))
    except OSError as problem:
        why = problem.strerror or str(problem)
    else:
        if any(suite.project for suite in told.suites):
            return told
        why = "it is no events file"
    raise SettingError(f"The baseline {name!r} cannot be used", why=why, remedy=REMEDY)
