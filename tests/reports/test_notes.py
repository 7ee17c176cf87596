"""Notes: one for each thing that went wrong, on a line that exists, the most valuable first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from strategies import RESULTS, patient

from realdb_ci.reports.digest import Digest
from realdb_ci.reports.notes import Note, notes
from realdb_ci.results import Anchor, Case, CollectError, Phase, Problem, Repeat, Results, Suite

HELPER, TEST = Anchor("desk/fees.py", 3), Anchor("tests/test_desk.py", 9)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with a module and a test module."""
    for place in (HELPER, TEST):
        (tmp_path / place.path).parent.mkdir()
        (tmp_path / place.path).touch()
    return tmp_path


def case(name: str = "test_fee", *phases: Phase, when: str = "call", **more: object) -> Case:
    """A test that failed."""
    nodeid = f"tests/test_desk.py::{name}"
    failed = Phase(nodeid, when, "failed", **{"message": "ValueError: 140", "anchor": HELPER, **more})
    return Case(nodeid, TEST.path, TEST.line, phases or (failed,))


def told(root: Path, *cases: Case, **suite: object) -> list[Note]:
    """The notes on a suite of these tests."""
    return list(notes(Digest(Results((Suite("desk", cases=cases, exitstatus=1, **suite),))), root))


def test_failure_is_noted_on_the_deepest_line_and_names_the_test(root: Path) -> None:
    """The line that raised; the test's own line is in the message."""
    longrepr = (
        ">       raise ValueError(fee)\nE       ValueError: 140\nE       hint: ask\n\ndesk/fees.py:3: ValueError"
    )
    [note] = told(root, case(longrepr=longrepr, sections=(("Captured stdout call", "hello"),)))
    assert (note.path, note.line, note.level) == ("desk/fees.py", 3, "failure")
    assert note.title == "tests/test_desk.py::test_fee: failed"
    assert note.message.startswith("ValueError: 140\n\n>       raise ValueError(fee)\n")
    assert note.message.endswith("\n\nThe test: tests/test_desk.py:9")
    assert note.details.endswith("--- Captured stdout call ---\nhello")


@pytest.mark.parametrize(
    "path", ["gone.py", "", "/etc/passwd", "../outside.py", "desk", "desk/../../outside.py", "a\x00b", "a\nb"]
)
def test_path_that_is_no_file_of_the_checkout_gives_way_to_the_test(root: Path, path: str) -> None:
    """GitHub shows nothing on a path that it does not know."""
    (root.parent / "outside.py").touch()
    [note] = told(root, case(anchor=Anchor(path, 5)))
    assert (note.path, note.line) == (TEST.path, TEST.line)
    assert "The test:" not in note.message


def test_failure_without_any_line_is_noted_without_one(root: Path) -> None:
    """It is still told where no line is needed, with the place that the test has elsewhere."""
    (root / TEST.path).unlink()
    [note] = told(root, case(anchor=None))
    assert note.path == ""
    assert note.message == "ValueError: 140\n\nThe test: tests/test_desk.py:9"


def test_one_broken_fixture_is_one_note(root: Path) -> None:
    """However many tests it stopped; other failures keep their own."""
    broken = [case(f"test_{n}", when="setup", message="ConnectionError: no", anchor=HELPER) for n in range(212)]
    [first, second] = told(root, case("test_other"), *broken)
    assert first.title == "212 tests could not run"
    assert first.message.startswith("212 tests could not run: ConnectionError: no")
    assert "The first of them: tests/test_desk.py::test_0" in first.message
    assert second.title == "tests/test_desk.py::test_other: failed"


def test_broken_server_is_one_note_with_its_log(root: Path) -> None:
    """What was recorded of the problem says more than pytest's failure does."""
    problem = Problem("No PostgreSQL", "it ended at once", "Look at its log.", "FATAL: out of disk")
    broken = [case(f"test_{n}", when="setup", message="Failed: No PostgreSQL", anchor=None) for n in range(3)]
    [note] = told(root, *broken, problems=(problem, problem))
    assert note.message.startswith(
        "3 tests could not run: No PostgreSQL\nWhy: it ended at once\nFix: Look at its log."
    )
    assert note.details == "FATAL: out of disk"
    assert (note.path, note.line) == (TEST.path, TEST.line)


def test_problem_that_no_test_has_met_is_noted(root: Path) -> None:
    """It came before the first test, and is why there were none."""
    [note] = told(root, problems=(Problem("A setting cannot be used", "it is 7", "Change it."),))
    assert (note.path, note.title, note.level) == ("", "A setting cannot be used", "failure")


@pytest.mark.parametrize(
    ("cases", "suite", "titles"),
    [
        ([case(when="setup")], {}, ["tests/test_desk.py::test_fee: setup error"]),
        ([case(when="teardown")], {}, ["tests/test_desk.py::test_fee: teardown error"]),
        ([case(when="error")], {}, ["tests/test_desk.py::test_fee: error"]),
        ([case(strict_xpass=True)], {}, ["tests/test_desk.py::test_fee: strict xpass"]),
        ([case(subtest="day=3")], {}, ["tests/test_desk.py::test_fee [day=3]: subtest failed"]),
        ([Case("t.py::test_x", TEST.path, 2, finished=False)], {}, ["t.py::test_x: still running"]),
        (
            [],
            {"collect_errors": (CollectError("tests/test_desk.py", TEST.path, 2, "SyntaxError: no"),)},
            ["tests/test_desk.py: collection error"],
        ),
    ],
)
def test_everything_that_went_wrong_is_noted(
    root: Path, cases: list[Case], suite: dict[str, object], titles: list[str]
) -> None:
    """Not only failures in a call."""
    found = told(root, *cases, **suite)
    assert [note.title for note in found] == titles
    assert all(note.level == "failure" and note.path and note.message for note in found)


def test_flaky_test_is_a_warning(root: Path) -> None:
    """On the line where it failed first, behind all failures."""
    nodeid = "tests/test_desk.py::test_flaky"
    flaky = case(
        "test_flaky",
        Phase(nodeid, "call", "rerun", message="Timeout", anchor=HELPER),
        Phase(nodeid, "call", "passed", attempt=2),
    )
    [failure, warning] = told(root, flaky, case())
    assert (failure.level, warning.level) == ("failure", "warning")
    assert (warning.path, warning.line) == ("desk/fees.py", 3)
    assert warning.title == f"{nodeid}: passed on attempt 2"


def test_best_notes_come_first(root: Path) -> None:
    """What stopped many, then one of each failure, then more of the same."""
    same = [case(f"test_same_{n}", message="the same") for n in range(3)]
    stopped = [case(f"test_stopped_{n}", when="setup", message="no fixture") for n in range(2)]
    teardown = case("test_open", when="teardown", message="stuck")
    titles = [note.title for note in told(root, teardown, *same, *stopped, case("test_other", message="another"))]
    short = [title.rpartition("::")[2] for title in titles]
    assert short == [
        "2 tests could not run",
        "test_same_0: failed",
        "test_other: failed",
        "test_open: teardown error",
        "test_same_1: failed",
        "test_same_2: failed",
    ]


@patient
@given(RESULTS)
def test_any_results_are_noted_within_limits(tmp_path_factory: pytest.TempPathFactory, results: Results) -> None:
    """Every note has a short title, a bounded message, and a path inside the checkout or none."""
    root = tmp_path_factory.getbasetemp()
    for note in notes(Digest(results), root):
        assert len(note.title) <= 200
        assert "\n" not in note.title
        assert len(note.message.encode()) <= 9_000
        assert len(note.details.encode()) <= 30_000
        assert note.path == "" or (root / note.path).is_file()


@pytest.mark.parametrize(
    ("suite", "title", "words"),
    [
        (Suite("desk", exitstatus=5), "No tests were collected in desk", "testpaths"),
        (Suite("desk", exitstatus=3), "The suite did not succeed in desk", "internal error"),
        (Suite("", returncode=-9), "The suite did not succeed", "signal 9"),
        (Suite("desk", exitstatus=2, interrupted=True), "The suite did not succeed in desk", "interrupted"),
    ],
)
def test_red_suite_that_nothing_explains_is_noted(suite: Suite, title: str, words: str, root: Path) -> None:
    """One note that says how pytest ended; a failure or a problem would say more."""
    [note] = notes(Digest(Results((suite,))), root)
    assert (note.title, note.level) == (title, "failure")
    assert words in note.message
    explained = replace(suite, problems=(Problem("The disk is full"),))
    assert [one.title for one in notes(Digest(Results((explained,))), root)] == ["The disk is full"]


def test_repeated_statement_is_a_warning_on_its_line(root: Path) -> None:
    """Once for each line, with the test where it came most often; failures come before it."""
    few, many, elsewhere = (
        Repeat("SELECT fee", 11, 0.1, HELPER.path, HELPER.line),
        Repeat("SELECT fee WHERE id = %(id)s", 30, 0.25, HELPER.path, HELPER.line),
        Repeat("find fees {id: ?}", 12, 0.5, "gone.py", 5),
    )
    cases = [
        case(name, Phase(f"t.py::{name}", "call", "passed", repeats=(repeat,)))
        for name, repeat in (("test_few", few), ("test_many", many), ("test_elsewhere", elsewhere))
    ]
    failure, *warnings = told(root, *cases, case())
    assert failure.level == "failure"
    assert [(one.path, one.line, one.level) for one in warnings] == [
        (HELPER.path, HELPER.line, "warning"),
        ("", 1, "warning"),
    ]
    assert warnings[0].title == "30 times the same statement from one line"
    assert warnings[0].message.splitlines() == [
        "30 times the same statement from one line, 250 ms in the database, in tests/test_desk.py::test_many:",
        "SELECT fee WHERE id = %(id)s",
    ]
