"""Billing: what the setup of a test took for itself, without what was made ready in it for all tests.

A server, a schema or a clone is made when the first test asks for it, and so inside that test's setup.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Protocol

from realdb_ci.results.cases import Phase
from realdb_ci.results.suites import Span

Stretches = list[tuple[float, float]]


class Told(Protocol):
    """A test as it is being told."""

    phases: list[Phase]


def unbilled(drafts: Iterable[Told], spans: Sequence[Span]) -> None:
    """Take the stretches that our own steps took off the durations of the setups that they were in.

    Args:
        drafts: the tests; their phases are replaced in place.
        spans: the steps; one counts for the worker that took it.
    """
    if not spans:
        return
    stretches = _by_worker(spans)
    for draft in drafts:
        for number, phase in enumerate(draft.phases):
            if phase.when == "setup" and phase.worker in stretches:
                ours = _shared(phase, stretches[phase.worker])
                if ours:
                    draft.phases[number] = phase._replace(duration=max(phase.duration - ours, 0.0))


def _by_worker(spans: Sequence[Span]) -> dict[str | None, Stretches]:
    """The stretches of each worker in their order; those that overlap are one."""
    found: dict[str | None, Stretches] = {}
    for span in sorted(spans, key=lambda span: span.start):
        stretches = found.setdefault(span.worker, [])
        if stretches and span.start <= stretches[-1][1]:
            start, stop = stretches[-1]
            stretches[-1] = (start, max(stop, span.stop))
        else:
            stretches.append((span.start, span.stop))
    return found


def _shared(phase: Phase, stretches: Stretches) -> float:
    """Seconds of the phase that lie in one of the stretches."""
    seconds = 0.0
    # From the last one that began before the phase did: none before that reaches into it.
    for start, stop in stretches[max(bisect_right(stretches, (phase.start, float("inf"))) - 1, 0) :]:
        if start >= phase.stop:
            break
        seconds += max(min(stop, phase.stop) - max(start, phase.start), 0.0)
    return seconds
