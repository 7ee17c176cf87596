"""Merge base: one question, and what becomes of it where it is not answered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_github import HEAD, FakeGitHub, Trouble

from realdb_ci.github import Client, Unreachable, merge_base

BASE = "b" * 40


def client(fake: FakeGitHub, root: Path) -> Client:
    """A client of a pull request's job that does not wait."""
    return Client(fake.job(root, base=BASE, timeout=0.3), lambda _seconds: None)


def test_date_of_the_merge_base_is_asked_for_once(fake: FakeGitHub, tmp_path: Path) -> None:
    """Between the newest commit of the base and the head of the pull request."""
    fake.merge_bases[f"{BASE}...{HEAD}"] = "2026-01-02T03:04:05Z"
    assert merge_base.committed(client(fake, tmp_path)) == 1767323045.0
    assert fake.requests == [f"GET /repos/ann/desk/compare/{BASE}...{HEAD}"]


@pytest.mark.parametrize("answer", [{}, [], {"merge_base_commit": None}, {"merge_base_commit": {"commit": {}}}])
def test_answer_without_a_merge_base_is_no_answer(fake: FakeGitHub, tmp_path: Path, answer: object) -> None:
    """Whatever speaks for GitHub."""
    fake.troubles.append(Trouble(200, raw=json.dumps(answer).encode()))
    with pytest.raises(Unreachable, match="names no merge base"):
        merge_base.committed(client(fake, tmp_path))


def test_unknown_commits_are_told(fake: FakeGitHub, tmp_path: Path) -> None:
    """A base that was rewritten, or a token that may not look."""
    with pytest.raises(Unreachable) as caught:
        merge_base.committed(client(fake, tmp_path))
    assert caught.value.status == 404
