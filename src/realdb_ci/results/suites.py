"""Suites: one project's run each, with the servers it used and the problems it met, and the run as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from realdb_ci.results.cases import BAD, OUTCOMES, Case
from realdb_ci.results.comparisons import Comparison

INTERRUPTED = 130
# The gravest comes first: what a script has to know is why nothing can be said about the tests.
GRAVITY = (INTERRUPTED, 3, 2, 1, 0)
# pytest's exit statuses as ours (3 is an internal error); any other one is a red suite.
USAGE_ERROR = 4
FROM_PYTEST = {0: 0, 3: 3, USAGE_ERROR: 2}
VERDICTS = {0: "passed", 1: "failed", 2: "bad setting", 3: "no server", INTERRUPTED: "interrupted"}


def gravest(codes: Iterable[int]) -> int:
    """The exit code that says most; 1 where there is none, because nothing ran."""
    return min(codes, key=GRAVITY.index, default=1)


@dataclass(frozen=True, slots=True)
class Server:
    """A server that served a suite; see the attributes of the same names in ``services.contract``."""

    service: str
    engine: str = ""
    version: str = ""
    origin: str = ""
    seconds: float = 0.0
    owned: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)
    ready: float = 0.0


@dataclass(frozen=True, slots=True)
class Span:
    """A named stretch of time; start and stop are seconds since the epoch."""

    name: str
    detail: str = ""
    start: float = 0.0
    stop: float = 0.0
    worker: str | None = None


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of a suite, run by one of several runners.

    Attributes:
        number: which part, counted from 1.
        total: into how many parts the suite was split.
        digest: the same for the same numbers to split by.
        whole: whether all of the suite ran in its place.
    """

    number: int
    total: int
    digest: str = ""
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that stopped tests from being run; see ``errors.RealdbError``."""

    what: str
    why: str = ""
    remedy: str = ""
    log: str = ""
    exit_code: int = 3


@dataclass(frozen=True, slots=True)
class CollectError:
    """A module whose tests could not be collected."""

    nodeid: str
    path: str = ""
    line: int | None = None
    message: str = ""
    longrepr: str = ""


@dataclass(frozen=True)
class Suite:
    """One project's run.

    Attributes:
        project: its name, a path from the root of the repository.
        python: version of Python; ``pytest`` and ``plugin`` (realdb-ci) likewise.
        args: pytest's arguments.
        workers: number of xdist workers, 0 without xdist.
        start: when it began, seconds since the epoch.
        duration: seconds; up to the last event where the run never ended.
        collected: the tests that were to run, in order.
        exitstatus: pytest's own, or None where pytest never came to say it.
        returncode: the process's, where it was not one of pytest's; negative for a signal.
        interrupted: somebody stopped the run.
        producer: what wrote the file, where it was not realdb-ci: pytest, surefire, jest, ...; else empty.
        sources: the files it was read from, where it was read by ``realdb-ci report``.
        properties: what the suite noted about itself, as (name, value).
        sections: output that belongs to no test, as (name, text).
        comparison: what its tests did on the base branch, or None where nobody knows.
        shards: the parts of it that ran, none where it was not split.
    """

    project: str
    python: str = ""
    pytest: str = ""
    plugin: str = ""
    args: tuple[str, ...] = ()
    workers: int = 0
    start: float = 0.0
    duration: float = 0.0
    collected: tuple[str, ...] = ()
    cases: tuple[Case, ...] = ()
    collect_errors: tuple[CollectError, ...] = ()
    servers: tuple[Server, ...] = ()
    spans: tuple[Span, ...] = ()
    problems: tuple[Problem, ...] = ()
    exitstatus: int | None = None
    returncode: int | None = None
    interrupted: bool = False
    producer: str = ""
    sources: tuple[str, ...] = ()
    properties: tuple[tuple[str, str], ...] = ()
    sections: tuple[tuple[str, str], ...] = ()
    comparison: Comparison | None = None
    shards: tuple[Shard, ...] = ()

    @cached_property
    def finished(self) -> bool:
        """Whether pytest came to its own end."""
        return self.exitstatus is not None

    @cached_property
    def running(self) -> tuple[Case, ...]:
        """The tests that had started when pytest ended, and had not come to their own end."""
        return tuple(case for case in self.cases if not case.finished)

    @cached_property
    def not_run(self) -> tuple[str, ...]:
        """The collected tests that never started."""
        started = {case.nodeid for case in self.cases}
        return tuple(nodeid for nodeid in self.collected if nodeid not in started)

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """How many tests had which outcome; a module that could not be collected counts as an error."""
        found = Counter(case.outcome for case in self.cases)
        found["error"] += len(self.collect_errors)
        return {outcome: found[outcome] for outcome in OUTCOMES}

    @cached_property
    def exit_code(self) -> int:
        """Ours: 0 green, 1 red or none collected, 2 a bad setting, 3 no server or environment, 130 interrupted."""
        codes = [problem.exit_code for problem in self.problems if problem.exit_code in GRAVITY]
        codes.append(1 if self.exitstatus is None else FROM_PYTEST.get(self.exitstatus, 1))
        codes.append(int(any(self.counts[outcome] for outcome in BAD)))
        codes.append(INTERRUPTED if self.interrupted else 0)
        return gravest(codes)


@dataclass(frozen=True)
class Results:
    """A run: the suites in the order they ran."""

    suites: tuple[Suite, ...] = ()

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """The cases of all suites."""
        return tuple(case for suite in self.suites for case in suite.cases)

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """The counts of all suites."""
        return {outcome: sum(suite.counts[outcome] for suite in self.suites) for outcome in OUTCOMES}

    @cached_property
    def duration(self) -> float:
        """Seconds in all suites."""
        return sum(suite.duration for suite in self.suites)

    @cached_property
    def exit_code(self) -> int:
        """The gravest of the suites'; a run that recorded no suite at all is red."""
        return gravest(suite.exit_code for suite in self.suites)

    @property
    def verdict(self) -> str:
        """The exit code in words: passed, failed, bad setting, no server or interrupted."""
        return VERDICTS[self.exit_code]
