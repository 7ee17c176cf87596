"""Cases: one test with the phases of all its attempts, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

# Worst first; also the order in which reports count them.
OUTCOMES = ("failed", "error", "flaky", "passed", "xpassed", "xfailed", "skipped")
BAD = frozenset({"failed", "error"})
# Where only these failed, the test is an error: what it checks was never asked, or had been answered.
ERRORS = frozenset({"setup", "teardown", "error"})


@dataclass(frozen=True, slots=True)
class Anchor:
    """A line of the project: path from the root of the repository, line counted from 1."""

    path: str
    line: int | None


@dataclass(frozen=True, slots=True)
class Repeat:
    """A statement that one line of the project sent again and again in one phase.

    Attributes:
        shape: the statement without its values.
        count: how often; ``seconds`` is the time it took altogether.
        path: the line's file, from the root of the repository; ``line`` is counted from 1.
    """

    shape: str
    count: int
    seconds: float = 0.0
    path: str = ""
    line: int | None = None


class Phase(NamedTuple):
    """One step of one attempt at a test, or one subtest in it.

    A tuple, because a run has hundreds of thousands: making one takes a third of a frozen dataclass's time.

    Attributes:
        nodeid: the test's name; see ``Case``.
        when: setup, call, teardown; collect for a module skipped as a whole; ??? where a worker crashed; error for
            what a foreign file calls an error, without the step it was in.
        outcome: passed, failed, skipped or rerun (failed, and tried again).
        attempt: counted from 1.
        wasxfail: the reason of an expected failure, or None where none was expected.
        strict_xpass: failed because it passed.
        duration: seconds; ``start`` and ``stop`` are seconds since the epoch.
        worker: the xdist worker, or None.
        anchor: the deepest line inside the repository that the failure went through, or None.
        message: one line; ``longrepr`` is the whole text.
        sections: captured output, as (name, text).
        subtest: what tells it from the test's other subtests, or None for the test itself.
        place: where the test is written.
        queries: how many statements it sent to databases; ``query_seconds`` is the time they took there.
        repeats: the statements that one line sent again and again.
    """

    nodeid: str
    when: str
    outcome: str
    attempt: int = 1
    wasxfail: str | None = None
    strict_xpass: bool = False
    duration: float = 0.0
    start: float = 0.0
    stop: float = 0.0
    worker: str | None = None
    anchor: Anchor | None = None
    message: str = ""
    longrepr: str = ""
    sections: tuple[tuple[str, str], ...] = ()
    subtest: str | None = None
    place: Anchor | None = None
    queries: int = 0
    query_seconds: float = 0.0
    repeats: tuple[Repeat, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One test with the phases of all its attempts.

    Attributes:
        nodeid: pytest's name for the test; for one of a foreign file, its class and name joined by ``::``.
        path: its file, from the root of the repository; empty where nobody said.
        line: its line counted from 1, or None where nobody said.
        phases: in the order they ended.
        finished: False where pytest ended before the test did.
        properties: what the test noted about itself, as (name, value).
        attachments: files that belong to the test, as its producer named them.
    """

    nodeid: str
    path: str
    line: int | None = None
    phases: tuple[Phase, ...] = ()
    finished: bool = True
    properties: tuple[tuple[str, str], ...] = ()
    attachments: tuple[str, ...] = ()

    @property
    def attempts(self) -> int:
        """How often it was tried."""
        return max((phase.attempt for phase in self.phases), default=1)

    @property
    def last(self) -> tuple[Phase, ...]:
        """The phases of the attempt that counts."""
        return tuple(phase for phase in self.phases if phase.attempt == self.attempts)

    @property
    def failures(self) -> tuple[Phase, ...]:
        """What failed in the attempt that counts: each failed phase and subtest on its own."""
        failed = tuple(phase for phase in self.last if phase.outcome == "failed")
        if any(phase.subtest for phase in failed):
            # The test's own report then only counts them; unlike a failure of its own it points nowhere.
            failed = tuple(one for one in failed if one.subtest or one.when != "call" or one.anchor)
        return failed

    @property
    def retried(self) -> tuple[Phase, ...]:
        """What failed in earlier attempts."""
        return tuple(
            one for one in self.phases if one.outcome in ("rerun", "failed") and one.attempt < self.attempts
        )

    @property
    def outcome(self) -> str:
        """One of OUTCOMES. A failed setup or teardown, and a test that never ended, is an error."""
        if self.finished and all(_plainly_passed(phase) for phase in self.phases):
            return "passed"
        failures = self.failures
        if any(phase.when not in ERRORS for phase in failures):
            return "failed"
        if failures or not self.finished:
            return "error"
        own = [phase for phase in self.last if phase.subtest is None]
        skipped = next((phase for phase in own if phase.outcome == "skipped" and phase.when != "teardown"), None)
        if skipped is not None:
            return "skipped" if skipped.wasxfail is None else "xfailed"
        if any(phase.wasxfail is not None for phase in own):
            return "xpassed"
        return "flaky" if self.retried else "passed"

    @property
    def queries(self) -> int:
        """How many statements the attempt that counts sent to databases; fixtures' among them."""
        return sum(phase.queries for phase in self.last)

    @property
    def query_seconds(self) -> float:
        """The time they took there."""
        return sum(phase.query_seconds for phase in self.last)

    @property
    def repeats(self) -> tuple[Repeat, ...]:
        """What one line sent again and again in the attempt that counts."""
        return tuple(one for phase in self.last for one in phase.repeats)

    @property
    def duration(self) -> float:
        """Seconds in all phases of all attempts."""
        return sum(phase.duration for phase in self.phases if phase.subtest is None)

    def seconds(self, when: str) -> float:
        """Seconds in one phase (setup, call or teardown) of all attempts; subtests are inside the call."""
        return sum(phase.duration for phase in self.phases if phase.when == when and phase.subtest is None)


def _plainly_passed(phase: Phase) -> bool:
    """Whether nothing has to be said of it; most phases are like this, so it is asked first."""
    return phase.outcome == "passed" and phase.attempt == 1 and phase.wasxfail is None
