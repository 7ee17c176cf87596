"""Digest: what all reports tell of a run, found once, however many tests there were."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from realdb_ci.reports.findings import NOTICEABLE_SECONDS, Finding, findings, folded, grouped, of_phase
from realdb_ci.reports.timeline import Bar, timeline
from realdb_ci.results import Case, Problem, Repeat, Results, Suite

MOST_SLOW = 20


@dataclass(frozen=True)
class Digest:
    """A run, and what is worth telling of it.

    Attributes:
        results: the run.
        began: when reporting began, seconds since the epoch; 0 where nobody asks.
    """

    results: Results
    began: float = 0.0

    @cached_property
    def outcomes(self) -> tuple[tuple[Suite, tuple[str, ...]], ...]:
        """The outcome of each of a suite's cases, in their order."""
        return tuple((suite, tuple(case.outcome for case in suite.cases)) for suite in self.results.suites)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Everything that failed: what stopped modules first, then the tests in the order they ran."""
        return tuple(finding for suite in self.results.suites for finding in findings(suite))

    @cached_property
    def groups(self) -> tuple[tuple[Finding, ...], ...]:
        """The same in groups: what one broken fixture or server stopped is together."""
        return grouped(self.findings)

    @cached_property
    def folded(self) -> tuple[Finding, ...]:
        """The first of each group."""
        return tuple(map(folded, self.groups))

    @cached_property
    def retried(self) -> tuple[tuple[Case, Finding], ...]:
        """The flaky cases, each with the first failure of an earlier attempt."""
        return tuple(
            (case, of_phase(suite.project, case, case.retried[0]))
            for suite, case in self._again
            if case.outcome == "flaky" and case.retried
        )

    @cached_property
    def repeats(self) -> tuple[tuple[Case, Repeat], ...]:
        """What one line sent again and again, each line once: with the test where it did so most often."""
        found: dict[tuple[str, int | None], tuple[Case, Repeat]] = {}
        for case in self.results.cases:
            for one in case.repeats:
                known = found.get((one.path, one.line))
                if known is None or known[1].count < one.count:
                    found[one.path, one.line] = case, one
        return tuple(sorted(found.values(), key=lambda pair: (-pair[1].count, pair[1].path, pair[1].line or 0)))

    @cached_property
    def slowest(self) -> tuple[Case, ...]:
        """The cases that took longest, longest first; at most as many as any report shows."""
        longest = heapq.nlargest(MOST_SLOW, self.results.cases, key=lambda case: case.duration)
        return tuple(case for case in longest if case.duration >= NOTICEABLE_SECONDS)

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """The problems of all suites, each once: two workers that lacked a server lacked one server."""
        return tuple(dict.fromkeys(problem for suite in self.results.suites for problem in suite.problems))

    @cached_property
    def timeline(self) -> tuple[Bar, ...]:
        """Where the time went."""
        return timeline(self.results)

    @property
    def _again(self) -> Iterator[tuple[Suite, Case]]:
        """The cases with more than one attempt."""
        for suite in self.results.suites:
            for case in suite.cases:
                if any(phase.attempt > 1 for phase in case.phases):
                    yield suite, case
