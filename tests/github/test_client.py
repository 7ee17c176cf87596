"""The client, against a server that misbehaves in every way there is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_github import FakeGitHub, Trouble

from realdb_ci.github import Client, Unreachable, Unsure

COMMENTS = "/repos/ann/desk/issues/7/comments"
HELLO = {"body": "hello"}


class Jobs:
    """Makes clients whose waits are noted and not waited."""

    def __init__(self, fake: FakeGitHub, root: Path) -> None:
        self.fake, self.root = fake, root
        self.waits: list[float] = []

    def client(self, **more: object) -> Client:
        """A client of a job with these differences."""
        return Client(self.fake.job(self.root, **more), self.waits.append)


@pytest.fixture
def jobs(fake: FakeGitHub, tmp_path: Path) -> Iterator[Jobs]:
    """Clients of the fake."""
    return Jobs(fake, tmp_path)


def post(client: Client, *, repeatable: bool = False) -> object:
    """Write a comment."""
    return client.write("POST", COMMENTS, HELLO, needs="pull-requests: write", repeatable=repeatable)


def test_reading_goes_on_after_passing_troubles(jobs: Jobs) -> None:
    """A broken server and a dropped connection are tried again, each time after a longer wait."""
    jobs.fake.troubles += [Trouble(502), Trouble(drop=True)]
    assert jobs.client().get(COMMENTS) == []
    assert jobs.waits == [1.0, 2.0]


def test_reading_gives_up_after_three_attempts(jobs: Jobs) -> None:
    """A server that stays broken is not asked for ever; its last words are told."""
    jobs.fake.troubles += [Trouble(503, message=f"down {number}") for number in range(9)]
    with pytest.raises(Unreachable, match="GitHub has troubles") as caught:
        jobs.client().get(COMMENTS)
    assert caught.value.why == "503: down 2"
    assert len(jobs.fake.requests) == 3


@pytest.mark.parametrize(
    ("trouble", "wait"),
    [
        (Trouble(429, {"Retry-After": "7"}), 7.0),
        (Trouble(403, {"Retry-After": "3"}, "You have exceeded a secondary rate limit."), 3.0),
        (Trouble(403, message="You have exceeded a secondary rate limit."), 60.0),
        (Trouble(429), 60.0),
    ],
)
def test_rate_limit_is_waited_for_as_long_as_it_says(jobs: Jobs, trouble: Trouble, wait: float) -> None:
    """Nothing was done, so that even a change may be sent again."""
    jobs.fake.troubles.append(trouble)
    post(jobs.client())
    assert jobs.waits == [wait]
    assert [one["body"] for one in jobs.fake.comments.values()] == ["hello"]


def test_used_up_quota_is_waited_for_until_its_reset(jobs: Jobs) -> None:
    """The reset is a time of the day, in seconds since the epoch."""
    reset = str(int(time.time()) + 30)
    jobs.fake.troubles.append(Trouble(403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}))
    jobs.client().get(COMMENTS)
    [wait] = jobs.waits
    assert 1 <= wait <= 30


def test_limit_that_lasts_longer_than_our_patience_is_not_waited_for(jobs: Jobs) -> None:
    """A job does not stand still for an hour because of a report; the next request finds the patience as it was."""
    jobs.fake.troubles.append(Trouble(429, {"Retry-After": "3600"}))
    client = jobs.client()
    with pytest.raises(Unreachable, match="GitHub refused") as caught:
        client.get(COMMENTS)
    assert "a rate limit was met" in caught.value.why
    assert client.get(COMMENTS) == []
    assert jobs.waits == []


def test_waits_of_all_requests_add_up(jobs: Jobs) -> None:
    """The second limit is not waited for any more, whichever request meets it."""
    jobs.fake.troubles += [Trouble(429, {"Retry-After": "60"})] * 2
    with pytest.raises(Unreachable):
        jobs.client(patience=100.0).get(COMMENTS)
    assert jobs.waits == [60.0]
    assert len(jobs.fake.requests) == 2


def test_nothing_is_asked_once_the_patience_is_used_up(jobs: Jobs) -> None:
    """A server that lets one surface wait does not let the next one wait as well."""
    jobs.fake.troubles.append(Trouble(silent=True))
    client = jobs.client(patience=0.1, timeout=0.2)
    with pytest.raises(Unreachable, match="did not answer"):
        client.get(COMMENTS)
    with pytest.raises(Unreachable, match="was not asked"):
        client.get(COMMENTS)
    assert len(jobs.fake.requests) == 1


def test_server_that_gave_no_answer_three_times_is_not_asked_again(jobs: Jobs) -> None:
    """Patience is for those who ask for it; an answer in between shows that somebody is there."""
    jobs.fake.troubles += [Trouble(drop=True)] * 2
    client = jobs.client()
    assert client.get(COMMENTS) == []
    jobs.fake.troubles += [Trouble(drop=True)] * 3
    with pytest.raises(Unreachable, match="did not answer"):
        client.get(COMMENTS)
    with pytest.raises(Unreachable, match="was not asked"):
        client.get(COMMENTS)
    assert len(jobs.fake.requests) == 6


@pytest.mark.parametrize("trouble", [Trouble(drop=True), Trouble(silent=True), Trouble(502)])
def test_change_of_unknown_fate_is_sent_once(jobs: Jobs, trouble: Trouble) -> None:
    """Whoever asked for it has to look first: here it was made, or might have been."""
    jobs.fake.troubles.append(trouble)
    with pytest.raises(Unsure):
        post(jobs.client(timeout=0.2))
    assert jobs.fake.requests == [f"POST {COMMENTS}"]


def test_change_that_may_be_repeated_is(jobs: Jobs) -> None:
    """Writing the same text into the same place twice does no harm."""
    number = jobs.fake.add_comment("old")
    jobs.fake.troubles.append(Trouble(drop=True))
    path = f"/repos/ann/desk/issues/comments/{number}"
    jobs.client().write("PATCH", path, HELLO, needs="pull-requests: write", repeatable=True)
    assert len(jobs.fake.requests) == 2
    assert jobs.fake.comments[number]["body"] == "hello"


def test_server_that_is_not_there_is_surely_not_reached(jobs: Jobs) -> None:
    """No connection, nothing done: tried again, and told as it is."""
    with pytest.raises(Unreachable, match="did not answer") as caught:
        post(jobs.client(api="http://127.0.0.1:9"))
    assert not isinstance(caught.value, Unsure)
    assert jobs.waits == [1.0, 2.0]


@pytest.mark.parametrize(
    ("more", "why", "remedy"),
    [
        ({}, "403: Resource not accessible by integration", "Give the job the permission 'pull-requests: write'."),
        (
            {"restricted": "a fork's token may only read"},
            "a fork's token may only read (403: Resource not accessible by integration)",
            "",
        ),
    ],
)
def test_missing_permission_is_told_with_its_remedy(
    jobs: Jobs, more: dict[str, str], why: str, remedy: str
) -> None:
    """One cause is the workflow's to mend, the other nobody's; neither is tried again."""
    jobs.fake.permissions = set()
    with pytest.raises(Unreachable) as caught:
        post(jobs.client(**more))
    assert (caught.value.why, caught.value.remedy, caught.value.status) == (why, remedy, 403)
    assert jobs.waits == []


def test_redirected_change_is_not_followed(jobs: Jobs) -> None:
    """Following it, a change would become a reading, and its answer look like success."""
    jobs.fake.troubles.append(Trouble(301, {"Location": f"{jobs.fake.url}{COMMENTS}"}))
    with pytest.raises(Unreachable) as caught:
        post(jobs.client())
    assert caught.value.status == 301
    assert len(jobs.fake.requests) == 1


def test_changes_are_paced_and_readings_are_not(jobs: Jobs) -> None:
    """GitHub asks for a second between changes."""
    client = jobs.client(pace=1.0)
    for _ in range(3):
        client.get(COMMENTS)
    assert jobs.waits == []
    for _ in range(3):
        post(client)
    assert len(jobs.waits) == 2
    assert all(0 < wait <= 1.0 for wait in jobs.waits)


def test_pages_are_followed_to_the_end(jobs: Jobs) -> None:
    """Each page once, as the server links them."""
    for number in range(250):
        jobs.fake.add_comment(str(number))
    pages = list(jobs.client().pages(COMMENTS, per_page=100))
    assert [len(page) for page in pages] == [100, 100, 50]


def test_token_is_not_sent_where_a_page_points_elsewhere(jobs: Jobs) -> None:
    """A link to another server ends the list."""
    elsewhere = {"Link": '<http://127.0.0.1:9/next>; rel="next"'}
    jobs.fake.troubles.append(Trouble(200, elsewhere))
    assert len(list(jobs.client().pages(COMMENTS))) == 1


def test_page_of_a_proxy_is_no_answer(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies are honoured; what one says in HTML is told as unreadable and breaks nothing."""
    monkeypatch.setenv("http_proxy", jobs.fake.url)
    jobs.fake.troubles.append(Trouble(200, raw=b"<html>Please log in</html>"))
    with pytest.raises(Unreachable, match="is not JSON"):
        jobs.client(api="http://github.example").get(COMMENTS)
    assert jobs.fake.requests == [f"GET http://github.example{COMMENTS}"]


def test_netrc_does_not_replace_the_token(jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of logins that a runner happens to have is not asked."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ann password secret\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    assert jobs.client().get(COMMENTS) == []
