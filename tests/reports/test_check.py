"""The check run, as GitHub receives it: conclusion, commit, summary, and annotations on lines that exist."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from fake_github import HEAD, FakeGitHub, Trouble
from github_contract import ENDPOINTS
from hypothesis import given
from rich.console import Console
from strategies import RESULTS, patient

from realdb_ci.github import Client, GitHub, Unreachable
from realdb_ci.reports import Partly, Place, check
from realdb_ci.reports.digest import Digest
from realdb_ci.results import Anchor, Case, Phase, Problem, Results, Suite


def failing(number: int, message: str = "AssertionError: assert 1 == 2") -> Digest:
    """A suite with that many failures, each on a line of its own."""
    cases = []
    for line in range(1, number + 1):
        name = f"tests/test_desk.py::test_{line}"
        phase = Phase(name, "call", "failed", message=message, anchor=Anchor("tests/test_desk.py", line))
        cases.append(Case(name, "tests/test_desk.py", line, (phase,)))
    return Digest(Results((Suite("desk", cases=tuple(cases), exitstatus=1, duration=3.0),)))


@pytest.fixture
def place(fake: FakeGitHub, tmp_path: Path) -> Place:
    """A job with a token, in a checkout with one test module."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_desk.py").touch()
    job = fake.job(tmp_path, matrix="3.12, 17", timeout=0.3)
    return Place(tmp_path, Console(file=io.StringIO()), job, Client(job, lambda _seconds: None))


def test_check_run_says_what_happened(fake: FakeGitHub, place: Place) -> None:
    """On the head of the pull request, under the job's own name, with a link to the run."""
    assert check.publish(failing(2), place)
    [run] = fake.checks.values()
    assert (run["name"], run["head_sha"], run["conclusion"]) == ("realdb-ci: test (3.12, 17)", HEAD, "failure")
    assert run["details_url"] == "https://github.com/ann/desk/actions/runs/42/attempts/1"
    assert run["output"]["title"] == "Tests failed: 2 failed in 3.00 s"
    assert "| <code>tests/test_desk.py:1</code> |" in run["output"]["summary"]
    assert [(one["path"], one["start_line"], one["annotation_level"]) for one in run["annotations"]] == [
        ("tests/test_desk.py", 1, "failure"),
        ("tests/test_desk.py", 2, "failure"),
    ]


@pytest.mark.parametrize(
    ("suite", "conclusion"),
    [
        (Suite("desk", exitstatus=0), "success"),
        (Suite("desk", exitstatus=1), "failure"),
        (Suite("desk", exitstatus=5), "failure"),
        (Suite("desk", problems=(Problem("No server"),), exitstatus=1), "failure"),
        (Suite("desk", interrupted=True), "cancelled"),
    ],
)
def test_conclusion_is_the_verdict(fake: FakeGitHub, place: Place, suite: Suite, conclusion: str) -> None:
    """Green only where everything is."""
    check.publish(Digest(Results((suite,))), place)
    [run] = fake.checks.values()
    assert run["conclusion"] == conclusion


def test_thousand_failures_are_reported_in_at_most_25_requests(fake: FakeGitHub, place: Place) -> None:
    """All of them, each once, none in two places."""
    check.publish(failing(1_000), place)
    [run] = fake.checks.values()
    assert sorted(one["start_line"] for one in run["annotations"]) == list(range(1, 1_001))
    assert len(fake.requests) <= 25


def test_more_than_a_thousand_are_cut_and_counted(fake: FakeGitHub, place: Place) -> None:
    """Somebody may want to know that there are more."""
    check.publish(failing(1_200), place)
    [run] = fake.checks.values()
    assert len(run["annotations"]) == 1_000
    assert run["output"]["summary"].endswith("1000 of 1200 annotations are shown.")


def test_failures_without_a_line_are_counted(fake: FakeGitHub, place: Place) -> None:
    """An annotation needs a file; what has none is in the summary, and the summary says so."""
    (place.github.root / "tests" / "test_desk.py").unlink()
    check.publish(failing(3), place)
    [run] = fake.checks.values()
    assert run["annotations"] == []
    assert "3 of 3 findings point at no line of the repository." in run["output"]["summary"]
    assert run["output"]["summary"].count("<code>tests/test_desk.py::test_") == 3


def test_refused_annotations_leave_a_check_run_without_them(fake: FakeGitHub, place: Place) -> None:
    """The verdict is there; whoever asked hears that the annotations have to go elsewhere."""
    fake.troubles.append(Trouble(422, message="Invalid request", on="POST"))
    with pytest.raises(Unreachable):
        check.publish(failing(2), place)
    [run] = fake.checks.values()
    assert (run["conclusion"], run["annotations"]) == ("failure", [])


def test_annotations_that_were_lost_on_the_way_are_told(fake: FakeGitHub, place: Place) -> None:
    """What is there stays, and is enough not to tell it in another place again."""
    fake.troubles.append(Trouble(422, message="Invalid request", on="PATCH"))
    with pytest.raises(Partly, match="not all of its annotations"):
        check.publish(failing(120), place)
    [run] = fake.checks.values()
    assert len(run["annotations"]) == 50


def test_without_a_token_nothing_is_asked(fake: FakeGitHub, place: Place) -> None:
    """A job that was given none has not asked for a check run."""
    assert check.publish(failing(1), replace(place, client=None)) is False
    assert fake.requests == []


@patient
@given(RESULTS)
def test_any_results_are_a_request_that_github_accepts(
    tmp_path_factory: pytest.TempPathFactory, results: Results
) -> None:
    """By its published description and by the limits that stand beside it."""
    [endpoint] = (one for one in ENDPOINTS if one.method == "POST" and one.path.endswith("/check-runs"))
    made = check.render(Digest(results), GitHub("ann/desk", HEAD, tmp_path_factory.getbasetemp(), job="test"))
    body = {**made.run, "output": {**made.output, "annotations": made.annotations[:50]}}
    assert endpoint.complaints({}, body) == []


@patient
@given(RESULTS)
def test_any_annotation_is_one_that_github_accepts(
    tmp_path_factory: pytest.TempPathFactory, results: Results
) -> None:
    """Also where every failure points at a line that exists."""
    root = tmp_path_factory.getbasetemp()
    (root / "a.py").touch()
    suites = tuple(
        replace(suite, cases=tuple(replace(case, path="a.py") for case in suite.cases)) for suite in results.suites
    )
    [endpoint] = (one for one in ENDPOINTS if one.method == "POST" and one.path.endswith("/check-runs"))
    made = check.render(Digest(Results(suites)), GitHub("ann/desk", HEAD, root, job="test"))
    body = {**made.run, "output": {**made.output, "annotations": made.annotations[:50]}}
    assert endpoint.complaints({}, body) == []
    assert len(made.annotations) >= sum(bool(case.failures) for suite in suites for case in suite.cases[:1])
