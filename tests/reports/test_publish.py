"""Publishing: every report is made that can be made here, what cannot is told, and nothing changes the verdict."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from fake_github import FakeGitHub, Trouble
from rich.console import Console
from runner_log import obeyed

from realdb_ci.github import GitHub, read
from realdb_ci.reports import publish
from realdb_ci.results import Anchor, Case, Phase, Results, Suite

FILES = {"junit.xml", "report.sarif", "report.html", "summary.md"}


def failing(number: int) -> Results:
    """A suite with that many failures."""
    cases = []
    for line in range(1, number + 1):
        name = f"tests/test_desk.py::test_{line}"
        phase = Phase(name, "call", "failed", message="no", anchor=Anchor("tests/test_desk.py", line))
        cases.append(Case(name, "tests/test_desk.py", line, (phase,)))
    return Results((Suite("desk", cases=tuple(cases), exitstatus=1),))


class Job:
    """A job on the fake GitHub, in a checkout with one test module."""

    def __init__(self, fake: FakeGitHub, folder: Path) -> None:
        self.fake, self.folder, self.log = fake, folder, ""
        (folder / "tests").mkdir()
        (folder / "tests" / "test_desk.py").touch()

    def run(self, results: Results, **more: Any) -> None:
        """Publish the results from a job that differs in these things."""
        job = self.fake.job(
            self.folder, **{"summary": self.folder / "step", "output": self.folder / "output", **more}
        )
        self.publish(results, job)

    def publish(self, results: Results, github: GitHub | None) -> None:
        """Publish the results and keep the log."""
        console = Console(file=io.StringIO(), width=200)
        publish(results, self.folder, console, github)
        self.log = console.file.getvalue()

    @property
    def summary(self) -> str:
        """The job summary."""
        return (self.folder / "step").read_text(encoding="utf-8")

    @property
    def commands(self) -> list[str]:
        """The names of the commands in the log."""
        return [found.name for found in map(obeyed, self.log.splitlines()) if found]

    @property
    def files(self) -> set[str]:
        """The files in the output folder."""
        return {path.name for path in self.folder.iterdir() if path.suffix}


@pytest.fixture
def job(fake: FakeGitHub, tmp_path: Path) -> Job:
    """A job that has not reported yet."""
    return Job(fake, tmp_path)


def test_everything_is_published_where_everything_is_allowed(job: Job) -> None:
    """Check run, comment, summary, outputs and files; no second set of annotations in the log."""
    job.run(failing(3))
    [run] = job.fake.checks.values()
    assert len(run["annotations"]) == 3
    assert len(job.fake.comments) == 1
    assert job.summary.startswith("## ❌ Tests failed: 3 failed")
    assert "could not be made" not in job.summary + job.log
    assert (job.folder / "output").read_text(encoding="utf-8").startswith("outcome<<")
    assert job.files == FILES
    assert job.commands == []
    assert "Tests failed: 3 failed" in job.log


def test_token_that_may_only_read_leaves_the_log_and_the_summary(job: Job) -> None:
    """A fork's pull request: ten commands at most, and the summary says which reports are missing and why."""
    job.fake.permissions = set()
    job.run(failing(30), restricted="a pull request from a fork gets a token that may only read")
    assert job.commands == ["error"] * 10
    assert "...and 21 more" in job.log
    end = job.summary.rpartition("### Reports that could not be made")[2]
    assert "<code>check</code>" in end
    assert "<code>comment</code>" in end
    assert end.count("a pull request from a fork gets a token that may only read") == 2
    assert "the report 'check' could not be made" in job.log


def test_missing_permission_is_named_with_its_remedy(job: Job) -> None:
    """The workflow's author reads what to write; the comment is made all the same."""
    job.fake.permissions = {"pull-requests"}
    job.run(failing(1))
    assert "Give the job the permission 'checks: write'." in job.summary
    assert len(job.fake.comments) == 1
    assert job.commands == ["error"]


@pytest.mark.parametrize("trouble", [Trouble(503), Trouble(drop=True), Trouble(silent=True)])
def test_github_that_is_down_costs_a_bounded_time_and_no_report_of_ours(job: Job, trouble: Trouble) -> None:
    """Few requests, no exception, and all that needs no API."""
    job.fake.troubles += [trouble] * 200
    job.run(failing(3), patience=0.3, timeout=0.2)
    assert len(job.fake.requests) <= 8
    assert job.commands == ["error"] * 3
    assert "### Reports that could not be made" in job.summary
    assert job.files == FILES


def test_server_that_cannot_be_reached_is_told(job: Job) -> None:
    """No route, no name, no port: the same."""
    job.run(failing(1), api="http://127.0.0.1:9", patience=0.5)
    assert "GitHub did not answer" in job.summary
    assert job.commands == ["error"]


def test_annotations_that_came_halfway_are_not_repeated_in_the_log(job: Job) -> None:
    """The check run has the best of them; that some are missing is told."""
    job.fake.troubles.append(Trouble(422, on="PATCH"))
    job.run(failing(120))
    assert job.commands == []
    assert "not all of its annotations could be added" in job.summary


def test_summary_that_cannot_be_written_is_told_in_the_log(job: Job) -> None:
    """The last rung: the log always is."""
    job.run(failing(1), summary=job.folder / "no" / "such" / "file")
    assert "the report 'summary' could not be made: FileNotFoundError" in job.log
    assert "Tests failed: 1 failed" in job.log


def test_folder_that_cannot_be_written_to_costs_its_files_only(job: Job) -> None:
    """Each report stands for itself."""
    for name in ("junit.xml", "report.html"):
        (job.folder / name).mkdir()
    job.run(failing(1))
    assert len(job.fake.checks) == 1
    for name in ("junit", "html"):
        assert f"the report '{name}' could not be made: IsADirectoryError" in job.log
        assert f"<code>{name}</code>" in job.summary
    assert job.log.rstrip().endswith("report.sarif, summary.md")


def test_report_with_a_mistake_of_ours_hides_no_other(job: Job) -> None:
    """Results that one report cannot stomach are told by the others."""
    broken = Suite("desk", start=1e300, cases=failing(1).cases, exitstatus=1)
    job.run(Results((broken,)))
    assert "the report 'junit' could not be made: OverflowError" in job.log
    assert len(job.fake.checks) == 1


def test_step_without_a_token_reports_through_its_log(job: Job) -> None:
    """Who hands none over has not asked for more, and nothing is missing."""
    job.run(failing(2), token="")
    assert job.fake.requests == []
    assert job.commands == ["error", "error"]
    assert "could not be made" not in job.summary + job.log


def test_outside_github_only_files_and_the_terminal_are_made(job: Job) -> None:
    """On a person's machine there is nobody to ask and nothing to command."""
    job.publish(failing(2), None)
    assert job.fake.requests == []
    assert job.commands == []
    assert job.files == FILES
    assert "Tests failed: 2 failed" in job.log


def test_summaries_of_one_step_share_its_size(job: Job) -> None:
    """GitHub drops a summary of more than 1 MiB as a whole, whoever wrote the first part."""
    (job.folder / "step").write_text("x" * 990_000 + "\n", encoding="utf-8")
    job.run(failing(500))
    assert 990_001 < (job.folder / "step").stat().st_size <= 1_000_000
    assert "## ❌ Tests failed: 500 failed" in job.summary


def test_thousand_failures_are_reported_in_at_most_25_requests(job: Job) -> None:
    """Check run, annotations and comment together."""
    job.run(failing(1_000))
    [run] = job.fake.checks.values()
    assert len(run["annotations"]) == 1_000
    assert len(job.fake.requests) <= 25


def test_job_is_read_from_its_environment(job: Job) -> None:
    """From the variables and the event to a check run on the head of the pull request."""
    event = job.folder / "event"
    head = {"sha": "d" * 40, "repo": {"full_name": "ann/desk"}}
    event.write_text(json.dumps({"pull_request": {"number": 7, "head": head}}), encoding="utf-8")
    environ = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": job.fake.url,
        "GITHUB_REPOSITORY": "ann/desk",
        "GITHUB_SHA": "e" * 40,
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_JOB": "test",
        "GITHUB_TOKEN": "ghs_example",
        "GITHUB_STEP_SUMMARY": str(job.folder / "step"),
    }
    job.publish(failing(1), read(environ, job.folder))
    [run] = job.fake.checks.values()
    assert (run["head_sha"], run["name"]) == ("d" * 40, "realdb-ci: test")
    assert len(job.fake.comments) == 1
