"""Versus: what a comparison with the base branch says, in sentences and numbers that every report has the same."""

from __future__ import annotations

import re
from collections.abc import Iterator

from realdb_ci.reports.text import one_line, seconds
from realdb_ci.results import Comparison, Slower

MOST_COMMITS = 10
NAME_LIMIT = 60
SHA = re.compile("[0-9a-f]{40}")


def sentences(comparison: Comparison) -> Iterator[str]:
    """Which runs it was compared with, and what cannot be said."""
    number = len(comparison.commits)
    names = list(dict.fromkeys(map(_short, comparison.commits)))
    more = f" and {len(names) - MOST_COMMITS} more" if len(names) > MOST_COMMITS else ""
    whose = one_line(comparison.branch, NAME_LIMIT) or "the base branch"
    yield f"Compared with {_counted(number, 'run')} of {whose}: {', '.join(names[:MOST_COMMITS])}{more}."
    if not comparison.enough:
        few = f"{_counted(number, 'run')}, {comparison.needed} needed"
        missing = few if number < comparison.needed else f"no test passed in {comparison.needed} of the runs"
        yield f"Not enough data to tell slower tests ({missing})."
    if comparison.unsure:
        looks = "test looks" if len(comparison.unsure) == 1 else "tests look"
        yield f"{len(comparison.unsure)} {looks} slower, with not enough data to tell: not timed again."
    if comparison.note:
        yield one_line(comparison.note)


def cells(one: Slower) -> tuple[str, str, str]:
    """Before, now and again, as people read them."""
    again = "" if one.again is None else seconds(one.again)
    return f"{seconds(one.before)} ± {seconds(one.spread)}", seconds(one.now), again


def _short(commit: str) -> str:
    """A commit as git shortens it; any other name as it is."""
    return commit[:7] if SHA.fullmatch(commit) else one_line(commit, NAME_LIMIT)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
