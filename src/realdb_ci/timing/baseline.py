"""Baseline: a suite held against earlier runs of its base branch: what is new, what was known, what is slower."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import median

from realdb_ci.results import BAD, Case, Comparison, Slower, Suite
from realdb_ci.timing.history import Base, History

# A median of fewer runs is moved by a single noisy one, and their spread says next to nothing.
NEEDED_RUNS = 5
# The standard deviation of normally distributed values is 1.4826 times their median absolute deviation.
SIGMA = 1.4826
# A suite has hundreds of tests, each of which may be called slower by chance: three would often be.
SIGMAS = 4.0
# Hosted runners differ from each other by a fifth and more, so a tenth or a quarter is no finding.
FACTOR = 1.5
# Seconds. What takes a few milliseconds doubles whenever the machine looks elsewhere, and nobody would notice.
FLOOR = 0.1
# What is timed again costs time in every run that has any of it.
MOST_AGAIN = 20
MOST_SECONDS_AGAIN = 60.0


def compare(suite: Suite, base: Base) -> Comparison | None:
    """Hold a suite against its base branch.

    A failure is known where every run of the newest base commit that ran the test failed in it too: a majority of
    all runs would excuse what the base has mended since, and one run among several of one commit is a flaky test.
    It is new where the base has not failed, or has not had the test; but where runs hold only a share of the tests,
    one that none of them had is neither.

    Args:
        suite: what ran now.
        base: what is known of the base branch.

    Returns:
        The comparison, with everything that looks slower as ``unsure`` until it is timed again; None where there is
        no earlier run.
    """
    history = base.history
    if not history.runs or suite.project != base.project:
        return None
    failing = [error.nodeid for error in suite.collect_errors]
    failing += [case.nodeid for case in suite.cases if not case.finished or case.outcome in BAD]
    failing = list(dict.fromkeys(failing))
    known = tuple(nodeid for nodeid in failing if _failed_before(nodeid, history))
    judged = [nodeid for nodeid in failing if base.whole or any(history.of(nodeid))]
    timed = [(case, durations(case.nodeid, history)) for case in suite.cases if case.outcome == "passed"]
    enough = [(case, before) for case, before in timed if len(before) >= NEEDED_RUNS]
    return Comparison(
        tuple(run.commit for run in history.runs),
        base.branch,
        known,
        tuple(nodeid for nodeid in judged if nodeid not in set(known)),
        unsure=tuple(sorted(_slower(enough), key=lambda one: one.before - one.now)),
        enough=bool(enough),
        needed=NEEDED_RUNS,
        note=base.note,
    )


def suspects(comparison: Comparison) -> tuple[str, ...]:
    """The tests to time again, those first that lost most; no more than is worth the time it takes."""
    chosen: list[str] = []
    seconds = 0.0
    for one in comparison.unsure:
        if len(chosen) < MOST_AGAIN and seconds + one.now <= MOST_SECONDS_AGAIN:
            chosen.append(one.nodeid)
            seconds += one.now
    return tuple(chosen)


def settled(comparison: Comparison, again: Mapping[str, float]) -> Comparison:
    """The comparison once tests were timed again: one that was beyond its limit both times is slower.

    Args:
        comparison: as ``compare`` made it.
        again: seconds by test; a test that is not in it was not timed, and stays unsure.
    """
    timed = [replace(one, again=again[one.nodeid]) for one in comparison.unsure if one.nodeid in again]
    return replace(
        comparison,
        slower=tuple(one for one in timed if one.again is not None and one.again > _limit(one.before, one.spread)),
        unsure=tuple(one for one in comparison.unsure if one.nodeid not in again),
    )


def durations(nodeid: str, history: History) -> list[float]:
    """How long a test took wherever it passed: failing and trying again take a time of their own."""
    return [past.duration for _, past in history.of(nodeid) if past.outcome == "passed"]


def _failed_before(nodeid: str, history: History) -> bool:
    ran = list(history.of(nodeid))
    newest = [past for run, past in ran if run.commit == ran[0][0].commit]
    return bool(newest) and all(past.outcome in BAD for past in newest)


def _slower(timed: Sequence[tuple[Case, Sequence[float]]]) -> Iterator[Slower]:
    for case, before in timed:
        middle = median(before)
        spread = SIGMA * median(abs(one - middle) for one in before)
        if case.duration > _limit(middle, spread):
            yield Slower(case.nodeid, middle, spread, case.duration)


def _limit(middle: float, spread: float) -> float:
    """Seconds that no test of this median and spread exceeds unless something has changed."""
    return max(middle + SIGMAS * spread, FACTOR * middle, middle + FLOOR)
