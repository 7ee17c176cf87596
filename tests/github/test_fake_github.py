"""The fake GitHub: as strict as the real one, or what is tested with it is worth nothing."""

from __future__ import annotations

from typing import Any

import pytest
from fake_github import FakeGitHub, Refusal

RUN = {"name": "r", "head_sha": "c" * 40, "status": "completed", "conclusion": "success"}
NOTE = {"path": "a.py", "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "m"}
CHECKS = "/repos/ann/desk/check-runs"


def refused(fake: FakeGitHub, method: str, path: str, body: Any, **query: str) -> str:
    """What the fake says to a request that it refuses."""
    with pytest.raises(Refusal) as caught:
        fake.answer(method, path, query, body)
    fake.complaints.clear()
    return f"{caught.value.status} {caught.value.body}"


def run(**output: Any) -> dict[str, Any]:
    """A check run's request with that output."""
    return {**RUN, "output": {"title": "t", "summary": "s", **output}}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({**RUN, "conclusion": "green"}, "is not one of"),
        ({**RUN, "conclusion": "stale"}, "only GitHub sets"),
        ({**RUN, "colour": "green"}, "'colour' was unexpected"),
        ({**RUN, "head_sha": "main"}, "No commit found"),
        ({"name": "r", "head_sha": "c" * 40, "status": "completed"}, "needs a conclusion"),
        ({"head_sha": "c" * 40}, "'name' is a required property"),
        (run(summary="é" * 40_000), "Only 65535 characters"),
        (run(text="x" * 65_536), "is too long"),
        (run(annotations=[NOTE] * 51), "is too long"),
        (run(annotations=[{**NOTE, "start_line": 2}]), "not before the first"),
        (run(annotations=[{**NOTE, "start_line": 0, "end_line": 0}]), "counted from 1"),
        (run(annotations=[{**NOTE, "end_line": 2, "start_column": 1}]), "of a single line"),
        (run(annotations=[{**NOTE, "message": " "}]), "needs a message"),
        (run(annotations=[{**NOTE, "message": "é" * 33_000}]), "maximum is 64 KB"),
        (run(annotations=[{**NOTE, "title": "x" * 256}]), "maximum is 255"),
        (run(annotations=[{**NOTE, "title": "\U0001f4da"}]), "4 byte characters"),
        (run(annotations=[{**NOTE, "path": "/a.py"}]), "not relative"),
        (run(annotations=[{**NOTE, "path": "a/../../b.py"}]), "not relative"),
    ],
)
def test_check_run_that_github_refuses_is_refused(fake: FakeGitHub, body: dict[str, Any], words: str) -> None:
    """The schema's rules and those of the documentation hold."""
    answer = refused(fake, "POST", CHECKS, body)
    assert answer.startswith("422")
    assert words in answer
    assert fake.checks == {}


def test_fifty_annotations_are_accepted_and_updates_append(fake: FakeGitHub) -> None:
    """An update adds its annotations to those that are there."""
    status, made = fake.answer("POST", CHECKS, {}, run(annotations=[NOTE] * 50))
    assert (status, made["output"]["annotations_count"]) == (201, 50)
    update = {"output": {"title": "t", "summary": "s", "annotations": [NOTE] * 3}}
    _, made = fake.answer("PATCH", f"{CHECKS}/{made['id']}", {}, update)
    assert made["output"]["annotations_count"] == 53


@pytest.mark.parametrize(("body", "words"), [("x" * 65_537, "65536"), ("\n", "blank")])
def test_comment_that_github_refuses_is_refused(fake: FakeGitHub, body: str, words: str) -> None:
    """Too long, or nothing."""
    assert words in refused(fake, "POST", "/repos/ann/desk/issues/7/comments", {"body": body})


def test_pages_hold_what_was_asked_for(fake: FakeGitHub) -> None:
    """Thirty a page unless asked, never more than a hundred."""
    for number in range(120):
        fake.add_comment(f"number {number}")
    path = "/repos/ann/desk/issues/7/comments"
    sizes = [len(fake.answer("GET", path, query, None)[1]) for query in ({}, {"per_page": "100", "page": "2"})]
    assert sizes == [30, 20]
    assert "more than 100" in refused(fake, "GET", path, None, per_page="101")


@pytest.mark.parametrize("permission", ["checks", "pull-requests"])
def test_token_writes_what_it_may(fake: FakeGitHub, permission: str) -> None:
    """Without a permission its endpoints refuse, and the others work."""
    fake.permissions = {permission}
    requests = {"checks": (CHECKS, RUN), "pull-requests": ("/repos/ann/desk/issues/7/comments", {"body": "b"})}
    for name, (path, body) in requests.items():
        if name == permission:
            assert fake.answer("POST", path, {}, body)[0] == 201
        else:
            assert "Resource not accessible by integration" in refused(fake, "POST", path, body)
