"""Timeline: where the time of a run went, as bars in lanes, one lane a worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from realdb_ci.results import Results, Span, Suite

# Shorter stretches are seen in no chart; longer ones, or later ones, are a broken clock's.
SHOWN_SECONDS, DAYS = 0.001, 30 * 86_400.0
MAIN = "main"


@dataclass(frozen=True)
class Bar:
    """A stretch of time in a lane.

    Attributes:
        project: the suite's name.
        lane: the xdist worker, or ``main``.
        label: what was done.
        start: seconds since the run began; ``stop`` likewise.
        tests: how many tests it stands for; 0 for everything that is no test.
    """

    project: str
    lane: str
    label: str
    start: float
    stop: float
    tests: int = 0


@dataclass(frozen=True)
class Step:
    """What one kind of step before or around tests took.

    Attributes:
        name: what was done, such as ``schema postgres``.
        times: how often.
        total: seconds of all together; ``longest`` of one.
    """

    name: str
    times: int
    total: float
    longest: float


def timeline(results: Results) -> tuple[Bar, ...]:
    """The bars of all suites, in the order they began within each lane.

    Steps that many tests repeat are inside the tests' own bars and have none of theirs.
    """
    began = min((suite.start for suite in results.suites if suite.start), default=0.0)
    bars = [bar for suite in results.suites for bar in _bars(suite, began)]
    return tuple(bar for bar in bars if bar.stop - bar.start >= SHOWN_SECONDS and 0 <= bar.start < bar.stop < DAYS)


def steps(results: Results) -> tuple[Step, ...]:
    """All steps that were recorded, those that took longest first."""
    lasted: dict[str, list[float]] = {}
    for suite in results.suites:
        for span in suite.spans:
            if 0 <= span.stop - span.start < DAYS:
                lasted.setdefault(_label(span), []).append(span.stop - span.start)
    found = (Step(name, len(all_), sum(all_), max(all_)) for name, all_ in lasted.items())
    return tuple(sorted(found, key=lambda step: -step.total))


def _bars(suite: Suite, began: float) -> Iterator[Bar]:
    lanes: dict[str, list[Bar]] = {}
    tests = _tests(suite)
    first = min((start for start, _, _ in tests.values()), default=None)
    last = max((stop for _, stop, _ in tests.values()), default=None)
    if first is not None and last is not None:
        lanes[MAIN] = [Bar(suite.project, MAIN, "start and collection", suite.start, first)]
    often = Counter((span.worker, _label(span)) for span in suite.spans)
    for span in suite.spans:
        if often[span.worker, _label(span)] == 1:
            lane = span.worker or MAIN
            lanes.setdefault(lane, []).append(Bar(suite.project, lane, _label(span), span.start, span.stop))
    for lane, (start, stop, number) in tests.items():
        words = f"{number} test" + "s" * (number != 1)
        lanes.setdefault(lane, []).append(Bar(suite.project, lane, words, start, stop, number))
    if last is not None:
        lanes[MAIN].append(Bar(suite.project, MAIN, "end", last, suite.start + suite.duration))
    # gw2 before gw10.
    for _, bars in sorted(lanes.items(), key=lambda item: (item[0] != MAIN, len(item[0]), item[0])):
        for bar in sorted(bars, key=lambda one: one.start):
            yield Bar(bar.project, bar.lane, bar.label, bar.start - began, bar.stop - began, bar.tests)


def _tests(suite: Suite) -> dict[str, tuple[float, float, int]]:
    """From when to when each worker ran tests, and how many."""
    lanes: dict[str, tuple[float, float, int]] = {}
    for case in suite.cases:
        # The clock of a worker that crashed tells nothing.
        timed = [phase for phase in case.phases if phase.start]
        if timed:
            lane = timed[0].worker or MAIN
            start, stop, number = lanes.get(lane, (timed[0].start, 0.0, 0))
            lanes[lane] = (min(start, timed[0].start), max(stop, timed[-1].stop), number + 1)
    return lanes


def _label(span: Span) -> str:
    return f"{span.name} {span.detail}".strip()
