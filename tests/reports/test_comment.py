"""The comment: one a job, kept up to date, short, and silent where there is nothing to say."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from fake_github import HEAD, FakeGitHub, Trouble
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from strategies import RESULTS, patient
from whole_markdown import assert_whole

from realdb_ci.github import Client, GitHub, Unreachable
from realdb_ci.reports import Place, comment
from realdb_ci.reports.digest import Digest
from realdb_ci.results import Case, Comparison, Phase, Problem, Results, Slower, Suite

PASSED = Case("t.py::test_0", "t.py", 1, (Phase("t.py::test_0", "teardown", "passed"),))
GREEN = Results((Suite("desk", cases=(PASSED,), exitstatus=0),))


def red(number: int = 1) -> Results:
    """A suite with that many failures."""
    phases = [Phase(f"t.py::test_{n}", "call", "failed", message=f"no {n}") for n in range(number)]
    cases = tuple(Case(phase.nodeid, "t.py", 1, (phase,)) for phase in phases)
    return Results((Suite("desk", cases=cases, exitstatus=1),))


@pytest.fixture
def place(fake: FakeGitHub, tmp_path: Path) -> Place:
    """A job of a pull request's run."""
    job = fake.job(tmp_path)
    return Place(tmp_path, Console(file=io.StringIO()), job, Client(job, lambda _seconds: None))


def of(place: Place, **more: object) -> Place:
    """The same place for another job."""
    job = replace(place.github, **more)
    return replace(place, github=job, client=Client(job, lambda _seconds: None))


def bodies(fake: FakeGitHub) -> list[str]:
    """All comments."""
    return [one["body"] for one in fake.comments.values()]


def test_comment_turns_green_with_the_run(fake: FakeGitHub, place: Place) -> None:
    """One comment, from the failure to its mending."""
    assert comment.publish(Digest(red()), place)
    assert "Tests failed: 1 failed" in bodies(fake)[0]
    assert comment.publish(Digest(GREEN), place)
    [body] = bodies(fake)
    assert "All tests passed" in body
    assert f"({place.github.run_url}), for commit {HEAD}." in body


@pytest.mark.parametrize(
    ("results", "written"),
    [
        (GREEN, False),
        (red(), True),
        (Results((Suite("desk", problems=(Problem("No server"),), exitstatus=0),)), True),
        (
            Results(
                (
                    Suite(
                        "desk",
                        exitstatus=0,
                        cases=(
                            Case(
                                "t.py::t",
                                "t.py",
                                1,
                                (Phase("t.py::t", "call", "rerun"), Phase("t.py::t", "call", "passed", attempt=2)),
                            ),
                        ),
                    ),
                )
            ),
            True,
        ),
    ],
)
def test_comment_is_begun_only_where_something_is_to_be_done(
    fake: FakeGitHub, place: Place, results: Results, *, written: bool
) -> None:
    """A green run needs nobody's attention; a failure, a problem and a flaky test do."""
    assert comment.publish(Digest(results), place) is written
    assert len(bodies(fake)) == written


def test_legs_of_a_matrix_have_comments_of_their_own(fake: FakeGitHub, place: Place) -> None:
    """Each one updates its own, whoever comes first."""
    for results in (red(), GREEN):
        for matrix in ("3.11", "3.12"):
            comment.publish(Digest(results), of(place, matrix=matrix))
    assert len(bodies(fake)) == 2
    assert all("All tests passed" in body for body in bodies(fake))


def test_comment_is_short(fake: FakeGitHub, place: Place) -> None:
    """After twenty failures a link is worth more; what is left out is counted."""
    comment.publish(Digest(red(300)), place)
    [body] = bodies(fake)
    assert body.count("| failed |") == 20
    assert "...and 280 more in the events file." in body


def test_push_finds_the_pull_request_of_its_commit(fake: FakeGitHub, place: Place) -> None:
    """The event does not tell of it, GitHub does."""
    assert comment.publish(Digest(red()), of(place, event="push", pull=None))
    assert len(bodies(fake)) == 1


@pytest.mark.parametrize("event", ["merge_group", "schedule"])
def test_other_events_have_no_pull_request_to_ask_for(fake: FakeGitHub, place: Place, event: str) -> None:
    """And none is asked for."""
    assert comment.publish(Digest(red()), of(place, event=event, pull=None)) is False
    assert fake.requests == []


def test_push_without_the_permission_to_look_wants_no_comment(fake: FakeGitHub, place: Place) -> None:
    """Most pushes have no pull request; it is not worth a line in every report."""
    fake.troubles.append(Trouble(403, message="Resource not accessible by integration"))
    assert comment.publish(Digest(red()), of(place, event="push", pull=None)) is False


def test_green_run_with_slower_tests_gets_a_comment(fake: FakeGitHub, place: Place) -> None:
    """There is something to act on."""
    told = Comparison(("a" * 40,), "main", slower=(Slower("t.py::test_slow", 1.0, 0.0, 3.0, 3.0),), enough=True)
    assert comment.publish(Digest(Results((Suite("desk", exitstatus=0, comparison=told),))), place)
    assert "test_slow" in bodies(fake)[0]


def test_missing_permission_to_write_is_told(fake: FakeGitHub, place: Place) -> None:
    """On a pull request there should have been a comment."""
    fake.permissions = {"checks"}
    with pytest.raises(Unreachable):
        comment.publish(Digest(red()), place)


def test_comment_that_is_refused_for_its_length_is_written_short(fake: FakeGitHub, place: Place) -> None:
    """Should GitHub's limit be lower than it says: the verdict and the link at least."""
    fake.troubles.append(Trouble(422, message="Body is too long", on="POST"))
    assert comment.publish(Digest(red(300)), place)
    [body] = bodies(fake)
    assert len(body) <= 1_000
    assert "Tests failed: 300 failed" in body
    assert place.github.run_url in body


@patient
@given(RESULTS, st.integers(500, 20_000) | st.just(comment.BUDGET))
def test_any_results_in_any_budget_are_a_whole_comment(results: Results, budget: int) -> None:
    """Within the budget, unless the verdict alone is longer; with nothing open and nothing live in it."""
    body = comment.render(Digest(results), GitHub("ann/desk", HEAD, Path(), job="test", matrix="| a <b>"), budget)
    assert len(body.encode()) <= max(budget, 800)
    head, _, rest = body.partition("\n")
    assert head.startswith("<!-- realdb-ci:")
    assert_whole(rest.rpartition("\n\n")[0])
