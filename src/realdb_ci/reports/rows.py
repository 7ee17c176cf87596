"""Rows: the table of all tests as data that the page's script reads, column by column."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from realdb_ci.reports.digest import Digest
from realdb_ci.reports.findings import PHASES
from realdb_ci.reports.text import one_line
from realdb_ci.reports.timeline import DAYS, MAIN
from realdb_ci.results import OUTCOMES, Case, Suite

NAME_LIMIT, MESSAGE_LIMIT = 300, 200
TIMED = {when: number for number, when in enumerate(PHASES)}
RANKS = {outcome: rank for rank, outcome in enumerate(OUTCOMES)}
Row = tuple[Suite, Case, str]


def data(digest: Digest, budget: int) -> str:
    """JSON for the script: as many tests as fit, those that failed first.

    There is no ``<`` in it, so nothing in it can end the element that it stands in.
    """
    rows = list(_rows(digest))
    rows.sort(key=lambda row: RANKS[row[2]])
    told = _told(digest)
    number = len(rows)
    while True:
        plain = {**_columns(rows[:number], told), "missing": len(rows) - number}
        text = json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
        if len(text.encode()) <= budget or not number:
            return text
        number //= 2


def _rows(digest: Digest) -> Iterator[Row]:
    for suite, outcomes in digest.outcomes:
        for error in suite.collect_errors:
            yield suite, Case(error.nodeid, error.path, error.line), "error"
        for case, outcome in zip(suite.cases, outcomes, strict=True):
            yield suite, case, outcome


def _told(digest: Digest) -> dict[tuple[str, str], tuple[str, str]]:
    """By project and test: the card that tells of it, and its message."""
    told: dict[tuple[str, str], tuple[str, str]] = {}
    for number, group in enumerate(digest.groups):
        for one in group:
            told.setdefault((one.project, one.nodeid), (f"f{number}", one.message))
    for number, (_, one) in enumerate(digest.retried):
        told.setdefault((one.project, one.nodeid), (f"r{number}", one.message))
    return told


def _columns(rows: Sequence[Row], told: dict[tuple[str, str], tuple[str, str]]) -> dict[str, Any]:
    """One list a column; texts that repeat are numbers in the columns and stand in lists of their own."""
    files, projects, workers = _Numbers(), _Numbers(), _Numbers()
    columns = {
        "name": [_short(case) for _, case, _ in rows],
        "file": [files[case.path] for _, case, _ in rows],
        "project": [projects[suite.project] for suite, _, _ in rows],
        "worker": [workers[(case.phases[0].worker if case.phases else None) or MAIN] for _, case, _ in rows],
        "line": [case.line for _, case, _ in rows],
        # A test that passed was tried once.
        "attempts": [1 if outcome == "passed" else case.attempts for _, case, outcome in rows],
        "outcome": [RANKS[outcome] for _, _, outcome in rows],
    }
    times = zip(*[_times(case) for _, case, _ in rows], strict=True) if rows else [()] * len(PHASES)
    cards, messages = {}, {}
    for number, (suite, case, outcome) in enumerate(rows):
        if outcome != "passed" and (suite.project, case.nodeid) in told:
            cards[number], message = told[suite.project, case.nodeid]
            messages[number] = one_line(message, MESSAGE_LIMIT)
    return {
        **columns,
        **dict(zip(PHASES, times, strict=True)),
        "files": files.texts(),
        "projects": projects.texts(),
        "workers": workers.texts(),
        "outcomes": OUTCOMES,
        "card": cards,
        "message": messages,
    }


class _Numbers(dict[str, int]):
    """Texts by the order in which they came."""

    def __missing__(self, text: str) -> int:
        self[text] = len(self)
        return self[text]

    def texts(self) -> list[str]:
        """The texts, as the page may show them."""
        return [one_line(text, NAME_LIMIT) for text in self]


def _short(case: Case) -> str:
    """The test's name without its file, which stands beside it."""
    path, _, name = case.nodeid.partition("::")
    return one_line(name if name and case.path.endswith(path) else case.nodeid, NAME_LIMIT)


def _times(case: Case) -> list[int]:
    """Setup, call and teardown of all attempts, in tenths of a millisecond; 0 where a clock told nonsense."""
    spent = [0, 0, 0]
    for phase in case.phases:
        column, seconds = TIMED.get(phase.when), phase.duration
        if column is not None and phase.subtest is None and 0 <= seconds < DAYS:
            spent[column] += int(seconds * 10_000 + 0.5)
    return spent
