"""Timeline: where the time of a run went, as bars in lanes, one lane a worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from realdb_ci.results import Results, Server, Span, Suite

# Shorter stretches are seen in no chart; longer ones, or later ones, are a broken clock's.
SHOWN_SECONDS, DAYS = 0.001, 30 * 86_400.0
MAIN, SERVERS = "main", "servers"
# The recorder's own step, see ``Recorder``.
COLLECTION = "collection"


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
    began = _origin(results)
    bars = [*_boots(results, began), *(bar for suite in results.suites for bar in _bars(suite, began))]
    return tuple(bar for bar in bars if bar.stop - bar.start >= SHOWN_SECONDS and 0 <= bar.start < bar.stop < DAYS)


def reporting(results: Results, since: float, until: float) -> tuple[Bar, ...]:
    """The bar of the report itself, as far as it has come; times are seconds since the epoch, 0 is never."""
    began = _origin(results)
    bar = Bar("", "report", "report", since - began, until - began)
    return (bar,) if since and began and bar.stop - bar.start >= SHOWN_SECONDS and 0 <= bar.start < DAYS else ()


def booted(results: Results) -> tuple[Server, ...]:
    """The servers that were started for this run, each once: suites share them."""
    owned = (server for suite in results.suites for server in suite.servers if server.owned and server.ready)
    return tuple({(server.service, server.ready): server for server in owned}.values())


def steps(results: Results) -> tuple[Step, ...]:
    """All steps that were recorded, those that took longest first."""
    lasted: dict[str, list[float]] = {}
    for suite in results.suites:
        for span in suite.spans:
            if 0 <= span.stop - span.start < DAYS:
                lasted.setdefault(_label(span), []).append(span.stop - span.start)
    found = (Step(name, len(all_), sum(all_), max(all_)) for name, all_ in lasted.items())
    return tuple(sorted(found, key=lambda step: -step.total))


def _origin(results: Results) -> float:
    """When the first thing of all began, seconds since the epoch."""
    starts = [suite.start for suite in results.suites]
    starts += [span.start for suite in results.suites for span in suite.spans]
    starts += [server.ready - server.seconds for server in booted(results)]
    return min(filter(None, starts), default=0.0)


def _boots(results: Results, began: float) -> Iterator[Bar]:
    for server in booted(results):
        start = server.ready - server.seconds - began
        yield Bar("", SERVERS, f"start {server.service}", start, server.ready - began)


def _bars(suite: Suite, began: float) -> Iterator[Bar]:
    lanes: dict[str, list[Bar]] = {}
    tests = _tests(suite)
    first = min((start for start, _, _ in tests.values()), default=None)
    last = max((stop for _, stop, _ in tests.values()), default=None)
    if first is not None and last is not None and not any(span.name == COLLECTION for span in suite.spans):
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
        lanes.setdefault(MAIN, []).append(Bar(suite.project, MAIN, "end", last, suite.start + suite.duration))
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
