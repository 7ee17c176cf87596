"""Step outputs: numbers that add up, and values that no test's text can turn into another output."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from strategies import RESULTS, patient

from realdb_ci.github import GitHub
from realdb_ci.reports import Place
from realdb_ci.reports.digest import Digest
from realdb_ci.reports.outputs import outputs, publish, render
from realdb_ci.results import Case, CollectError, Phase, Problem, Results, Suite

NAMES = [
    *("outcome", "tests", "passed", "failed", "errors", "skipped", "flaky"),
    *("duration", "junit", "events", "html"),
]


def read(text: str) -> dict[str, str]:
    """The file as the runner reads it: ``name<<delimiter``, the value's lines, the delimiter."""
    found, lines = {}, iter(text.split("\n"))
    for line in lines:
        name, arrows, delimiter = line.partition("<<")
        if arrows:
            value = []
            while (part := next(lines)) != delimiter:
                value.append(part)
            found[name] = "\n".join(value)
    return found


def case(outcome: str, **more: object) -> Case:
    """A test that ended so."""
    return Case(outcome, "t.py", 1, (Phase(outcome, "call", outcome, **more),))


def test_outputs_tell_the_run() -> None:
    """Every output, with a module that could not be collected among the errors."""
    flaky = Case("f", "t.py", 1, (Phase("f", "call", "rerun"), Phase("f", "call", "passed", attempt=2)))
    suite = Suite(
        "desk",
        cases=(case("passed"), case("failed"), case("skipped"), case("skipped", wasxfail="known"), flaky),
        collect_errors=(CollectError("u.py"),),
        exitstatus=1,
        duration=1.23456,
    )
    assert outputs(Results((suite,)), Path("out")) == {
        "outcome": "failed",
        "tests": "6",
        "passed": "1",
        "failed": "1",
        "errors": "1",
        "skipped": "2",
        "flaky": "1",
        "duration": "1.235",
        "junit": "out/junit.xml",
        "events": "out/events.jsonl",
        "html": "out/report.html",
    }


def test_outcome_is_one_word() -> None:
    """Conditions of a workflow compare it."""
    suite = Suite("desk", problems=(Problem("No server"),), exitstatus=1)
    assert outputs(Results((suite,)), Path())["outcome"] == "no-server"


@patient
@given(RESULTS)
def test_any_results_have_all_outputs_and_they_add_up(results: Results) -> None:
    """Whatever happened, each test is in one of the numbers."""
    found = outputs(results, Path("out"))
    assert list(found) == NAMES
    parts = sum(int(found[name]) for name in ("passed", "failed", "errors", "skipped", "flaky"))
    assert parts == int(found["tests"])


@patient
@given(st.dictionaries(st.sampled_from(NAMES), st.text(st.characters(codec="utf-8"))))
def test_any_value_is_read_as_it_was_written(values: dict[str, str]) -> None:
    """Lines, equals signs and arrows in a value stay in it."""
    assert read(render(values)) == values


def test_outputs_are_added_to_the_runners_file(tmp_path: Path) -> None:
    """What an earlier part of the step wrote stays; without a file there is nothing to do."""
    file = tmp_path / "output"
    file.write_text("mine<<x\n1\nx\n", encoding="utf-8")
    job = GitHub("ann/desk", "c" * 40, tmp_path, output=file)
    console = Console(file=io.StringIO())
    assert publish(Digest(Results()), Place(Path("out"), console, job))
    assert read(file.read_text(encoding="utf-8")).keys() == {"mine", *NAMES}
    assert publish(Digest(Results()), Place(Path("out"), console)) is False


@pytest.mark.parametrize("name", NAMES)
def test_every_promised_output_is_there(name: str) -> None:
    """The names are a contract with workflows."""
    assert name in outputs(Results(), Path())
