"""The story of ``realdb-ci report``: files found, read, put together, reported, one number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from realdb_ci import github, reports, results, sources
from realdb_ci.config import repository_root
from realdb_ci.errors import SettingError
from realdb_ci.results import Problem, Results, Suite
from realdb_ci.timing import recorded
from realdb_ci.timing.baseline import compare

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Order:
    """What ``realdb-ci report`` was told.

    Attributes:
        words: files, folders and patterns.
        out: the folder for the reports.
        environ: the environment, read at the door.
        baseline: patterns of events files of earlier runs, to compare with.
    """

    words: Sequence[str]
    out: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    baseline: Sequence[str] = ()


def report(order: Order, console: Console) -> int:
    """Report what was recorded before, here or elsewhere.

    Returns:
        0 green, 1 tests failed, none found or a file could not be read, and what else the recorded runs ended with.

    Raises:
        SettingError: no such file, none that can be reported, or no place for the reports.
    """
    root = repository_root(Path.cwd())
    before = recorded.read(order.baseline)
    found = sources.find(order.words, order.out)
    told = [part for source in found if (part := sources.read(source, root)) is not None]
    if not told:
        raise SettingError(
            f"None of the {len(found)} files found is an events file or JUnit XML",
            why=f"the first one is {str(found[0].path)!r}" if found else "there was none",
            remedy="Name the files that a test run wrote.",
        )
    merged = _noticed(results.merge(_compared(part, before) for part in told))
    _make(order.out)
    reports.publish(merged, order.out, console, github.read(order.environ, root))
    return merged.exit_code


def _compared(part: Results, before: recorded.Recorded) -> Results:
    """The part held against earlier runs; what it says about others itself stays, where there are none of these."""
    suites = (
        replace(suite, comparison=compare(suite, recorded.base(before, suite.project)) or suite.comparison)
        for suite in part.suites
    )
    return Results(tuple(suites)) if before else part


def _noticed(merged: Results) -> Results:
    """Files of other producers that hold no test at all are no reason to be content."""
    if merged.exit_code or merged.cases:
        return merged
    nothing = Problem("No test was found", why="the files hold suites without tests", exit_code=1)
    first, *others = merged.suites or (Suite("no suite", exitstatus=0),)
    return Results((replace(first, problems=(*first.problems, nothing)), *others))


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise SettingError(
            f"The output folder {str(out)!r} cannot be used", why=str(problem), remedy="Choose another with --out."
        ) from None
