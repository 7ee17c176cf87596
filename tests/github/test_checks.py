"""Check runs: made once, and each annotation on it once, whatever becomes of the requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_github import HEAD, FakeGitHub, Trouble

from realdb_ci.github import Client, Unreachable
from realdb_ci.github.checks import create, extend

RUN = {"name": "realdb-ci", "head_sha": HEAD, "external_id": "one", "status": "completed", "conclusion": "failure"}
OUTPUT = {"title": "t", "summary": "s", "text": "x"}


def notes(number: int) -> list[dict[str, Any]]:
    """Annotations that can be told apart."""
    return [
        {"path": "a.py", "start_line": n, "end_line": n, "annotation_level": "failure", "message": str(n)}
        for n in range(1, number + 1)
    ]


@pytest.fixture
def client(fake: FakeGitHub, tmp_path: Path) -> Client:
    """A client that does not wait."""
    return Client(fake.job(tmp_path, timeout=0.3), lambda _seconds: None)


def lines(fake: FakeGitHub) -> list[int]:
    """The lines of all annotations of the only check run."""
    [run] = fake.checks.values()
    return [one["start_line"] for one in run["annotations"]]


def send(client: Client, number: int) -> None:
    """A check run with that many annotations."""
    told = notes(number)
    made = create(client, RUN, {**OUTPUT, "annotations": told[:50]})
    extend(client, made, OUTPUT, told, 50)


@pytest.mark.parametrize(("number", "requests"), [(0, 1), (50, 1), (51, 2), (1_000, 20)])
def test_annotations_are_sent_in_batches(fake: FakeGitHub, client: Client, number: int, requests: int) -> None:
    """Fifty a request, the first of them with the check run itself."""
    send(client, number)
    assert lines(fake) == list(range(1, number + 1))
    assert len(fake.requests) == requests


@pytest.mark.parametrize("lost", [Trouble(drop=True), Trouble(silent=True)])
@pytest.mark.parametrize("on", ["POST", "PATCH"])
def test_lost_answer_doubles_nothing(fake: FakeGitHub, client: Client, lost: Trouble, on: str) -> None:
    """What was done although no answer came is found, and not done again."""
    fake.troubles.append(Trouble(drop=lost.drop, silent=lost.silent, on=on))
    send(client, 120)
    assert lines(fake) == list(range(1, 121))


@pytest.mark.parametrize("on", ["POST", "PATCH"])
def test_broken_server_loses_nothing(fake: FakeGitHub, client: Client, on: str) -> None:
    """What was not done is sent again."""
    fake.troubles += [Trouble(502, on=on)]
    send(client, 120)
    assert lines(fake) == list(range(1, 121))


def test_server_that_stays_broken_keeps_what_it_has(fake: FakeGitHub, client: Client) -> None:
    """After three attempts at one batch the others are not tried."""
    fake.troubles += [Trouble(500, on="PATCH")] * 3
    with pytest.raises(Unreachable):
        send(client, 120)
    assert lines(fake) == list(range(1, 51))
    assert sum(one.startswith("PATCH") for one in fake.requests) == 3


def test_check_run_of_an_earlier_attempt_is_not_taken_for_ours(fake: FakeGitHub, client: Client) -> None:
    """The same name on the same commit: only the id that we gave it tells them apart."""
    create(client, {**RUN, "external_id": "earlier"}, OUTPUT)
    fake.troubles.append(Trouble(502, on="POST"))
    create(client, RUN, OUTPUT)
    assert [one["external_id"] for one in fake.checks.values()] == ["earlier", "one"]
