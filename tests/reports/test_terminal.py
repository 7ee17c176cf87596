"""The terminal's report: what a person reads, on any console, whatever the tests printed."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from rich.console import Console
from strategies import RESULTS, patient

from realdb_ci.reports.digest import Digest
from realdb_ci.reports.terminal import render
from realdb_ci.results import Anchor, Case, CollectError, Phase, Problem, Results, Server, Suite

LONGREPR = """    def test_fee():
>       save(fee)

tests/test_desk.py:9:
_ _ _ _
    def save(fee):
>       raise ValueError(fee)
E       ValueError: 140
E       hint: ask the desk

lib/python3/site-packages/orm.py:3: ValueError"""


def shown(results: Results, *, width: int = 100, terminal: bool = False, encoding: str = "utf-8") -> str:
    """What a console of that kind is sent."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    colours = "truecolor" if terminal else None
    render(
        Digest(results), Console(file=file, width=width, force_terminal=terminal, color_system=colours, _environ={})
    )
    file.flush()
    return raw.getvalue().decode(encoding)


def results(**more: object) -> Results:
    """A suite with one failure in library code that the project called."""
    name = "tests/test_desk.py::test_fee"
    phases = (
        Phase(name, "setup", "passed", duration=0.25),
        Phase(
            name,
            "call",
            "failed",
            duration=1.5,
            anchor=Anchor("desk/tests/test_desk.py", 9),
            message="ValueError: 140",
            longrepr=LONGREPR,
        ),
    )
    case = Case(name, "desk/tests/test_desk.py", 7, phases)
    return Results((Suite("desk", cases=(case,), exitstatus=1, duration=3.0, **more),))


def test_failure_is_told_with_its_line_and_the_projects_own_statement() -> None:
    """Kind, test, path:line, message; of the traceback the project's line and what was said besides."""
    text = shown(results())
    assert re.search(
        r"FAILED  tests/test_desk\.py::test_fee\n"
        r"  desk/tests/test_desk\.py:9\n"
        r"  ValueError: 140\n"
        r"    >       save\(fee\)\n"
        r"    E       hint: ask the desk\n\n",
        text,
    )


def test_suite_servers_and_total_close_the_report() -> None:
    """The last lines hold the verdict of the suite, what served it, and the total."""
    servers = (
        Server("postgres", "docker", "17.2", "postgres:17@sha256:abc", 1.5),
        Server("mongodb", "url", "7.0", "db:27017", owned=False),
    )
    text = shown(results(servers=servers))
    assert text.endswith(
        "FAILED  desk: 1 failed in 3.00 s\n"
        "        postgres 17.2, docker, postgres:17@sha256:abc, ready in 1.50 s\n"
        "        mongodb 7.0, url, db:27017, already running\n"
        "Tests failed: 1 failed in 3.00 s\n"
    )


def test_slowest_tests_are_split_by_phase() -> None:
    """Total, setup, call and teardown stand under their heads."""
    text = shown(results())
    assert re.search(r"^ +total +setup +call +teardown  slowest tests$", text, re.MULTILINE)
    assert re.search(r"^ +1\.75 s +250 ms +1\.50 s +0 ms  tests/test_desk\.py::test_fee$", text, re.MULTILINE)


def test_problem_is_told_once_with_cause_remedy_and_log() -> None:
    """Two suites that lacked the same server lacked one server."""
    problem = Problem("No mongod", "it is not on PATH", "Install it.", "line one\nline two")
    suites = tuple(Suite(name, problems=(problem,), exitstatus=1) for name in ("desk", "shop"))
    text = shown(Results(suites))
    assert text.count("PROBLEM  No mongod") == 1
    assert "  why: it is not on PATH\n  fix: Install it.\n    line one\n    line two\n" in text
    assert "A server or the environment could not be had: no tests" in text


@pytest.mark.parametrize(
    ("suite", "words"),
    [
        (Suite("desk", returncode=-9), "pytest was ended by signal 9"),
        (Suite("desk", returncode=70), "pytest's process ended with code 70 before pytest did"),
        (Suite("desk"), "pytest never came to its end"),
        (Suite("desk", exitstatus=5), "pytest ended with status 5 (no tests collected)"),
        (Suite("desk", exitstatus=1), "pytest ended with status 1 (set by a plugin)"),
        (Suite("desk", interrupted=True), "The run was interrupted"),
    ],
)
def test_unusual_ending_is_said_in_words(suite: Suite, words: str) -> None:
    """A red suite without a red test says why it is red."""
    assert words in shown(Results((suite,)))


def test_running_test_and_module_that_cannot_be_collected_are_found() -> None:
    """Both are told like failures, at their lines."""
    suite = Suite(
        "desk",
        cases=(Case("t.py::test_hangs", "desk/t.py", 5, finished=False),),
        collect_errors=(CollectError("u.py", "desk/u.py", 2, "SyntaxError: no"),),
    )
    text = shown(Results((suite,)))
    assert "STILL RUNNING  t.py::test_hangs\n  desk/t.py:5\n" in text
    assert "COLLECTION ERROR  u.py\n  desk/u.py:2\n  SyntaxError: no\n" in text


def test_many_failures_are_cut_and_counted() -> None:
    """After fifty failures a number is worth more than another one."""
    phases = [Phase(f"t.py::test_{n}", "call", "failed", message=f"no {n}") for n in range(60)]
    cases = tuple(Case(phase.nodeid, "t.py", 1, (phase,)) for phase in phases)
    text = shown(Results((Suite("desk", cases=cases, exitstatus=1),)))
    assert text.count("FAILED  t.py") == 50
    assert "...and 10 more in the summary" in text


def test_log_lines_stay_whole_and_plain() -> None:
    """Without a terminal there are no colours, and a line that people search for is never folded."""
    long = "tests/test_desk.py::test_" + "x" * 200
    phase = Phase(long, "call", "failed", message="m", duration=1.0)
    text = shown(Results((Suite("desk", cases=(Case(long, "t.py", 1, (phase,)),), exitstatus=1),)), width=40)
    assert "\x1b" not in text
    assert [line.count(long) for line in text.splitlines() if "test_x" in line] == [1, 1]


def test_terminal_gets_colours_within_its_width() -> None:
    """On a terminal red is red, and no line is wider than the screen."""
    text = shown(results(), width=30, terminal=True)
    assert "\x1b[1;31mFAILED\x1b[0m" in text
    assert max(len(line) for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()) <= 30


@patient
@given(RESULTS)
def test_no_text_of_a_test_commands_the_terminal(results: Results) -> None:
    """Any Results on a console that knows ASCII only: printed, with no control character in it."""
    for encoding in ("ascii", "utf-8"):
        text = shown(results, encoding=encoding)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text.replace("\t", " "))
