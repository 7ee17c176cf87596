"""What a job knows of itself, on every kind of event: a pure reading of the environment and the payload."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from realdb_ci.github.context import GitHub, job, read

HEAD, MERGE = "a" * 40, "b" * 40
ENVIRON = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_REPOSITORY": "ann/desk",
    "GITHUB_SHA": MERGE,
    "GITHUB_RUN_ID": "42",
    "GITHUB_WORKFLOW": "CI",
    "GITHUB_JOB": "test",
    "GITHUB_EVENT_NAME": "pull_request",
    "GITHUB_ACTOR": "ann",
    "GITHUB_TOKEN": "ghs_secret",
}


def pull_request(repository: str = "ann/desk") -> dict[str, Any]:
    """The payload of a pull request from a repository."""
    return {"pull_request": {"number": 7, "head": {"sha": HEAD, "repo": {"full_name": repository}}}}


def told(event: str, payload: dict[str, Any], **more: str) -> GitHub:
    """The job of a run that this event started."""
    return job({**ENVIRON, "GITHUB_EVENT_NAME": event, **more}, payload, Path())


@pytest.mark.parametrize(
    ("event", "payload", "sha", "pull"),
    [
        ("pull_request", pull_request(), HEAD, 7),
        ("pull_request_target", pull_request("eve/desk"), HEAD, 7),
        ("push", {"after": MERGE}, MERGE, None),
        ("merge_group", {"merge_group": {"head_sha": HEAD}}, HEAD, None),
        ("workflow_run", {"workflow_run": {"head_sha": HEAD, "pull_requests": [{"number": 8}]}}, HEAD, 8),
        ("workflow_run", {"workflow_run": {"head_sha": HEAD, "pull_requests": []}}, HEAD, None),
        ("schedule", {}, MERGE, None),
        ("pull_request", {"pull_request": None}, MERGE, None),
        ("pull_request", {"pull_request": "7"}, MERGE, None),
    ],
)
def test_head_and_pull_request_are_those_a_reviewer_sees(
    event: str, payload: dict[str, Any], sha: str, pull: int | None
) -> None:
    """The head of the pull request, not the merge commit that its tests run on."""
    found = told(event, payload)
    assert (found.sha, found.pull) == (sha, pull)


@pytest.mark.parametrize(
    ("event", "repository", "actor", "words"),
    [
        ("pull_request", "ann/desk", "ann", ""),
        ("pull_request", "eve/desk", "eve", "fork"),
        ("pull_request", "ann/desk", "dependabot[bot]", "Dependabot"),
        ("pull_request_target", "eve/desk", "eve", ""),
        ("pull_request_target", "ann/desk", "dependabot[bot]", ""),
    ],
)
def test_token_that_may_only_read_is_known_before_it_is_used(
    event: str, repository: str, actor: str, words: str
) -> None:
    """Forks and Dependabot get one on pull_request, whatever the workflow says."""
    found = told(event, pull_request(repository), GITHUB_ACTOR=actor).restricted
    assert words in found
    assert bool(found) == bool(words)


@pytest.mark.parametrize(
    ("matrix", "name"),
    [
        ("", "test"),
        ("null", "test"),
        ('{"python": "3.12", "postgres": 17, "fast": true}', "test (3.12, 17, true)"),
        ("3.12 on Linux", "test (3.12 on Linux)"),
        ("[1", "test ([1)"),
    ],
)
def test_leg_of_a_matrix_has_a_name_and_a_key_of_its_own(matrix: str, name: str) -> None:
    """The name is the one that GitHub shows; the key is the same in every run."""
    found, plain = told("push", {}, REALDB_CI_MATRIX=matrix), told("push", {})
    assert found.name == name
    assert found.key == told("push", {}, REALDB_CI_MATRIX=matrix, GITHUB_RUN_ID="43").key
    assert (found.key == plain.key) == (name == "test")


def test_server_of_an_enterprise_is_the_one_that_is_asked() -> None:
    """Addresses come from the environment; where it has none, github.com is meant."""
    found = told("push", {}, GITHUB_API_URL="https://git.example/api/v3/", GITHUB_SERVER_URL="https://git.example")
    assert found.api == "https://git.example/api/v3"
    assert found.run_url == "https://git.example/ann/desk/actions/runs/42/attempts/1"
    assert told("push", {}).api == "https://api.github.com"


def test_token_is_in_no_repr() -> None:
    """What is logged or shown in a traceback does not hold it."""
    assert "ghs_secret" not in repr(told("push", {}))


def test_event_is_read_from_its_file(tmp_path: Path) -> None:
    """The payload is where the environment says; without it, or with a broken one, the variables remain."""
    event = tmp_path / "event.json"
    event.write_text(json.dumps(pull_request()), encoding="utf-8")
    environ = {**ENVIRON, "GITHUB_EVENT_PATH": str(event), "GITHUB_STEP_SUMMARY": "s.md", "GITHUB_OUTPUT": "o"}
    found = read(environ, tmp_path)
    assert (found.sha, found.summary, found.output) == (HEAD, Path("s.md"), Path("o"))
    for text in ("{", "[]", None):
        event.unlink() if text is None else event.write_text(text, encoding="utf-8")
        assert read(environ, tmp_path).sha == MERGE


def test_nothing_is_known_outside_github() -> None:
    """Other systems set some of the same variables."""
    assert read({**ENVIRON, "GITHUB_ACTIONS": ""}, Path()) is None


BASE = {"sha": "c" * 40, "ref": "release"}


@pytest.mark.parametrize(
    ("event", "payload", "more", "branch", "base", "of_branch"),
    [
        ("push", {}, {"GITHUB_REF": "refs/heads/feature/x"}, "feature/x", "", True),
        ("schedule", {}, {"GITHUB_REF": "refs/heads/main"}, "main", "", True),
        ("workflow_dispatch", {}, {"GITHUB_REF": "refs/heads/main"}, "main", "", True),
        ("push", {}, {"GITHUB_REF": "refs/tags/v1"}, "", "", False),
        ("pull_request", {"pull_request": {"base": BASE}}, {}, "release", BASE["sha"], False),
        (
            "pull_request_target",
            {"pull_request": {"base": BASE}},
            {"GITHUB_REF": "refs/heads/release"},
            "release",
            BASE["sha"],
            False,
        ),
        (
            "merge_group",
            {"merge_group": {"base_sha": "d" * 40, "base_ref": "refs/heads/main"}},
            {"GITHUB_REF": "refs/heads/gh-readonly-queue/main/pr-7"},
            "main",
            "d" * 40,
            False,
        ),
        ("workflow_run", {}, {"GITHUB_REF": "refs/heads/main"}, "main", "", False),
    ],
)
def test_branch_is_the_one_that_a_run_is_held_against(  # noqa: PLR0913, PLR0917
    event: str, payload: dict[str, Any], more: dict[str, str], branch: str, base: str, of_branch: bool
) -> None:
    """And only what stands on a branch for good may become what others are held against."""
    found = told(event, payload, **more)
    assert (found.branch, found.base, found.is_of_branch) == (branch, base, of_branch)
