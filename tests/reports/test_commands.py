"""Workflow commands: ten of a kind, on the right lines, and none that a test has written."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from runner_log import obeyed
from strategies import HOSTILE, RESULTS, patient

from realdb_ci.github import GitHub
from realdb_ci.reports import Place, commands, terminal
from realdb_ci.reports.commands import command, render
from realdb_ci.reports.digest import Digest
from realdb_ci.reports.notes import FAILURE, WARNING, Note
from realdb_ci.results import Results


def log(results: Results, root: Path, encoding: str = "utf-8") -> list[str]:
    """The lines that a job's log holds after the commands and the terminal's report."""
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding=encoding, newline="\n"), width=80, _environ={})
    place = Place(root, console, GitHub("ann/desk", "c" * 40, root))
    commands.publish(Digest(results), place)
    terminal.publish(Digest(results), place)
    console.file.flush()
    return raw.getvalue().decode(encoding).split("\n")


def note(number: int = 1, level: str = FAILURE) -> Note:
    """A note on a line of its own."""
    return Note("tests/test_a.py", number, level, f"test_{number}: failed", f"no {number}")


def test_note_is_understood_as_it_was_meant() -> None:
    """File, line, title and all lines of the message."""
    [line] = render([Note("tests/a,b.py", 7, WARNING, "a: b, c=100%", "one\n::error::two\r\n%0A", "details")])
    found = obeyed(line)
    assert found.name == "warning"
    assert found.properties == {"file": "tests/a,b.py", "line": "7", "title": "a: b, c=100%"}
    assert found.data == "one\n::error::two\n%0A"


def test_note_without_a_line_is_told_without_one() -> None:
    """A problem before the first test points at no file."""
    [line] = render([Note("", 1, FAILURE, "No server", "Why: no engine")])
    assert line == "::error title=No server::Why%3A no engine".replace("%3A", ":")


@pytest.mark.parametrize(("number", "last"), [(10, "no 10"), (11, "...and 2 more, in the summary of this run")])
def test_ten_of_a_kind_are_told_and_the_last_one_counts_the_rest(number: int, last: str) -> None:
    """The runner would drop the eleventh without a word; warnings have places of their own."""
    told = [obeyed(line) for line in render([*(note(n) for n in range(1, number + 1)), note(99, WARNING)])]
    errors = [one for one in told if one.name == "error"]
    assert len(errors) == 10
    assert errors[-1].data == last
    assert [one.data for one in told if one.name == "warning"] == ["no 99"]


@patient
@given(st.text() | st.sampled_from(HOSTILE), st.text() | st.sampled_from(HOSTILE))
def test_any_text_is_one_command(message: str, title: str) -> None:
    """On one line, with nothing behind it, and not cut in the middle of an escape."""
    line = command("error", message * 200, title=title)
    assert "\n" not in line
    assert "\r" not in line
    found = obeyed(line)
    assert found.name == "error"
    assert len(found.data) <= 4_096
    assert found.properties.keys() <= {"title"}


@patient
@given(RESULTS, st.sampled_from(["utf-8", "ascii"]))
def test_log_holds_no_command_but_ours(
    tmp_path_factory: pytest.TempPathFactory, results: Results, encoding: str
) -> None:
    """Whatever a test is called, raises or prints: of all lines only our errors and warnings are obeyed."""
    lines = log(results, tmp_path_factory.getbasetemp(), encoding)
    ours = next((number for number, line in enumerate(lines) if not line.startswith(("::error ", "::warning "))), 0)
    assert ours <= 20
    assert [line for line in lines[ours:] if obeyed(line)] == []


def test_nothing_is_commanded_outside_github(tmp_path: Path) -> None:
    """On a person's terminal they would be noise."""
    assert commands.publish(Digest(Results()), Place(tmp_path, Console(file=io.StringIO()))) is False
