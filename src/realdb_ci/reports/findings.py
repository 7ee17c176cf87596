"""Findings: everything a reader has to act on, in one shape, whatever went wrong."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from realdb_ci.reports.text import seconds
from realdb_ci.results import BAD, Case, CollectError, Phase, Results, Suite

PHASES = ("setup", "call", "teardown")
# Below this nobody gains by making a test faster.
NOTICEABLE_SECONDS = 0.001
HEADLINES = {
    "passed": "All tests passed",
    "failed": "Tests failed",
    "incomplete": "The run did not succeed",
    "bad setting": "A setting cannot be used",
    "no server": "A server or the environment could not be had",
    "interrupted": "The run was interrupted",
}


@dataclass(frozen=True)
class Finding:
    """One failure or error.

    Attributes:
        project: the suite's name.
        nodeid: pytest's name for the test or module.
        kind: failed, setup error, teardown error, collection error, subtest failed, strict xpass, still running.
        path: where to look, from the root of the repository; ``line`` is counted from 1, None where nobody knows.
        message: one line.
        longrepr: the whole text.
        sections: captured output, as (name, text).
        subtest: the subtest's description, or empty.
        others: how many more tests could not be set up for the same reason (see ``folded``).
    """

    project: str
    nodeid: str
    kind: str
    path: str
    line: int | None = None
    message: str = ""
    longrepr: str = ""
    sections: tuple[tuple[str, str], ...] = ()
    subtest: str = ""
    others: int = 0

    @property
    def place(self) -> str:
        """``path:line``, as editors and terminals open it."""
        return self.path if self.line is None else f"{self.path}:{self.line}"

    @property
    def name(self) -> str:
        """The test's name with its subtest, and how many others share its fate."""
        name = f"{self.nodeid} [{self.subtest}]" if self.subtest else self.nodeid
        return f"{name} and {self.others} more" if self.others else name


def findings(results: Results) -> tuple[Finding, ...]:
    """All findings: what stopped modules first, then the tests in the order they ran."""
    return tuple(finding for suite in results.suites for finding in _of_suite(suite))


def folded(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings with one broken fixture or server as one, however many tests it stopped."""
    kept: dict[tuple[str, ...], Finding] = {}
    for finding in found:
        key: tuple[str, ...] = (finding.project, finding.kind, finding.message)
        if finding.kind != "setup error":
            key = (*key, finding.name)
        known = kept.get(key)
        kept[key] = finding if known is None else replace(known, others=known.others + 1)
    return tuple(kept.values())


def headline(results: Results) -> str:
    """The verdict as a sentence with its counts and the time it took."""
    verdict = results.verdict
    if verdict == "failed" and not any(results.counts[outcome] for outcome in BAD):
        verdict = "incomplete"
    return f"{HEADLINES[verdict]}: {counted(results)} in {seconds(results.duration)}"


def retried(results: Results) -> tuple[tuple[Case, Finding], ...]:
    """The flaky cases, each with the first failure of an earlier attempt."""
    return tuple(
        (case, _of_phase(suite.project, case, case.retried[0]))
        for suite in results.suites
        for case in suite.cases
        if case.outcome == "flaky" and case.retried
    )


def slowest(results: Results, number: int) -> tuple[Case, ...]:
    """The cases that took longest, longest first."""
    timed = (case for case in results.cases if case.duration >= NOTICEABLE_SECONDS)
    return tuple(heapq.nlargest(number, timed, key=lambda case: case.duration))


def counted(suite: Suite | Results) -> str:
    """``2 failed, 1 flaky, 5 passed``: the outcomes there were, worst first."""
    words = [f"{number} {outcome}" for outcome, number in suite.counts.items() if number]
    words = [f"{word}s" if word.endswith("error") and word != "1 error" else word for word in words]
    suites = [suite] if isinstance(suite, Suite) else suite.suites
    missed = sum(len(one.not_run) for one in suites)
    return ", ".join([*words, *([f"{missed} not run"] if missed else [])]) or "no tests"


def ending(suite: Suite) -> str:
    """How pytest ended, where the tests' outcomes do not say it; else empty."""
    if suite.returncode is not None and suite.returncode < 0:
        return f"pytest was ended by signal {-suite.returncode}"
    if suite.returncode is not None:
        return f"pytest's process ended with code {suite.returncode} before pytest did"
    if suite.interrupted:
        return "the run was interrupted"
    if suite.exitstatus is None:
        return "pytest never came to its end"
    if suite.exitstatus > 1 or (suite.exitstatus == 1 and not any(suite.counts[outcome] for outcome in BAD)):
        meanings = {2: "interrupted", 3: "internal error", 4: "usage error", 5: "no tests collected"}
        return f"pytest ended with status {suite.exitstatus} ({meanings.get(suite.exitstatus, 'set by a plugin')})"
    return ""


def _of_suite(suite: Suite) -> Iterator[Finding]:
    for error in suite.collect_errors:
        yield _of_module(suite.project, error)
    for case in suite.cases:
        for phase in case.failures:
            yield _of_phase(suite.project, case, phase)
        if not case.finished and not case.failures:
            message = "This test was still running when pytest ended."
            yield Finding(suite.project, case.nodeid, "still running", case.path, case.line, message)


def _of_module(project: str, error: CollectError) -> Finding:
    return Finding(project, error.nodeid, "collection error", error.path, error.line, error.message, error.longrepr)


def _of_phase(project: str, case: Case, phase: Phase) -> Finding:
    kind = f"{phase.when} error" if phase.when in ("setup", "teardown") else "failed"
    kind = "strict xpass" if phase.strict_xpass else "subtest failed" if phase.subtest else kind
    path, line = (phase.anchor.path, phase.anchor.line) if phase.anchor else (case.path, case.line)
    return Finding(
        project,
        case.nodeid,
        kind,
        path,
        line,
        _message(phase),
        "" if phase.strict_xpass else phase.longrepr,
        phase.sections,
        phase.subtest or "",
    )


def _message(phase: Phase) -> str:
    if not phase.strict_xpass:
        return phase.message
    reason = phase.message.partition("]")[2].strip()
    return "It passed, although it is marked as an expected failure" + (f": {reason}" if reason else ".")
