"""Findings: everything a reader has to act on, in one shape, whatever went wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from realdb_ci.reports.text import seconds
from realdb_ci.results import BAD, Anchor, Case, CollectError, Phase, Results, Suite

PHASES = ("setup", "call", "teardown")
KINDS = {"setup": "setup error", "teardown": "teardown error", "error": "error"}
# Below this nobody gains by making a test faster.
NOTICEABLE_SECONDS = 0.001
NEW, KNOWN = "new", "known"
ALSO = "also failing on the base"
HEADLINES = {
    "passed": "All tests passed",
    "empty": "Nothing was run",
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
        own: where the test itself is written.
        others: how many more tests could not be set up for the same reason (see ``folded``).
        standing: NEW or KNOWN on the base branch, empty where it was not compared.
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
    own: Anchor | None = None
    others: int = 0
    standing: str = ""

    @property
    def place(self) -> str:
        """``path:line``, as editors and terminals open it."""
        return self.path if self.line is None else f"{self.path}:{self.line}"

    @property
    def name(self) -> str:
        """The test's name with its subtest, and how many others share its fate."""
        name = f"{self.nodeid} [{self.subtest}]" if self.subtest else self.nodeid
        return f"{name} and {self.others} more" if self.others else name

    @property
    def tagged(self) -> str:
        """Its kind, and that it is nothing new where it is not."""
        return f"{self.kind}, {ALSO}" if self.standing == KNOWN else self.kind


def findings(suite: Suite, outcomes: Iterable[str]) -> Iterator[Finding]:
    """What failed in a suite: what stopped modules first, then the tests in the order they ran.

    Args:
        suite: the suite.
        outcomes: those of its cases, in their order.
    """
    told = suite.comparison
    if told is None:
        yield from _found(suite, outcomes)
        return
    standings = {**dict.fromkeys(told.new, NEW), **dict.fromkeys(told.known, KNOWN)}
    for finding in _found(suite, outcomes):
        yield replace(finding, standing=standings.get(finding.nodeid, ""))


def _found(suite: Suite, outcomes: Iterable[str]) -> Iterator[Finding]:
    for error in suite.collect_errors:
        yield _of_module(suite.project, error)
    for case, outcome in zip(suite.cases, outcomes, strict=True):
        if outcome not in BAD:
            continue
        failures = case.failures
        for phase in failures:
            yield of_phase(suite.project, case, phase)
        if not case.finished and not failures:
            message = "This test was still running when pytest ended."
            own = Anchor(case.path, case.line)
            yield Finding(suite.project, case.nodeid, "still running", own.path, own.line, message, own=own)


def of_phase(project: str, case: Case, phase: Phase) -> Finding:
    """The finding that a failed phase is."""
    kind = KINDS.get(phase.when, "failed")
    kind = "strict xpass" if phase.strict_xpass else "subtest failed" if phase.subtest else kind
    own = Anchor(case.path, case.line)
    place = phase.anchor or own
    return Finding(
        project,
        case.nodeid,
        kind,
        place.path,
        place.line,
        _message(phase),
        "" if phase.strict_xpass else phase.longrepr,
        phase.sections,
        phase.subtest or "",
        own,
    )


def grouped(found: Iterable[Finding]) -> tuple[tuple[Finding, ...], ...]:
    """The findings in groups: one for all tests that a broken fixture or server stopped, one for each other."""
    groups: dict[object, list[Finding]] = {}
    for finding in found:
        # A server that does not start has no line in the project; then each test is found at its own.
        place = () if finding.own == Anchor(finding.path, finding.line) else (finding.path, finding.line)
        same = (finding.project, finding.message, place, finding.standing)
        groups.setdefault(same if finding.kind == "setup error" else id(finding), []).append(finding)
    return tuple(map(tuple, groups.values()))


def folded(group: Sequence[Finding]) -> Finding:
    """The first of a group, which tells how many others there are."""
    return replace(group[0], others=len(group) - 1) if group[1:] else group[0]


def verdict(results: Results) -> str:
    """The verdict in a few words."""
    found = results.verdict
    if found == "failed" and not any(results.counts[outcome] for outcome in BAD):
        found = "incomplete"
    if found == "passed" and not any(results.counts.values()):
        found = "empty"
    return HEADLINES[found]


def headline(results: Results) -> str:
    """The verdict as a sentence with its counts and the time it took."""
    return f"{verdict(results)}: {counted(results)} in {seconds(results.duration)}"


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


def unexplained(suite: Suite) -> bool:
    """Whether it is red, and no test, module or problem says why."""
    return bool(suite.exit_code) and not (suite.problems or suite.running or any(suite.counts[one] for one in BAD))


def _of_module(project: str, error: CollectError) -> Finding:
    return Finding(project, error.nodeid, "collection error", error.path, error.line, error.message, error.longrepr)


def _message(phase: Phase) -> str:
    if not phase.strict_xpass:
        return phase.message
    reason = phase.message.partition("]")[2].strip()
    return "It passed, although it is marked as an expected failure" + (f": {reason}" if reason else ".")
