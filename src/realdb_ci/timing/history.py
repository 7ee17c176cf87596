"""History: outcomes and durations of the last runs of a base branch, and how they are written down."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from realdb_ci.results import OUTCOMES, Suite

MOST_RUNS = 10
BYTES_LIMIT = 8 << 20
VERSION = 1
# What a run that did not have a test notes in its place.
ABSENT = "-"
SIGNS = dict(zip(OUTCOMES, "FEYPXxs", strict=True))
MEANINGS = {sign: outcome for outcome, sign in SIGNS.items()}
# Nobody's test takes a day.
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Past:
    """What one test did in an earlier run: one of OUTCOMES, in seconds."""

    outcome: str
    duration: float = 0.0


@dataclass(frozen=True)
class Run:
    """One earlier run of a suite.

    Attributes:
        commit: what it tested: a commit's SHA, or the name of the file that tells of it.
        began: when, in seconds since the epoch.
        committed: the commit's own date, likewise; 0 where nobody said.
        cases: what each test did; modules that could not be collected are errors.
    """

    commit: str
    began: float
    committed: float = 0.0
    cases: Mapping[str, Past] = field(default_factory=dict)

    @classmethod
    def of(cls, suite: Suite, commit: str, committed: float = 0.0) -> Run:
        """What a suite that ended has to tell to later ones."""
        cases = {error.nodeid: Past("error") for error in suite.collect_errors}
        cases |= {case.nodeid: Past(case.outcome, case.duration) for case in suite.cases if case.finished}
        return cls(commit, suite.start, committed, cases)

    @property
    def age(self) -> tuple[float, float]:
        """By which runs are put in order: a commit that was run again is not newer for it."""
        return self.committed or self.began, self.began


@dataclass(frozen=True)
class History:
    """The last runs of a base branch, newest first."""

    runs: tuple[Run, ...] = ()

    def with_(self, run: Run) -> History:
        """The same with one more run; those beyond the limit are forgotten, oldest first."""
        runs = sorted((*self.runs, run), key=lambda one: one.age, reverse=True)
        return History(tuple(runs[:MOST_RUNS]))

    def until(self, committed: float) -> History:
        """The runs of commits that are not newer than a date, in seconds since the epoch."""
        return History(tuple(run for run in self.runs if run.age[0] <= committed))

    def of(self, nodeid: str) -> Iterator[tuple[Run, Past]]:
        """What a test did, newest first; runs that did not have or skipped it say nothing."""
        for run in self.runs:
            past = run.cases.get(nodeid)
            if past is not None and past.outcome != "skipped":
                yield run, past


@dataclass(frozen=True)
class Base:
    """What a suite is held against.

    Attributes:
        project: the suite's name.
        history: the base's runs, none where nobody knows any.
        branch: the base branch, or empty.
        note: what limits the comparison, in a sentence; else empty.
        whole: whether a run of it has all tests; the shards of another run were not shared out in the same way.
    """

    project: str
    history: History = History()
    branch: str = ""
    note: str = ""
    whole: bool = True


def encode(history: History, limit: int = BYTES_LIMIT) -> bytes:
    """The history as JSON in at most ``limit`` bytes: where it would be more, the oldest runs are left out.

    Names stand in it once, for all runs; a run is a string of outcomes and a list of whole tenths of milliseconds.
    """
    runs = history.runs
    while True:
        text = _encoded(runs)
        if len(text) <= limit or not runs:
            return text
        runs = runs[:-1]


def decode(content: bytes) -> History:
    """The history in a file.

    Raises:
        ValueError: it is something else, or damaged.
    """
    if len(content) > BYTES_LIMIT:
        raise ValueError(f"it has more than {BYTES_LIMIT} bytes")
    try:
        plain = json.loads(content)
        if plain["version"] != VERSION:
            raise ValueError("another version wrote it")
        tests = [str(one) for one in plain["tests"]]
        runs = [_run(tests, one) for one in plain["runs"]]
    except (TypeError, KeyError, AttributeError, RecursionError, OverflowError, StopIteration) as problem:
        raise ValueError(f"it does not hold what it should: {problem!r}") from None
    history = History()
    for run in runs:
        history = history.with_(run)
    return history


def _encoded(runs: tuple[Run, ...]) -> bytes:
    tests = list(dict.fromkeys(nodeid for run in runs for nodeid in run.cases))
    told = [
        {
            "commit": run.commit,
            "began": run.began,
            "committed": run.committed,
            "outcomes": "".join(SIGNS[run.cases[one].outcome] if one in run.cases else ABSENT for one in tests),
            "times": [round(run.cases[one].duration * 1e4) for one in tests if one in run.cases],
        }
        for run in runs
    ]
    plain = {"version": VERSION, "tests": tests, "runs": told}
    return json.dumps(plain, separators=(",", ":")).encode()


def _run(tests: list[str], plain: Mapping[str, Any]) -> Run:
    outcomes, times = str(plain["outcomes"]), iter(plain["times"])
    cases = {
        nodeid: Past(MEANINGS[sign], _seconds(next(times) / 1e4))
        for nodeid, sign in zip(tests, outcomes, strict=True)
        if sign != ABSENT
    }
    return Run(str(plain["commit"]), _number(plain["began"]), _number(plain["committed"]), cases)


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} is no date")
    return number


def _seconds(value: float) -> float:
    if not 0 <= value < DAY:
        raise ValueError(f"{value} is no duration")
    return value
