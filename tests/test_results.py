"""Results: what is derived from the record, and that every file is read as far as it goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realdb_ci.results import (
    Anchor,
    Case,
    CollectError,
    Comparison,
    Phase,
    Problem,
    Results,
    Server,
    Shard,
    Slower,
    Suite,
    merge,
    read,
)

# A machine that is busy with databases is no reason for a property to fail.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
NODEID = "tests/test_desk.py::test_lend"


def phase(when: str, outcome: str = "passed", **more: Any) -> Phase:
    """A phase of the one test."""
    return Phase(NODEID, when, outcome, **more)


def case(*phases: Phase, **more: Any) -> Case:
    """The one test."""
    return Case(NODEID, "tests/test_desk.py", 3, phases, **more)


def write(path: Path, *events: dict[str, Any], tail: str = "") -> Path:
    """An events file with these events, then a torn line."""
    lines = [json.dumps(event) + "\n" for event in events]
    path.write_text("".join(lines) + tail, encoding="utf-8")
    return path


PASSED = (phase("setup"), phase("call"), phase("teardown"))
RUN = {"event": "run", "at": 10.0, "project": "desk", "python": "3.11.7", "workers": 2}
START = {"event": "start", "at": 11.0, "nodeid": NODEID, "attempt": 1}
END = {"event": "end", "at": 15.0, "exitstatus": 0, "duration": 5.5}


def told(when: str, outcome: str = "passed", **more: Any) -> dict[str, Any]:
    """A phase event of the one test."""
    return {"event": "phase", "at": 12.0, "nodeid": NODEID, "when": when, "outcome": outcome, **more}


@pytest.mark.parametrize(
    ("phases", "outcome"),
    [
        (PASSED, "passed"),
        ((phase("setup"), phase("call", "failed"), phase("teardown")), "failed"),
        ((phase("setup", "failed"), phase("teardown")), "error"),
        ((phase("setup"), phase("call"), phase("teardown", "failed")), "error"),
        ((phase("setup"), phase("call", "failed"), phase("teardown", "failed")), "failed"),
        ((phase("setup", "skipped"), phase("teardown")), "skipped"),
        ((phase("setup"), phase("call", "skipped", wasxfail=""), phase("teardown")), "xfailed"),
        ((phase("setup"), phase("call", wasxfail="known"), phase("teardown")), "xpassed"),
        ((phase("setup"), phase("call", "failed", strict_xpass=True), phase("teardown")), "failed"),
        ((phase("call", "rerun"), phase("call", attempt=2), phase("teardown", attempt=2)), "flaky"),
        ((phase("call", "rerun"), phase("call", "failed", attempt=2)), "failed"),
        ((phase("call", "failed"), phase("call", attempt=2)), "flaky"),
        ((phase("call"), phase("call", attempt=2)), "passed"),
        ((phase("error", "failed"),), "error"),
        ((phase("setup", "rerun"), phase("setup", "failed", attempt=2)), "error"),
        ((phase("call", "failed", subtest="a"), phase("call", "failed")), "failed"),
        ((phase("call", "skipped", subtest="a"), phase("call")), "passed"),
        ((phase("???", "failed"),), "failed"),
        ((phase("collect", "skipped"),), "skipped"),
    ],
)
def test_outcome_follows_from_the_phases(phases: tuple[Phase, ...], outcome: str) -> None:
    """One word for a test, whatever the number of its phases, subtests and attempts."""
    assert case(*phases).outcome == outcome


def test_test_that_never_ended_is_an_error() -> None:
    """A test that was running when pytest died has not passed."""
    assert case(phase("setup"), finished=False).outcome == "error"


def test_both_failures_of_a_test_can_be_listed() -> None:
    """A failed call and a failed teardown are one failed test with two failures."""
    both = case(phase("call", "failed", message="a"), phase("teardown", "failed", message="b"))
    assert [one.message for one in both.failures] == ["a", "b"]
    assert Suite("desk", cases=(both,), exitstatus=1).counts["failed"] == 1


def test_subtests_stand_for_the_test_that_only_counts_them() -> None:
    """The failure that says how many subtests failed is left out, one with a line of its own is not."""
    sub = phase("call", "failed", subtest="a", anchor=Anchor("x.py", 1))
    counting = phase("call", "failed", message="contains 1 failed subtest")
    own = phase("call", "failed", anchor=Anchor("x.py", 9))
    assert case(sub, counting).failures == (sub,)
    assert case(sub, own).failures == (sub, own)


def test_time_is_split_by_phase_over_all_attempts() -> None:
    """What a test cost is what all its attempts cost; a subtest's time is within its test's."""
    timed = case(
        phase("setup", duration=1.0),
        phase("call", "rerun", duration=2.0),
        phase("call", duration=8.0, subtest="a", attempt=2),
        phase("call", duration=9.0, attempt=2),
        phase("teardown", duration=0.5, attempt=2),
    )
    assert [timed.seconds(when) for when in ("setup", "call", "teardown")] == [1.0, 11.0, 0.5]
    assert timed.duration == 12.5


@pytest.mark.parametrize(
    ("suite", "code"),
    [
        (Suite("a", cases=(case(*PASSED),), exitstatus=0), 0),
        (Suite("a", cases=(case(phase("call", "failed")),), exitstatus=1), 1),
        (Suite("a", cases=(case(phase("call", "failed")),), exitstatus=0), 1),
        (Suite("a", cases=(case(*PASSED),), exitstatus=1), 1),
        (Suite("a", collect_errors=(CollectError("t.py"),), exitstatus=2), 1),
        (Suite("a", exitstatus=5), 1),
        (Suite("a", exitstatus=None), 1),
        (Suite("a", exitstatus=4), 2),
        (Suite("a", exitstatus=3), 3),
        (Suite("a", exitstatus=1, problems=(Problem("no server"),)), 3),
        (Suite("a", exitstatus=1, problems=(Problem("a setting", exit_code=2),)), 2),
        (Suite("a", exitstatus=2, interrupted=True, problems=(Problem("no server"),)), 130),
    ],
)
def test_exit_code_is_the_gravest(suite: Suite, code: int) -> None:
    """0 green, 1 red, none collected or never ended, 2 a setting, 3 a server, 130 interrupted."""
    assert suite.exit_code == code
    assert Results((Suite("b", cases=(case(*PASSED),), exitstatus=0), suite)).exit_code == code


def test_record_without_suites_is_not_green(tmp_path: Path) -> None:
    """Nothing recorded is nothing passed."""
    found = read(tmp_path / "missing.jsonl")
    assert (found.suites, found.exit_code, found.verdict) == ((), 1, "failed")


def test_suite_is_read_back(tmp_path: Path) -> None:
    """Every event finds its place; unknown events and fields of a later version are passed over."""
    where = {"nodeid": NODEID, "path": "desk/tests/test_desk.py", "line": 3}
    path = write(
        tmp_path / "events.jsonl",
        RUN,
        {"event": "collected", "count": 2, "cases": [where, {"nodeid": "b", "path": "b.py", "line": None}]},
        {"event": "server", "service": "postgres", "version": "17.2", "seconds": 1.5, "settings": {"fsync": "off"}},
        {"event": "span", "name": "schema", "start": 1.0, "stop": 2.0, "colour": "green"},
        {"event": "shard", "number": 2, "total": 3, "digest": "a", "whole": False},
        {"event": "weather", "sun": True},
        START,
        told("setup", duration=0.5, path="desk/tests/test_desk.py", line=3, novelty=[1]),
        told("call", "failed", anchor={"path": "desk/x.py", "line": 7}, sections=[["stdout", "hi"]], message="m"),
        told("teardown", worker="gw1"),
        {"event": "collect_error", "nodeid": "c.py", "path": "c.py", "line": 2, "message": "SyntaxError"},
        {"event": "problem", "what": "No server", "why": "w", "remedy": "r", "log": "l", "exit_code": 3},
        {**END, "exitstatus": 1},
    )
    [suite] = read(path).suites
    assert (suite.project, suite.python, suite.workers, suite.duration, suite.finished) == (
        "desk",
        "3.11.7",
        2,
        5.5,
        True,
    )
    [found] = suite.cases
    assert (found.nodeid, found.path, found.line, found.outcome) == (NODEID, "desk/tests/test_desk.py", 3, "failed")
    [failure] = found.failures
    assert (failure.anchor, failure.sections) == (Anchor("desk/x.py", 7), (("stdout", "hi"),))
    assert [one.worker for one in found.phases] == [None, None, "gw1"]
    assert suite.not_run == ("b",)
    [server] = suite.servers
    assert (server.service, server.version, server.seconds, server.settings) == (
        "postgres",
        "17.2",
        1.5,
        {"fsync": "off"},
    )
    assert suite.spans[0].name == "schema"
    assert suite.shards == (Shard(2, 3, "a"),)
    assert suite.collect_errors[0] == CollectError("c.py", "c.py", 2, "SyntaxError")
    assert suite.problems[0] == Problem("No server", "w", "r", "l", 3)


def test_failure_is_read_with_its_place(tmp_path: Path) -> None:
    """Also where another phase of the test has told the place before."""
    where = {"path": "desk/tests/test_desk.py", "line": 3}
    events = [told("setup", **where), told("call", "failed", message="m", **where), told("teardown", **where)]
    [found] = read(write(tmp_path / "events.jsonl", RUN, START, *events, END)).cases
    assert (found.outcome, found.failures[0].message, found.failures[0].place) == ("failed", "m", Anchor(**where))


PLAIN_EVENT = {
    "event": st.just("phase"),
    "at": st.floats(0, 1e10),
    "nodeid": st.sampled_from(["a.py::b", 'a.py::c[", "when": "]', "é"]),
    "path": st.sampled_from(["a.py", "a.py", "", 'x", "path']),
    "line": st.sampled_from([1, 1, 2, None]),
    "when": st.sampled_from(["setup", "call", "teardown", "???"]),
    "attempt": st.sampled_from([1, 1, 2]),
    "outcome": st.just("passed"),
    "wasxfail": st.sampled_from([None, None, "", "known"]),
    "strict_xpass": st.booleans(),
    "duration": st.floats(0, 9),
    "start": st.floats(0, 9),
    "stop": st.floats(0, 9),
    "worker": st.sampled_from([None, "gw0", ""]),
    "anchor": st.none(),
    "message": st.just(""),
    "longrepr": st.just(""),
    "sections": st.just([]),
    "subtest": st.none(),
}
TELLING_EVENT = PLAIN_EVENT | {
    "outcome": st.sampled_from(["passed", "failed", "skipped", "rerun"]),
    "anchor": st.none() | st.just({"path": "b.py", "line": 2}),
    "message": st.sampled_from(["", "m"]),
    "longrepr": st.sampled_from(["", "x"]),
    "sections": st.sampled_from([[], [["stdout", "y"]]]),
    "subtest": st.none() | st.just("row"),
}
PHASE_EVENT = st.fixed_dictionaries(PLAIN_EVENT) | st.fixed_dictionaries(TELLING_EVENT)


@patient
@given(st.lists(PHASE_EVENT, max_size=8))
def test_phases_are_read_alike_in_whatever_shape(
    tmp_path_factory: pytest.TempPathFactory, events: list[dict[str, Any]]
) -> None:
    """A line in the recorder's own shape is read faster than any other, and no differently."""
    folder = tmp_path_factory.mktemp("shapes")
    path = write(folder / "plain.jsonl", RUN, *({name: event[name] for name in PLAIN_EVENT} for event in events))
    other = folder / "other.jsonl"
    other.write_text("".join(json.dumps(event, sort_keys=True) + " \n" for event in (RUN, *events)))
    assert read(path) == read(other)


def test_line_that_is_nested_without_end_is_passed_over(tmp_path: Path) -> None:
    """Deeper than any parser goes."""
    path = write(tmp_path / "events.jsonl", RUN, tail="[" * 200_000 + "\n" + json.dumps(END) + "\n")
    assert read(path).suites[0].finished


def test_process_that_died_is_told_by_its_parent(tmp_path: Path) -> None:
    """The test that ran is named, with its place, and the parent's word on how it ended."""
    where = {"nodeid": NODEID, "path": "t.py", "line": 3}
    path = write(
        tmp_path / "events.jsonl",
        RUN,
        {"event": "collected", "cases": [where]},
        START,
        told("setup"),
        {"event": "died", "at": 13.5, "returncode": -9, "project": "desk"},
        {**RUN, "project": "shop"},
        END,
    )
    desk, shop = read(path).suites
    assert (desk.project, desk.returncode, desk.finished, desk.duration) == ("desk", -9, False, 3.5)
    assert [(one.nodeid, one.path, one.line, one.outcome) for one in desk.running] == [(NODEID, "t.py", 3, "error")]
    assert (shop.project, shop.finished) == ("shop", True)


def test_attempt_that_never_ended_is_running(tmp_path: Path) -> None:
    """A first attempt that was told to its end does not hide that the second one hangs."""
    second = {**START, "attempt": 2}
    path = write(tmp_path / "events.jsonl", RUN, START, told("call", "rerun"), told("teardown"), second)
    assert [one.nodeid for one in read(path).suites[0].running] == [NODEID]


def test_attempt_that_was_owed_and_never_came_is_running(tmp_path: Path) -> None:
    """A process that died between two attempts has not passed the test that failed the first."""
    path = write(tmp_path / "events.jsonl", RUN, START, told("call", "rerun"), told("teardown"))
    [case] = read(path).cases
    assert (case.outcome, case.finished) == ("error", False)


def test_process_that_died_before_it_began_is_a_suite(tmp_path: Path) -> None:
    """A project whose pytest never came to its first event is still reported, under its name."""
    died = {"event": "died", "returncode": 70, "project": "shop"}
    desk, shop = read(write(tmp_path / "events.jsonl", RUN, END, died)).suites
    assert desk.exit_code == 0
    assert (shop.project, shop.returncode, shop.exit_code) == ("shop", 70, 1)


def test_interruption_is_kept(tmp_path: Path) -> None:
    """Somebody who pressed Ctrl-C reads that, not a red suite."""
    found = read(write(tmp_path / "events.jsonl", RUN, START, {"event": "interrupted", "signal": 2}))
    assert (found.exit_code, found.verdict) == (130, "interrupted")


def test_torn_line_costs_itself_only(tmp_path: Path) -> None:
    """A line that was torn, and an event glued to it, do not hide what stands around them."""
    text = json.dumps(told("call", "failed", message='a "quoted" {"event"'))
    glued = text[: len(text) // 2] + json.dumps({**RUN, "project": "shop"}) + "\n" + json.dumps(END) + "\n"
    desk, shop = read(write(tmp_path / "events.jsonl", RUN, START, told("setup"), tail=glued + text[:30])).suites
    assert [one.nodeid for one in desk.running] == [NODEID]
    assert (shop.project, shop.finished, shop.cases) == ("shop", True, ())


@patient
@given(st.data())
def test_any_prefix_of_a_record_can_be_read(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Cut a file at any byte: the tests that were told to their end before the cut are all there."""
    path = tmp_path_factory.mktemp("cut") / "events.jsonl"
    names = [f"t.py::test_{number}é" for number in range(4)]
    tests = [
        ({**START, "nodeid": name}, {**told("call"), "nodeid": name}, {**told("teardown"), "nodeid": name})
        for name in names
    ]
    whole = write(path, RUN, *[event for events in tests for event in events], END).read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    finished = [case.nodeid for case in read(path).cases if case.finished]
    # An event is whole with its closing brace, with or without its line end.
    lines = [line for line in whole[:cut].split(b"\n") if line.endswith(b"}")]
    assert finished == names[: sum(b'"teardown"' in line for line in lines)]


KEYS = ["nodeid", "when", "outcome", "cases", "path", "line", "exitstatus", "returncode", "workers", "args", "at"]
KEYS += ["number", "total"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=8,
)


@patient
@given(ANYTHING)
def test_any_values_can_be_read(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    """An event with wrong values is passed over; it never breaks the reading of the others."""
    kinds = ["run", "collected", "start", "phase", "collect_error", "server", "span", "shard", "problem"]
    kinds += ["end", "died"]
    odd = [{"event": kind, **dict.fromkeys(KEYS, value)} for kind in kinds]
    path = write(tmp_path_factory.mktemp("odd") / "events.jsonl", *odd, RUN, told("call"), END)
    assert read(path).suites[-1].cases[-1].outcome == "passed"


def ran(*cases: Case, **more: Any) -> Results:
    """A part of a run: one project's suite, which came to its end."""
    names = tuple(case.nodeid for case in cases)
    known = {"exitstatus": 0, "start": 10.0, "duration": 1.0, "collected": names, **more}
    return Results((Suite("desk", cases=cases, **known),))


def named(nodeid: str, *outcomes: str, **more: Any) -> Case:
    """A test with these outcomes of its call, an attempt each."""
    phases = (Phase(nodeid, "call", one, attempt=number, message=one) for number, one in enumerate(outcomes, 1))
    return Case(nodeid, "t.py", 1, tuple(phases), **more)


def test_shards_are_one_suite() -> None:
    """Tests, servers and workers of all; time is that in which any of them was under way."""
    first = ran(named("a", "passed"), workers=2, servers=(Server("postgres", version="17.2"),))
    second = ran(named("b", "failed"), workers=1, start=10.5, duration=1.5, exitstatus=1)
    [suite] = merge([first, second]).suites
    assert {case.nodeid: case.outcome for case in suite.cases} == {"a": "passed", "b": "failed"}
    assert (suite.workers, suite.duration, suite.exit_code, len(suite.servers)) == (3, 2.0, 1, 1)
    assert (suite.collected, suite.not_run) == (("a", "b"), ())


def test_time_between_attempts_is_not_the_suites() -> None:
    """An attempt an hour later does not make the run an hour long; what has no time of day counts in full."""
    parts = [ran(start=start, duration=2.0) for start in (10.0, 11.0, 3600.0, 0.0, 0.0)]
    assert merge(parts).suites[0].duration == 9.0


@pytest.mark.parametrize(
    ("before", "after", "outcome", "attempts", "code"),
    [
        (["failed"], ["passed"], "flaky", 2, 0),
        (["rerun", "failed"], ["passed"], "flaky", 3, 0),
        (["failed"], ["failed"], "failed", 2, 1),
        (["passed"], ["failed"], "failed", 2, 1),
        (["passed"], ["passed"], "passed", 2, 0),
        (["skipped"], ["passed"], "passed", 2, 0),
    ],
)
def test_case_of_several_attempts_is_one_case(
    before: list[str], after: list[str], outcome: str, attempts: int, code: int
) -> None:
    """In the order they were made, whatever the order of the files: what counts is the last one."""
    parts = [
        ran(named("a", *after), start=20.0, exitstatus=int(after[-1] == "failed")),
        ran(named("a", *before), start=10.0, exitstatus=int(before[-1] == "failed")),
    ]
    [suite] = merge(parts).suites
    [found] = suite.cases
    assert (found.outcome, found.attempts, suite.exit_code) == (outcome, attempts, code)


def test_test_that_ended_its_process_and_then_passed_is_flaky() -> None:
    """Nothing of the first attempt says that it failed, but it never ended."""
    died = ran(named("a", finished=False), exitstatus=None, returncode=-9)
    [suite] = merge([died, ran(named("a", "passed"), start=20.0)]).suites
    [found] = suite.cases
    assert (found.outcome, suite.exit_code, suite.returncode) == ("flaky", 0, None)
    assert found.retried[0].message == "pytest ended while this test was running"


def test_part_that_died_is_red_until_its_tests_were_run() -> None:
    """Another part may have done what it left; tests that nobody ran are no success."""
    died = ran(named("a", "passed"), exitstatus=None, returncode=70, collected=("a", "b"))
    assert merge([died, ran(named("c", "passed"))]).suites[0].exit_code == 1
    assert merge([died, ran(named("b", "passed"))]).suites[0].exit_code == 0
    stopped = ran(named("a", "passed"), exitstatus=2, interrupted=True)
    assert merge([stopped, ran(named("a", "passed"))]).exit_code == 130


@pytest.mark.parametrize(
    ("codes", "code"), [((0, 5), 0), ((5, 5), 1), ((0, 1), 1), ((0, 4), 2), ((3, 1), 3), ((0, 77), 1)]
)
def test_exit_status_says_most(codes: tuple[int, ...], code: int) -> None:
    """A shard without tests is no failure, one that failed for another reason than its tests is."""
    assert merge([ran(named(str(one), "passed"), exitstatus=one) for one in codes]).exit_code == code


def test_legs_of_a_matrix_stay_apart_under_their_own_names() -> None:
    """Python and the databases tell them apart; a shard that used no database belongs to the first that fits."""
    legs = [
        ran(named("a", "failed"), python="3.12.1", servers=(Server("postgres", version="16.1"),)),
        ran(named("a", "passed"), python="3.12.1", servers=(Server("postgres", version="17.2"),)),
        ran(named("a", "passed"), python="3.13.0", servers=(Server("postgres", version="17.2"),)),
        ran(named("b", "passed"), python="3.13.0"),
    ]
    merged = merge(legs)
    assert [suite.project for suite in merged.suites] == [
        "desk (Python 3.12.1, postgres 16.1)",
        "desk (Python 3.12.1, postgres 17.2)",
        "desk (Python 3.13.0, postgres 17.2)",
    ]
    assert [len(suite.cases) for suite in merged.suites] == [1, 1, 2]
    assert merged.counts["failed"] == 1


def parts(*told: tuple[int, int, str], **more: Any) -> list[Results]:
    """Parts of a suite, each with a test of its own: number, total, and what it was split by."""
    return [ran(named(f"{number}", "passed"), shards=(Shard(number, *split),), **more) for number, *split in told]


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ([(1, 3, "a"), (2, 3, "a"), (3, 3, "a")], None),
        ([(1, 3, "a"), (3, 3, "a")], "Part 2/3 of desk is missing"),
        ([(2, 3, "a")], "Parts 1/3, 3/3 of desk are missing"),
        ([(1, 2, "a"), (2, 2, "b")], "The parts of desk were not split by the same numbers"),
        ([(1, 2, "a"), (2, 2, "b"), (2, 2, "a")], None),
        ([(1, 2, "a"), (2, 3, "a")], "The parts of desk were not split by the same numbers"),
        ([(1, 10**12, "a")], "Parts 2/1000000000000, "),
    ],
)
def test_suite_of_which_a_part_is_missing_is_red(told: list[tuple[int, int, str]], problem: str | None) -> None:
    """Its tests ran nowhere, and nothing else would say so."""
    [suite] = merge(parts(*told)).suites
    assert [one.what.startswith(problem or "?") for one in suite.problems] == [True] * (problem is not None)
    assert suite.exit_code == (problem is not None)


def test_shard_that_ran_the_whole_suite_is_all_of_them() -> None:
    """It could not learn what the others were split by."""
    whole = ran(named("1", "passed"), named("2", "passed"), shards=(Shard(2, 2, "b", True),))
    assert merge([*parts((1, 2, "a")), whole]).exit_code == 0


def test_shards_without_a_database_complete_the_leg_that_lacks_them() -> None:
    """Nothing else tells whose they are."""
    servers = [{"servers": (Server("postgres", version=version),)} for version in ("16.1", "17.2")]
    without = parts((2, 2, "a"), (2, 2, "a"))
    old, new = (parts((1, 2, "a"), **more) for more in servers)
    for told in ([*without, *old, *new], [*old, *without, *new], [*old, *new, *without]):
        assert merge(told).exit_code == 0
    assert merge([*old, *new, without[0]]).exit_code == 1


def test_what_every_shard_tells_is_told_once() -> None:
    """A module that none of them could collect, a setting that all of them have."""
    problem, error = Problem("a setting", exit_code=2), CollectError("c.py")
    parts = [ran(named(name, "passed"), problems=(problem,), collect_errors=(error,)) for name in "ab"]
    [suite] = merge(parts).suites
    assert (suite.problems, suite.collect_errors) == ((problem,), (error,))


def test_one_part_is_itself() -> None:
    """Nothing is made up where there is nothing to merge."""
    part = ran(named("a", "failed"), exitstatus=1, interrupted=True)
    assert merge([part]) == part
    assert merge([]) == Results()


SETUPS = {
    "the schema for all is none of its time": ([(10.2, 12.2, None)], 1.0),
    "steps in one another count once": ([(10.0, 12.0, None), (10.5, 11.5, None)], 1.0),
    "a step that began before it, in part": ([(8.0, 11.0, None)], 2.0),
    "a step of another worker, not at all": ([(10.2, 12.2, "gw1")], 3.0),
    "a step before it, not at all": ([(7.0, 9.0, None), (14.0, 15.0, None)], 3.0),
    "more than there was leaves nothing": ([(9.0, 14.0, None)], 0.0),
}


@pytest.mark.parametrize(("steps", "left"), SETUPS.values(), ids=SETUPS)
def test_what_is_made_for_all_is_billed_to_no_test(
    steps: list[tuple[float, float, str | None]], left: float, tmp_path: Path
) -> None:
    """The setup of the test that came first holds only what it did for itself."""
    spans = [{"event": "span", "at": 12.0, "name": "s", "start": a, "stop": b, "worker": w} for a, b, w in steps]
    setup = told("setup", start=10.0, stop=13.0, duration=3.0)
    file = write(tmp_path / "e", RUN, START, *spans, setup, told("call"), told("teardown"), END)
    (found,) = read(file).cases
    assert found.seconds("setup") == pytest.approx(left)


def test_what_was_made_ready_before_belongs_to_the_suite_that_follows(tmp_path: Path) -> None:
    """An environment made before pytest began is a step of that suite, and none of its own time."""
    made = {"event": "span", "at": 9.0, "name": "environment", "start": 2.0, "stop": 9.0}
    (suite,) = read(write(tmp_path / "e", made, RUN, END)).suites
    assert (suite.project, suite.start) == ("desk", 10.0)
    assert [span.name for span in suite.spans] == ["environment"]


def test_problem_before_a_suite_is_not_that_suites(tmp_path: Path) -> None:
    """What went wrong with one project is not told of the next."""
    problem = {"event": "problem", "at": 9.0, "what": "pytest refused its arguments", "exit_code": 2}
    first, second = read(write(tmp_path / "e", problem, RUN, END)).suites
    assert [one.what for one in first.problems] == ["pytest refused its arguments"]
    assert (second.project, second.problems) == ("desk", ())


def test_comparison_is_read_with_the_suite_it_tells_of(tmp_path: Path) -> None:
    """It comes after the suite's end; one with wrong values is passed over."""
    slower = {"nodeid": "t", "before": 1, "spread": 0.5, "now": 3, "again": None, "later": "version"}
    told = {"commits": ["abc"], "branch": "main", "known": [NODEID], "slower": [slower], "enough": True}
    event = {"event": "comparison", "at": 16.0, **told}
    broken = {"event": "comparison", "at": 16.0, "slower": [{"nodeid": "t", "before": "x"}]}
    found = read(write(tmp_path / "events.jsonl", RUN, START, END, event, {**RUN, "project": "shop"}, END, broken))
    expected = Comparison(("abc",), "main", (NODEID,), slower=(Slower("t", 1.0, 0.5, 3.0),), enough=True)
    assert [suite.comparison for suite in found.suites] == [expected, None]
