"""History: what is kept of a base branch's runs comes back as it was, and never grows without end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realdb_ci.results import OUTCOMES, Case, CollectError, Phase, Suite
from realdb_ci.timing.history import BYTES_LIMIT, MOST_RUNS, History, Past, Run, decode, encode

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
PAST = st.builds(Past, st.sampled_from(OUTCOMES), st.integers(0, 10**8).map(lambda tenths: tenths / 1e4))
RUN = st.builds(Run, st.text(), st.floats(0, 2e9), st.floats(0, 2e9), st.dictionaries(st.text(), PAST, max_size=4))


def history(*runs: Run) -> History:
    """A history into which these runs came, one after the other."""
    found = History()
    for run in runs:
        found = found.with_(run)
    return found


@patient
@given(st.lists(RUN, max_size=12))
def test_what_was_written_is_read_back(runs: list[Run]) -> None:
    """Whatever the tests are called, and whichever of them a run had."""
    found = history(*runs)
    assert decode(encode(found)) == found


@patient
@given(st.lists(RUN, max_size=12), st.integers(60, 2_000))
def test_what_is_too_large_loses_its_oldest_runs(runs: list[Run], limit: int) -> None:
    """The limit holds to the byte, and what is left is the newest part."""
    found = history(*runs)
    written = encode(found, limit)
    assert len(written) <= limit
    kept = decode(written).runs
    assert kept == found.runs[: len(kept)]


@patient
@given(st.lists(RUN, min_size=1, max_size=15))
def test_only_the_newest_runs_are_kept_newest_first(runs: list[Run]) -> None:
    """In whatever order they came in: a job that was run again is not newer than its commit."""
    found = history(*runs).runs
    assert len(found) == min(len(runs), MOST_RUNS)
    assert [run.age for run in found] == sorted((run.age for run in runs), reverse=True)[:MOST_RUNS]


def test_runs_of_later_commits_do_not_count() -> None:
    """A branch is held against what it was made from, not against what came to the base since."""
    found = history(Run("old", 900.0, 100.0), Run("new", 300.0, 200.0), Run("undated", 150.0))
    assert [run.commit for run in found.until(150.0).runs] == ["undated", "old"]


def test_run_tells_of_tests_that_ended_and_modules_that_could_not_be_collected() -> None:
    """A test that was running when pytest ended has no outcome of its own."""
    passed = Phase("t.py::test_a", "call", "passed", duration=0.5)
    suite = Suite(
        "desk",
        start=10.0,
        cases=(Case(passed.nodeid, "t.py", 1, (passed,)), Case("t.py::test_b", "t.py", finished=False)),
        collect_errors=(CollectError("u.py"),),
    )
    told = {"t.py::test_a": Past("passed", 0.5), "u.py": Past("error")}
    assert Run.of(suite, "abc", 5.0) == Run("abc", 10.0, 5.0, told)


GOOD = json.loads(encode(history(Run("abc", 1.0, 2.0, {"t": Past("passed", 0.5)}))))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\x00",
        b"[]",
        b"null",
        b"[" * 100_000,
        {**GOOD, "version": 2},
        {**GOOD, "tests": None},
        {**GOOD, "tests": ["t", "u"]},
        {**GOOD, "runs": [{}]},
        {**GOOD, "runs": [{**GOOD["runs"][0], "outcomes": "?"}]},
        {**GOOD, "runs": [{**GOOD["runs"][0], "times": ["x"]}]},
        {**GOOD, "runs": [{**GOOD["runs"][0], "times": []}]},
        {**GOOD, "runs": [{**GOOD["runs"][0], "times": [-1]}]},
        {**GOOD, "runs": [{**GOOD["runs"][0], "times": [1e300]}]},
        {**GOOD, "runs": [{**GOOD["runs"][0], "began": float("nan")}]},
        b" " * (BYTES_LIMIT + 1),
    ],
    ids=lambda content: str(content)[:40],
)
def test_anything_else_is_refused_as_a_whole(content: Any) -> None:
    """A cache may hold anything; half of a history would be a wrong one."""
    with pytest.raises(ValueError, match=r"."):
        decode(content if isinstance(content, bytes) else json.dumps(content).encode())
