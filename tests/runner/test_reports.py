"""What reviewers see of a failing run, in each case of what its token may do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_github import HEAD, FakeGitHub, Trouble
from imitation import AFTER_SIGINT, PULL, ROOT, RUNNER_UID, Done, Machine

pytestmark = pytest.mark.docker
MakeMachine = Callable[..., Machine]
BROKEN = ROOT / "fixtures" / "broken"
EVERYTHING = frozenset({"checks", "pull-requests"})
# By title of the annotation, the text of the line that it has to stand on.
LINES = json.loads(Path(__file__).with_name("broken_lines.json").read_text(encoding="utf-8"))


def run(machine: MakeMachine, **options: str) -> tuple[Machine, Done]:
    """Run the sample that fails in every way."""
    one = machine(**options)
    if not (one.workspace / "broken").exists():
        one.check_out(BROKEN)
    done = one.run(with_={"working-directory": "broken"})
    assert done.code == 1, done.raw
    assert done.outputs["outcome"] == "failed"
    return one, done


@pytest.mark.parametrize("allowed", [EVERYTHING, {"checks"}, {"pull-requests"}, frozenset()], ids=sorted)
def test_report_reaches_what_the_token_may_write(
    allowed: frozenset[str], machine: MakeMachine, github: FakeGitHub
) -> None:
    """A check run, else commands in the log; a comment where that is allowed; a summary with its chart always."""
    github.permissions |= allowed
    _, done = run(machine)
    assert len(github.checks) == ("checks" in allowed)
    assert len(github.comments) == ("pull-requests" in allowed)
    assert bool(done.log.of("error")) == ("checks" not in allowed)
    assert "```mermaid\ngantt" in done.summary
    for surface, permission in (("check", "checks"), ("comment", "pull-requests")):
        assert (f"permission '{permission}: write'" in done.summary) == (permission not in allowed), surface


def test_cancel_while_github_is_silent_leaves_outputs_and_a_summary(
    machine: MakeMachine, github: FakeGitHub
) -> None:
    """All but what GitHub would have to take is there within the runner's grace, and belongs to the runner."""
    github.permissions |= EVERYTHING
    github.troubles += [Trouble(silent=True, on="POST")] * 9
    one = machine()
    one.write("one/test_one.py", "def test_one(): pass\n")
    asked = lambda _: any(request.startswith("POST") for request in github.requests)  # noqa: E731
    done = one.run(asked, with_={"working-directory": "one"})
    assert done.code == 130, done.raw
    assert done.after_cancel < AFTER_SIGINT
    assert (done.outputs["outcome"], done.outputs["passed"]) == ("interrupted", "1")
    assert "1 passed" in done.summary
    assert "Traceback" not in done.raw
    assert {path.lstat().st_uid for path in one.workspace.rglob("*")} == {RUNNER_UID}


def test_every_annotation_lands_on_the_line_that_failed(machine: MakeMachine, github: FakeGitHub) -> None:
    """On an existing file, and on the line whose text is the failing one; the run is the head commit's."""
    github.permissions |= EVERYTHING
    one, done = run(machine)
    assert len(github.checks) == 1, (github.requests, done.raw)
    (check,) = github.checks.values()
    assert (check["head_sha"], check["conclusion"], check["status"]) == (HEAD, "failure", "completed")
    marked = []
    for note in check["annotations"]:
        lines = (one.workspace / note["path"]).read_text(encoding="utf-8").splitlines()
        marked.append((note["title"], lines[note["start_line"] - 1].strip()))
    assert dict(marked) == LINES
    assert len(marked) == len(LINES)


def test_comment_is_one_and_kept_up_to_date(machine: MakeMachine, github: FakeGitHub) -> None:
    """A second run of the same job edits what the first one wrote."""
    github.permissions |= EVERYTHING
    run(machine)
    (first,) = github.comments.values()
    run(machine)
    assert len(github.comments) == 1
    assert first["pull"] == PULL
    assert "12 failed" in first["body"]


def test_github_out_of_reach_changes_no_verdict(machine: MakeMachine) -> None:
    """The log has the annotations, and the summary says what could not be reached."""
    _, done = run(machine, api="http://127.0.0.1:9")
    assert done.log.of("error")
    assert "GitHub did not answer" in done.summary
