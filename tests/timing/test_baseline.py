"""Baseline: which failures are known, and which tests may be called slower."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realdb_ci.results import Case, CollectError, Phase, Slower, Suite
from realdb_ci.timing.baseline import FACTOR, FLOOR, MOST_AGAIN, NEEDED_RUNS, compare, settled, suspects
from realdb_ci.timing.history import Base, History, Past, Run

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
TEST = "tests/test_desk.py::test_lend"
SECONDS = st.floats(0, 1e4)


def case(outcome: str = "passed", duration: float = 1.0, nodeid: str = TEST) -> Case:
    """A test that came to an end."""
    return Case(nodeid, "tests/test_desk.py", 1, (Phase(nodeid, "call", outcome, duration=duration),))


def suite(*cases: Case, **more: object) -> Suite:
    """A suite of these tests."""
    return Suite("desk", cases=cases, exitstatus=0, **more)


def base(*pasts: str | float | Past | None, commits: str = "abcdefghij") -> Base:
    """What the test did on the base, newest first: an outcome, seconds in which it passed, or None for nothing."""
    runs = []
    for number, past in enumerate(pasts):
        told = Past("passed", past) if isinstance(past, float) else Past(past) if isinstance(past, str) else past
        runs.append(Run(commits[number], 1e9 - number, 0.0, {} if told is None else {TEST: told}))
    return Base("desk", History(tuple(runs)))


@pytest.mark.parametrize(
    ("pasts", "commits", "known"),
    [
        (["failed", "passed", "passed"], "abc", True),
        (["error", "passed"], "abc", True),
        (["passed", "failed", "failed", "failed"], "abcd", False),
        (["flaky", "failed"], "abc", False),
        (["xfailed", "failed"], "abc", False),
        ([None, "skipped", "failed", "passed"], "abcd", True),
        (["failed", "passed", "failed"], "aab", False),
        (["failed", "failed", "passed"], "aab", True),
        ([None, "skipped"], "ab", False),
    ],
)
@pytest.mark.parametrize("form", ["test", "module", "unfinished"])
def test_failure_is_known_where_the_newest_base_commit_has_it(
    pasts: list[str | None], commits: str, known: bool, form: str
) -> None:
    """What was mended since is new again, what a commit does now and then is flaky there, what never ran is new."""
    now = {
        "test": suite(case("failed")),
        "module": suite(collect_errors=(CollectError(TEST),)),
        "unfinished": suite(Case(TEST, "", finished=False)),
    }[form]
    found = compare(now, base(*pasts, commits=commits))
    assert found is not None
    assert (found.known, found.new) == (((TEST,), ()) if known else ((), (TEST,)))


def test_where_runs_hold_a_share_of_the_tests_one_that_none_had_is_neither_known_nor_new() -> None:
    """It was in another shard then; one that passed in this shard is new all the same."""
    other = case("failed", nodeid="t::moved")
    found = compare(suite(case("failed"), other), replace(base("passed"), whole=False))
    assert found is not None
    assert (found.known, found.new) == ((), (TEST,))
    whole = compare(suite(case("failed"), other), base("passed"))
    assert whole is not None
    assert whole.new == (TEST, "t::moved")


def test_without_any_run_there_is_nothing_to_say() -> None:
    """No baseline is no comparison, not an empty one; nor is that of another project."""
    assert compare(Suite("shop", cases=(case("failed"),)), base("failed")) is None
    assert compare(suite(case("failed")), Base("desk")) is None


def test_runs_are_named_with_the_branch_and_what_limits_them() -> None:
    """A reader can look the commits up."""
    found = compare(suite(case()), replace(base(1.0, 1.0, commits="ab"), branch="main", note="No merge base."))
    assert found is not None
    assert (found.commits, found.branch, found.note) == (("a", "b"), "main", "No merge base.")


@patient
@given(st.lists(SECONDS | st.sampled_from(["failed", "flaky", "skipped"]), max_size=10), SECONDS)
def test_no_test_is_suspected_without_every_one_of_the_limits(pasts: list[str | float], now: float) -> None:
    """Enough runs that passed, a factor, a floor, and beyond whatever the base did in half of its runs."""
    found = compare(suite(case(duration=now)), base(*pasts))
    seconds = sorted(past for past in pasts if isinstance(past, float))
    if found is None or not found.unsure:
        return
    [one] = found.unsure
    assert found.enough
    assert len(seconds) >= NEEDED_RUNS
    assert seconds[0] <= one.before <= seconds[-1]
    assert one.now == now > max(FACTOR * one.before, one.before + FLOOR, one.before + one.spread)
    assert found.slower == ()


@patient
@given(st.lists(SECONDS, min_size=NEEDED_RUNS, max_size=10), SECONDS, st.floats(0, 100))
def test_slower_is_never_less_suspicious(pasts: list[float], now: float, more: float) -> None:
    """A test that is suspected stays so if it takes longer still; one as fast as its median never is."""
    history = base(*pasts)
    less = compare(suite(case(duration=now)), history)
    more_so = compare(suite(case(duration=now + more)), history)
    assert less is not None
    assert more_so is not None
    assert len(less.unsure) <= len(more_so.unsure)
    middle = sorted(pasts)[len(pasts) // 2 - (len(pasts) % 2 == 0)]
    calm = compare(suite(case(duration=middle)), history)
    assert calm is not None
    assert calm.unsure == ()


@pytest.mark.parametrize(
    ("pasts", "now", "suspected"),
    [
        ([1.0] * 5, 1.6, True),
        ([1.0] * 5, 1.5, False),
        ([1.0] * 4, 9.0, False),
        ([0.01] * 5, 0.1, False),
        ([0.01] * 5, 0.12, True),
        ([1.0, 1.2, 0.8, 1.4, 0.6], 2.1, False),
        ([1.0, 1.2, 0.8, 1.4, 0.6], 2.3, True),
        ([1.0, 1.0, 1.0, 1.0, 30.0], 1.6, True),
        (["failed", 1.0, 1.0, 1.0, 1.0], 9.0, False),
        (["flaky", 1.0, 1.0, 1.0, 1.0, 1.0], 9.0, True),
    ],
)
def test_limits_are_the_spread_a_factor_and_a_floor(pasts: list[str | float], now: float, suspected: bool) -> None:
    """Each of them on its own keeps a test from being suspected; one noisy run of the base hides nothing."""
    found = compare(suite(case(duration=now)), base(*pasts))
    assert found is not None
    assert bool(found.unsure) == suspected


def test_only_what_passed_is_timed() -> None:
    """A test that fails after a long while has another trouble."""
    found = compare(suite(case("failed", 99.0)), base(*[1.0] * 5))
    assert found is not None
    assert found.unsure == ()
    assert not found.enough


def test_a_suspect_is_slower_only_if_it_is_so_again() -> None:
    """Once is noise; what was not timed again stays unsure."""
    names = ["t::slow", "t::noisy", "t::untimed"]
    runs = tuple(Run("abcde"[n], 9.0 - n, 0.0, dict.fromkeys(names, Past("passed", 1.0))) for n in range(5))
    first = compare(suite(*(case(duration=3.0, nodeid=name) for name in names)), Base("desk", History(runs)))
    assert first is not None
    done = settled(first, {"t::slow": 2.5, "t::noisy": 1.4})
    assert done.slower == (Slower("t::slow", 1.0, 0.0, 3.0, 2.5),)
    assert [one.nodeid for one in done.unsure] == ["t::untimed"]
    assert replace(done, slower=(), unsure=first.unsure) == first


def test_what_is_timed_again_costs_little_and_is_what_lost_most() -> None:
    """At most so many tests and so many seconds, the greatest loss first."""
    names = [f"t::{number}" for number in range(30)]
    runs = tuple(Run("abcde"[n], 9.0 - n, 0.0, dict.fromkeys(names, Past("passed", 0.1))) for n in range(5))
    quick = compare(
        suite(*(case(duration=1.0 + n / 10, nodeid=f"t::{n}") for n in range(30))), Base("desk", History(runs))
    )
    assert quick is not None
    assert suspects(quick) == tuple(reversed(names))[:MOST_AGAIN]
    long = compare(
        suite(*(case(duration=25.0 + n, nodeid=f"t::{n}") for n in range(30))), Base("desk", History(runs))
    )
    assert long is not None
    assert suspects(long) == ("t::29",)
