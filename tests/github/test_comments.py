"""Comments: one of ours on a pull request, found again among all others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_github import FakeGitHub, Trouble

from realdb_ci.github import Client, Unreachable
from realdb_ci.github.comments import pull_of, put

MARKER = "<!-- realdb-ci:1234 -->"
EVE = {"login": "eve", "type": "User"}


@pytest.fixture
def client(fake: FakeGitHub, tmp_path: Path) -> Client:
    """A client that does not wait."""
    return Client(fake.job(tmp_path, timeout=0.3), lambda _seconds: None)


def bodies(fake: FakeGitHub) -> list[str]:
    """All comments."""
    return [one["body"] for one in fake.comments.values()]


def test_comment_is_written_once_and_then_updated(fake: FakeGitHub, client: Client) -> None:
    """However often the job runs."""
    for text in ("red", "green"):
        put(client, 7, MARKER, f"{MARKER}\n{text}", anew=True)
    assert bodies(fake) == [f"{MARKER}\ngreen"]


def test_comment_is_found_behind_hundreds_of_others(fake: FakeGitHub, client: Client) -> None:
    """Every page is looked at."""
    for number in range(230):
        fake.add_comment(f"number {number}")
    fake.add_comment(f"{MARKER}\nred")
    put(client, 7, MARKER, f"{MARKER}\ngreen", anew=True)
    assert len(fake.comments) == 231
    assert bodies(fake)[-1] == f"{MARKER}\ngreen"


@pytest.mark.parametrize(
    ("comment", "ours"),
    [
        ((MARKER, EVE, "CONTRIBUTOR"), False),
        ((MARKER, EVE, "NONE"), False),
        ((MARKER, EVE, "MEMBER"), True),
        ((f"> {MARKER}", EVE, "MEMBER"), False),
        (("<!-- realdb-ci:5678 -->",), False),
    ],
)
def test_only_a_comment_of_somebody_who_may_write_is_ours(
    fake: FakeGitHub, client: Client, comment: tuple[Any, ...], *, ours: bool
) -> None:
    """An outsider's copy of the marker, a quotation and another job's comment are left alone."""
    fake.add_comment(*comment)
    put(client, 7, MARKER, f"{MARKER}\ngreen", anew=True)
    assert (bodies(fake)[0] == comment[0]) is not ours
    assert len(fake.comments) == (1 if ours else 2)


def test_comment_that_was_deleted_meanwhile_is_written_anew(fake: FakeGitHub, client: Client) -> None:
    """Between the look and the change somebody may be faster."""
    fake.add_comment(f"{MARKER}\nred")
    fake.troubles.append(Trouble(404, on="PATCH"))
    put(client, 7, MARKER, f"{MARKER}\ngreen", anew=True)
    assert bodies(fake)[-1] == f"{MARKER}\ngreen"


@pytest.mark.parametrize("trouble", [Trouble(drop=True, on="POST"), Trouble(502, on="POST")])
def test_lost_answer_makes_no_second_comment(fake: FakeGitHub, client: Client, trouble: Trouble) -> None:
    """It is looked for before it is written again."""
    fake.troubles.append(trouble)
    put(client, 7, MARKER, f"{MARKER}\ngreen", anew=True)
    assert bodies(fake) == [f"{MARKER}\ngreen"]


def test_refusal_is_told(fake: FakeGitHub, client: Client) -> None:
    """Without the permission there is no comment, and whoever asked hears of it."""
    fake.permissions = {"checks"}
    with pytest.raises(Unreachable):
        put(client, 7, MARKER, f"{MARKER}\ngreen", anew=True)
    fake.add_comment(f"{MARKER}\nred")
    with pytest.raises(Unreachable):
        put(client, 7, MARKER, f"{MARKER}\ngreen", anew=True)
    assert bodies(fake) == [f"{MARKER}\nred"]


@pytest.mark.parametrize(
    ("state", "sha", "number"), [("open", None, 7), ("closed", None, None), ("open", "d", None)]
)
def test_pull_request_of_a_push_is_the_open_one_with_that_head(
    fake: FakeGitHub, client: Client, state: str, sha: str | None, number: int | None
) -> None:
    """A commit that is also somewhere inside another pull request is none of its business."""
    fake.pulls[7] |= {"state": state, "head": {"sha": sha * 40 if sha else client.github.sha}}
    assert pull_of(client) == number


def test_no_news_start_no_comment_and_mend_an_old_one(fake: FakeGitHub, client: Client) -> None:
    """Where nothing is to be said, only what is there is changed."""
    assert not put(client, 7, MARKER, f"{MARKER}\ngreen", anew=False)
    assert bodies(fake) == []
    fake.add_comment(f"{MARKER}\nred")
    assert put(client, 7, MARKER, f"{MARKER}\ngreen", anew=False)
    assert bodies(fake) == [f"{MARKER}\ngreen"]
