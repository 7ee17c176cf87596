"""Phases: what the elements of a test say of its attempts, in the terms of pytest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from realdb_ci.foreign.dialects import Dialect
from realdb_ci.foreign.messages import message, reason, step
from realdb_ci.foreign.places import Places
from realdb_ci.foreign.records import Mark, Record
from realdb_ci.foreign.texts import Text
from realdb_ci.results import Phase

STREAMS = {"system-out": "stdout", "system-err": "stderr"}
_COUNTS_SUBTESTS = re.compile(r"contains \d+ failed subtests?$")


def passed(nodeid: str, duration: float, attempt: int = 1) -> Phase:
    """The one phase of a test that passed."""
    return Phase(nodeid, "call", "passed", attempt, None, False, duration)


def phases(nodeid: str, duration: float, record: Record, dialect: Dialect, places: Places) -> tuple[Phase, ...]:
    """The phases of all attempts at a test.

    Args:
        nodeid: its name.
        duration: seconds, as its element tells them.
        record: what its element holds.
        dialect: its producer's.
        places: the checkout.
    """
    skip = next((mark for mark in record.marks if mark.kind == "skipped"), None)
    final = [mark for mark in record.marks if not mark.retried and mark.kind != "skipped"]
    retried = [_phase(nodeid, mark, dialect, places) for mark in record.marks if mark.retried]
    why, expected = reason(skip, dialect) if skip else ("", None)
    if final and expected is None:
        # The element tells the first attempt, and holds those after it.
        first = list(_failed(nodeid, duration, final, dialect, places))
        first[0] = first[0]._replace(sections=first[0].sections + tuple(sections(record.sections, dialect)))
        return (*first, *(one._replace(attempt=attempt) for attempt, one in enumerate(retried, 2)))
    # What it holds came before it.
    before = (one._replace(attempt=attempt, outcome="rerun") for attempt, one in enumerate(retried, 1))
    last = passed(nodeid, duration, len(retried) + 1)
    if skip is not None:
        when = "collect" if skip.message == "collection skipped" else "call"
        last = last._replace(when=when, outcome="skipped", wasxfail=expected, message=why)
    return (*before, last)


def sections(told: Iterable[tuple[str, Text]], dialect: Dialect) -> Iterator[tuple[str, str]]:
    """Captured output as (name, text), without what is empty."""
    for name, text in told:
        kept = dialect.restore(text.whole())
        if kept:
            yield STREAMS[name], kept


def plain(properties: Iterable[tuple[str, str | Text]]) -> Iterator[tuple[str, str]]:
    """Properties as (name, value), wherever the value stood."""
    for name, value in properties:
        yield name, value.whole() if isinstance(value, Text) else value


def _failed(
    nodeid: str, duration: float, marks: Sequence[Mark], dialect: Dialect, places: Places
) -> Iterator[Phase]:
    """What failed in one attempt; where pytest tells several failures of a call, they are its subtests'."""
    calls = sum(mark.kind == "failure" for mark in marks)
    subtests = 0
    for number, mark in enumerate(marks):
        phase = _phase(nodeid, mark, dialect, places)._replace(duration=0.0 if number else duration)
        if dialect.python and calls > 1 and mark.kind == "failure" and not _COUNTS_SUBTESTS.match(mark.message):
            subtests += 1
            phase = phase._replace(subtest=f"subtest {subtests}", duration=0.0)
        yield phase
    if subtests:
        yield passed(nodeid, duration)


def _phase(nodeid: str, mark: Mark, dialect: Dialect, places: Places) -> Phase:
    """What one element says of one attempt that failed."""
    text = dialect.restore(mark.text.whole())
    when, although_passed = step(mark, dialect)
    return Phase(
        nodeid,
        when,
        "failed",
        strict_xpass=although_passed,
        duration=mark.time,
        anchor=places.anchor(text or mark.message, trusted=dialect.python),
        message=message(mark, dialect),
        longrepr=text or dialect.restore(mark.message),
        sections=tuple(sections(mark.sections, dialect)),
    )
