"""Artifacts of the base branch: the newest is found, one that somebody else made is not, and trouble is short."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_github import FakeGitHub, Trouble

from realdb_ci.github import Client, Unreachable, artifacts

NAME = "realdb-ci-baseline-desk-0123"
LIST = "GET /repos/ann/desk/actions/artifacts"


def newest(fake: FakeGitHub, root: Path, **more: Any) -> bytes | None:
    """What a pull request to main finds, without waiting."""
    return artifacts.newest(Client(fake.job(root, branch="main", timeout=0.5, **more), lambda _seconds: None), NAME)


def test_newest_of_the_branch_is_found_in_four_requests(fake: FakeGitHub, tmp_path: Path) -> None:
    """The list, the run, the address and the file; others' artifacts are not asked for."""
    fake.storage.add("coverage", b"another")
    fake.storage.add(NAME, b"old")
    fake.storage.add(NAME, b"new", event="schedule")
    assert newest(fake, tmp_path) == b"new"
    assert fake.requests == [LIST, "GET /repos/ann/desk/actions/runs/1003", f"{LIST}/3/zip"]
    assert len(fake.storage.headers) == 1


def test_token_does_not_go_where_the_file_lies(
    fake: FakeGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a password that the machine has for everybody."""
    fake.storage.add(NAME, b"new")
    (tmp_path / "netrc").write_text("default login ann password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert newest(fake, tmp_path) == b"new"
    [headers] = fake.storage.headers
    assert "authorization" not in headers


@pytest.mark.parametrize(
    "changes",
    [
        {"run": {"head_repository_id": 43}},
        {"run": {"head_branch": "feature"}},
        {"event": "issue_comment"},
        {"event": "pull_request_target"},
        {"expired": True},
        {"workflow_run": None},
    ],
    ids=str,
)
def test_what_others_can_make_is_not_believed(fake: FakeGitHub, tmp_path: Path, changes: dict[str, Any]) -> None:
    """A fork's branch may be called main, and its run may leave an artifact of any name."""
    fake.storage.add(NAME, b"not ours", **changes)
    assert newest(fake, tmp_path) is None
    assert fake.storage.headers == []


@pytest.mark.parametrize(
    "changes",
    [{"run": {"head_repository_id": None}}, {"run": {"head_repository_id": None, "repository_id": None}}],
    ids=str,
)
def test_fork_that_was_deleted_is_not_believed_either(
    fake: FakeGitHub, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Nothing is no repository, so two of them are not the same one."""
    fake.storage.add(NAME, b"not ours", **changes)
    told = {"total_count": 1, "artifacts": fake.storage.artifacts}
    fake.troubles.append(Trouble(200, raw=json.dumps(told).encode()))
    assert newest(fake, tmp_path) is None


def test_fork_does_not_hide_what_the_branch_left(fake: FakeGitHub, tmp_path: Path) -> None:
    """Its artifact is newer, and is passed over."""
    fake.storage.add(NAME, b"ours")
    fake.storage.add(NAME, b"a fork's", run={"head_repository_id": 43})
    assert newest(fake, tmp_path) == b"ours"


def test_nothing_is_found_where_nothing_is(fake: FakeGitHub, tmp_path: Path) -> None:
    """One request tells."""
    assert newest(fake, tmp_path) is None
    assert fake.requests == [LIST]


def test_token_without_the_permission_is_told_which_one(fake: FakeGitHub, tmp_path: Path) -> None:
    """The remedy names it."""
    fake.storage.add(NAME, b"new")
    fake.permissions.clear()
    with pytest.raises(Unreachable) as caught:
        newest(fake, tmp_path)
    assert caught.value.status == 403
    assert "actions: read" in caught.value.remedy
    assert len(fake.requests) == 1


@pytest.mark.parametrize("status", [403, 404, 410, 500])
@pytest.mark.parametrize("on", [LIST, "GET /repos/ann/desk/actions/runs/", f"{LIST}/1/zip"])
def test_refusals_are_trouble_wherever_they_come(fake: FakeGitHub, tmp_path: Path, status: int, on: str) -> None:
    """With the server's answer; what may pass is asked again."""
    fake.storage.add(NAME, b"new")
    patient = iter([Trouble(status, on=on)] * 3)
    fake.troubles.extend(patient)
    # Each request waits for the trouble that is its own.
    with pytest.raises(Unreachable) as caught:
        newest(fake, tmp_path)
    assert caught.value.status == status
    assert fake.storage.headers == []


@pytest.mark.parametrize(
    "answer", [b"[]", b"{}", b'{"artifacts": [7]}', b'{"artifacts": [{"name": 1}]}', b"<html>"]
)
def test_answers_of_another_shape_are_trouble(fake: FakeGitHub, tmp_path: Path, answer: bytes) -> None:
    """Whatever speaks for GitHub."""
    fake.troubles.append(Trouble(200, raw=answer))
    with pytest.raises(Unreachable):
        newest(fake, tmp_path)


def test_address_that_is_not_given_is_trouble(fake: FakeGitHub, tmp_path: Path) -> None:
    """A file in its stead is not taken."""
    fake.storage.add(NAME, b"new")
    fake.troubles.append(Trouble(200, raw=b"PK", on=f"{LIST}/1/zip"))
    with pytest.raises(Unreachable, match="GitHub refused"):
        newest(fake, tmp_path)


@pytest.mark.parametrize("behaviour", ["gone", "moved", "trickling", "endless", "silent", "broken-off"])
def test_trouble_with_the_file_is_short_and_keeps_its_address(
    fake: FakeGitHub, tmp_path: Path, behaviour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a file without end nor one that hardly comes is waited for; the address is a key to the file."""
    monkeypatch.setattr(artifacts, "BYTES_LIMIT", 1 << 20)
    fake.storage.add(NAME, b"some content")
    fake.storage.behaviour = behaviour
    with pytest.raises(Unreachable) as caught:
        newest(fake, tmp_path)
    assert "secret" not in str(caught.value)


def test_large_artifact_is_not_even_asked_for(fake: FakeGitHub, tmp_path: Path) -> None:
    """The list tells its size."""
    fake.storage.add(NAME, b"small", size_in_bytes=artifacts.BYTES_LIMIT + 1)
    with pytest.raises(Unreachable, match="not used"):
        newest(fake, tmp_path)
    assert fake.storage.headers == []
