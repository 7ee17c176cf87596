"""A GitHub of our own: real HTTP on localhost, with a memory, permissions, and troubles on demand."""

from __future__ import annotations

import itertools
import json
import sys
import threading
import urllib.parse
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fake_storage import Storage, storing
from github_contract import ENDPOINTS, Endpoint

from realdb_ci.github import GitHub

TOKEN = "ghs_example"
HEAD = "c" * 40
BOT = {"login": "github-actions[bot]", "type": "Bot"}
# Longer than any client of a test waits; what was delayed is let go at the end.
LONG = 60.0


@dataclass(frozen=True)
class Trouble:
    """What happens to a request instead of, or on top of, what it asks for.

    Attributes:
        status: answered at once, nothing is done; None does what was asked.
        headers: of that answer.
        message: of that answer; ``raw`` is sent as it is in its stead.
        silent: no answer comes until the client has given up.
        drop: the connection is closed without an answer.
        on: the request it happens to, as ``POST /repos/...`` begins.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "trouble"
    raw: bytes = b""
    silent: bool = False
    drop: bool = False
    on: str = ""


# Which of its methods serves which endpoint.
DONE_BY = {
    ("POST", "check-runs"): "_make_check",
    ("GET", "check-runs/{check_run_id}"): "_show_check",
    ("PATCH", "check-runs/{check_run_id}"): "_change_check",
    ("GET", "commits/{ref}/check-runs"): "_list_checks",
    ("GET", "commits/{commit_sha}/pulls"): "_list_pulls",
    ("GET", "compare/{basehead}"): "_compare",
    ("GET", "actions/artifacts"): "_list_artifacts",
    ("GET", "actions/artifacts/{artifact_id}/{archive_format}"): "_send_to_storage",
    ("GET", "actions/runs/{run_id}"): "_show_run",
    ("GET", "issues/{issue_number}/comments"): "_list_comments",
    ("POST", "issues/{issue_number}/comments"): "_make_comment",
    ("PATCH", "issues/comments/{comment_id}"): "_change_comment",
}


class Refusal(Exception):
    """A request that GitHub would refuse."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"message": message, **more}


class FakeGitHub:
    """The state of one repository and what was asked of it.

    Attributes:
        checks: check runs by number, each with its ``annotations``.
        comments: comments on pull requests by number, each with its ``pull``.
        pulls: pull requests by number.
        merge_bases: when the merge base of two commits was committed, in ISO 8601, by ``base...head``.
        permissions: what the token may write, and ``actions`` where it may read artifacts.
        storage: the artifacts, which lie elsewhere.
        troubles: those to come, first first.
        requests: ``METHOD /path`` of each request.
        complaints: why requests were refused that GitHub would not have understood; for tests to be empty.
    """

    def __init__(self) -> None:
        self.url = ""
        self.checks: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, dict[str, Any]] = {}
        self.pulls: dict[int, dict[str, Any]] = {7: {"number": 7, "state": "open", "head": {"sha": HEAD}}}
        self.merge_bases: dict[str, str] = {}
        self.permissions = {"checks", "pull-requests", "actions"}
        self.storage = Storage()
        self.troubles: deque[Trouble] = deque()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.released = threading.Event()
        self.lock = threading.Lock()
        self._numbers = itertools.count(100)

    def job(self, root: Path, **more: Any) -> GitHub:
        """A job of a pull request's run, in a hurry where a real one is polite."""
        known = GitHub(
            repository="ann/desk",
            sha=HEAD,
            root=root,
            token=TOKEN,
            api=self.url,
            event="pull_request",
            pull=7,
            workflow="CI",
            job="test",
            run_id="42",
            pace=0.0,
        )
        return replace(known, **more)

    def add_comment(self, body: str, author: dict[str, str] = BOT, association: str = "NONE") -> int:
        """A comment that stands there already."""
        number = next(self._numbers)
        comment = {"id": number, "pull": 7, "body": body, "user": author, "author_association": association}
        self.comments[number] = comment
        return number

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """Do what is asked, as GitHub would.

        Raises:
            Refusal: it would not.
        """
        endpoint, named = _endpoint(method, path)
        if (named["owner"], named["repo"]) != ("ann", "desk"):
            raise Refusal(404, "Not Found")
        needs = "checks" if "check-runs" in path else "pull-requests"
        needs = "actions" if "/actions/" in endpoint.path else needs
        if (method != "GET" or needs == "actions") and needs not in self.permissions:
            raise Refusal(403, "Resource not accessible by integration")
        complaints = endpoint.complaints(query, body)
        if complaints:
            self.complaints += complaints
            raise Refusal(422, "Validation Failed", errors=complaints)
        do = getattr(self, DONE_BY[method, endpoint.path.removeprefix("/repos/{owner}/{repo}/")])
        with self.lock:
            answer = do(body, query, **{one: named[one] for one in named if one not in ("owner", "repo")})
        if do == self._send_to_storage:
            return 302, answer
        status = 201 if method == "POST" else 200
        self.complaints += endpoint.misfits(status, answer)
        return status, answer

    def _make_check(self, body: Any, _query: Any) -> Any:
        number = next(self._numbers)
        self.checks[number] = {"id": number, "annotations": [], "output": {}}
        return self._put(number, body)

    def _change_check(self, body: Any, _query: Any, check_run_id: str) -> Any:
        self._show_check(None, None, check_run_id)
        return self._put(int(check_run_id), body)

    def _show_check(self, _body: Any, _query: Any, check_run_id: str) -> Any:
        if int(check_run_id) not in self.checks:
            raise Refusal(404, "Not Found")
        return self._told(self.checks[int(check_run_id)])

    def _list_checks(self, _body: Any, query: Any, ref: str) -> Any:
        name = query.get("check_name")
        found = [one for one in self.checks.values() if one["head_sha"] == ref and name in (None, one["name"])]
        return {"total_count": len(found), "check_runs": [self._told(one) for one in _paged(found, query)]}

    def _list_pulls(self, _body: Any, query: Any, commit_sha: str) -> Any:
        return _paged([one for one in self.pulls.values() if one["head"]["sha"] == commit_sha], query)

    def _compare(self, _body: Any, _query: Any, basehead: str) -> Any:
        if basehead not in self.merge_bases:
            raise Refusal(404, "Not Found")
        commit = {"committer": {"name": "ann", "date": self.merge_bases[basehead]}}
        return {"merge_base_commit": {"sha": "d" * 40, "commit": commit}, "status": "diverged", "total_commits": 1}

    def _list_artifacts(self, _body: Any, query: Any) -> Any:
        found = self.storage.listed(query.get("name"))
        return {"total_count": len(found), "artifacts": _paged(found, query)}

    def _show_run(self, _body: Any, _query: Any, run_id: str) -> Any:
        return {"id": int(run_id), "event": self.storage.events[int(run_id)]}

    def _send_to_storage(self, _body: Any, _query: Any, artifact_id: str, archive_format: str) -> str:
        if archive_format != "zip" or int(artifact_id) not in self.storage.files:
            raise Refusal(404, "Not Found")
        if any(one["expired"] for one in self.storage.artifacts if one["id"] == int(artifact_id)):
            raise Refusal(410, "Gone")
        return f"{self.storage.url}/{artifact_id}?sig=secret"

    def _list_comments(self, _body: Any, query: Any, issue_number: str) -> Any:
        found = [one for one in self.comments.values() if one["pull"] == int(issue_number)]
        return _paged(found, query)

    def _make_comment(self, body: Any, _query: Any, issue_number: str) -> Any:
        if int(issue_number) not in self.pulls:
            raise Refusal(404, "Not Found")
        return self.comments[self.add_comment(body["body"])]

    def _change_comment(self, body: Any, _query: Any, comment_id: str) -> Any:
        if int(comment_id) not in self.comments:
            raise Refusal(404, "Not Found")
        self.comments[int(comment_id)]["body"] = body["body"]
        return self.comments[int(comment_id)]

    def _put(self, number: int, body: Any) -> Any:
        run = self.checks[number]
        output = dict(body.get("output", {}))
        run["annotations"] += output.pop("annotations", [])
        run |= {name: value for name, value in body.items() if name != "output"}
        run["output"] = {**run["output"], **output}
        return self._told(run)

    def _told(self, run: dict[str, Any]) -> dict[str, Any]:
        output = {"title": None, "summary": None, "text": None, **run["output"]}
        output["annotations_count"] = len(run["annotations"])
        return {**{name: value for name, value in run.items() if name != "annotations"}, "output": output}


def _endpoint(method: str, path: str) -> tuple[Endpoint, dict[str, str]]:
    for endpoint in ENDPOINTS:
        found = endpoint.pattern.match(path)
        if found and endpoint.method == method:
            return endpoint, found.groupdict()
    raise Refusal(404, "Not Found")


def _paged(found: list[Any], query: dict[str, str]) -> list[Any]:
    size, page = int(query.get("per_page", 30)), int(query.get("page", 1))
    return found[(page - 1) * size : page * size]


class Handler(BaseHTTPRequestHandler):
    """Speaks HTTP for the fake that its server holds."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        """Any request."""
        fake = self.server.fake
        line = f"{self.command} {self.path.partition('?')[0]}"
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with fake.lock:
            fake.requests.append(line)
            hit = bool(fake.troubles) and line.startswith(fake.troubles[0].on)
            trouble = fake.troubles.popleft() if hit else Trouble()
        if trouble.status is not None:
            told = trouble.raw or json.dumps({"message": trouble.message}).encode()
            self._send(trouble.status, told, trouble.headers)
            return
        try:
            status, answer, headers = self._answer(body)
        except Refusal as refusal:
            status, answer, headers = refusal.status, refusal.body, {}
        if trouble.silent:
            fake.released.wait(LONG)
        if trouble.drop or trouble.silent:
            self.close_connection = True
        else:
            self._send(status, json.dumps(answer).encode(), headers)

    do_POST = do_PATCH = do_GET  # noqa: N815 - http.server finds them by these names

    def log_message(self, *_args: Any) -> None:
        """Keep quiet."""

    def _answer(self, body: bytes) -> tuple[int, Any, dict[str, str]]:
        fake = self.server.fake
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refusal(401, "Bad credentials")
        if not self.headers.get("User-Agent") or self.headers.get("Accept") != "application/vnd.github+json":
            raise Refusal(403, "Request forbidden by administrative rules")
        address = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(address.query))
        plain = json.loads(body) if body else None
        status, answer = fake.answer(self.command, address.path, query, plain)
        return status, answer, {"Location": answer} if status == 302 else self._links(address, query)

    def _links(self, address: urllib.parse.SplitResult, query: dict[str, str]) -> dict[str, str]:
        """A link to the next page, where there is one."""
        if self.command != "GET" or "page" not in _endpoint("GET", address.path)[0].query:
            return {}
        following = {**query, "page": str(int(query.get("page", 1)) + 1)}
        _, answer = self.server.fake.answer("GET", address.path, following, None)
        rest = answer.get("check_runs", answer.get("artifacts")) if isinstance(answer, dict) else answer
        if not rest:
            return {}
        url = f"{self.server.fake.url}{address.path}?{urllib.parse.urlencode(following)}"
        return {"Link": f'<{url}>; rel="next"'}

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


class Server(ThreadingHTTPServer):
    """One thread a connection, none of which outlives a test."""

    daemon_threads = True
    fake: FakeGitHub

    def handle_error(self, *_args: Any) -> None:
        """A client that has gone is no news; a mistake of the fake is."""
        problem = sys.exception()
        if not isinstance(problem, OSError):
            self.fake.complaints.append(f"the fake broke: {problem!r}")


@contextmanager
def serving(host: str = "127.0.0.1") -> Iterator[FakeGitHub]:
    """A fake that answers on an address of this machine until the block ends."""
    fake = FakeGitHub()
    server = Server((host, 0), Handler)
    server.fake = fake
    fake.url = f"http://{host}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        with storing(host) as fake.storage:
            yield fake
    finally:
        fake.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def fake() -> Iterator[FakeGitHub]:
    """A fake for one test; what GitHub would not have understood fails it."""
    with serving() as made:
        yield made
        assert made.complaints == []
