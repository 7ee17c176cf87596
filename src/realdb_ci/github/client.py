"""Client: requests to GitHub that are paced, patient within a limit, and never sent twice by mistake.

``requests`` carries them: every install has it (testcontainers' own), it honours the proxies and certificates of
self-hosted runners, and it drops the token where a server redirects to another host.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from realdb_ci.errors import EnvironmentProblem
from realdb_ci.github.answers import BROKEN, FORBIDDEN, limit, never_sent, told

if TYPE_CHECKING:
    import requests

    from realdb_ci.github.context import GitHub

HEADERS = {
    "Accept": "application/vnd.github+json",
    "User-Agent": "realdb-ci",
    "X-GitHub-Api-Version": "2022-11-28",
}
CONNECT_SECONDS = 5.0
# Of one request, its first one included. GitHub's own troubles pass in seconds or not at all.
ATTEMPTS = 3


class Unreachable(EnvironmentProblem):
    """GitHub could not be reached, or did not accept a request; ``status`` is its answer's, if there was one."""

    status: int | None = None


class Unsure(Unreachable):
    """A change that may have been made: no answer came, or none that tells. Look before sending it again."""


@dataclass(frozen=True)
class _Request:
    method: str
    url: str
    body: Mapping[str, Any] | None = None
    query: Mapping[str, str | int] = field(default_factory=dict)
    needs: str = ""
    repeatable: bool = True
    redirects: bool = False

    def is_met_by(self, answer: requests.Response) -> bool:
        """Whether it was done: a redirection of a change was not followed."""
        return answer.is_redirect if self.redirects else 200 <= answer.status_code < 300  # noqa: PLR2004


class Client:
    """The requests of one run, one after the other.

    Args:
        github: whom to speak for, to which server, and how politely.
        sleep: how to wait; given seconds.
    """

    def __init__(self, github: GitHub, sleep: Callable[[float], None] = time.sleep) -> None:
        import requests

        self.github = github
        self._sleep = sleep
        self._patience = github.patience
        self._silences = 0
        self._last_write = float("-inf")
        self._session = requests.Session()
        self._session.headers.update(HEADERS)
        # Not as a plain header: a .netrc would take its place.
        self._session.auth = self._sign

    def get(self, path: str, needs: str = "", **query: str | int) -> Any:
        """What stands at a path, read from JSON.

        Args:
            path: below the base address, from its slash on.
            needs: the permission, as a workflow spells it, where not every token has it.
            query: what is asked of it.

        Raises:
            Unreachable: it could not be had.
        """
        return _plain(self._answer(_Request("GET", self.github.api + path, query=query, needs=needs)))

    def pages(self, path: str, **query: str | int) -> Iterator[Any]:
        """The pages of a list, as the server links them.

        Raises:
            Unreachable: one of them could not be had.
        """
        request = _Request("GET", self.github.api + path, query=query)
        seen = set()
        # The token goes to this server only.
        while request.url not in seen and request.url.startswith(self.github.api + "/"):
            seen.add(request.url)
            answer = self._answer(request)
            yield _plain(answer)
            # The link holds the query already.
            request = _Request("GET", answer.links.get("next", {}).get("url", ""))

    def address(self, path: str, needs: str) -> str:
        """Where a path redirects to, for a request without the token.

        Args:
            path: below the base address, from its slash on.
            needs: the permission, as a workflow spells it.

        Raises:
            Unreachable: it does not redirect.
        """
        asked = _Request("GET", self.github.api + path, needs=needs, redirects=True)
        return str(self._answer(asked).headers["Location"])

    def write(self, method: str, path: str, body: Mapping[str, Any], *, needs: str, repeatable: bool) -> Any:
        """Change something.

        Args:
            method: POST or PATCH.
            path: below the base address, from its slash on.
            body: plain data.
            needs: the permission, as a workflow spells it: ``checks: write``.
            repeatable: whether sending it twice is the same as sending it once.

        Returns:
            The server's answer, read from JSON.

        Raises:
            Unsure: it is not repeatable, and may have been done.
            Unreachable: it was not done, or the answer cannot be read.
        """
        return _plain(self._answer(_Request(method, self.github.api + path, body, {}, needs, repeatable)))

    def _answer(self, request: _Request) -> requests.Response:
        """The answer to a request, after as many attempts as are polite."""
        problem = Unreachable("GitHub was not asked", why="the patience with it was used up before")
        for attempt in range(ATTEMPTS):
            if self._patience <= 0:
                break
            outcome = self._try(request)
            if not isinstance(outcome, Unreachable) and request.is_met_by(outcome):
                return outcome
            problem, pause = self._judge(outcome, request, 2.0**attempt)
            if pause is None or (isinstance(problem, Unsure) and not request.repeatable):
                raise problem
            if attempt + 1 < ATTEMPTS and not self._afford(pause):
                break
        raise problem

    def _try(self, request: _Request) -> requests.Response | Unreachable:
        """One attempt; what it took counts against the patience unless it was good."""
        changes = request.method != "GET"
        if changes:
            self._wait(self._last_write + self.github.pace - time.monotonic())
        began = time.monotonic()
        outcome = self._send(request)
        if changes:
            self._last_write = time.monotonic()
        if isinstance(outcome, Unreachable) or not request.is_met_by(outcome):
            self._patience -= time.monotonic() - began
        self._silences = self._silences + 1 if isinstance(outcome, Unreachable) else 0
        if self._silences >= ATTEMPTS:
            self._patience = 0.0  # patience is for those who ask for it
        return outcome

    def _send(self, request: _Request) -> requests.Response | Unreachable:
        import requests

        try:
            return self._session.request(
                request.method,
                request.url,
                params=request.query,
                json=request.body,
                timeout=(CONNECT_SECONDS, self.github.timeout),
                # Following one, requests may turn a change into a reading.
                allow_redirects=request.method == "GET" and not request.redirects,
            )
        except requests.RequestException as problem:
            kind = Unreachable if never_sent(problem) else Unsure
            return kind("GitHub did not answer", why=f"{type(problem).__name__}: {problem}"[:500])

    def _judge(
        self, outcome: requests.Response | Unreachable, request: _Request, pause: float
    ) -> tuple[Unreachable, float | None]:
        """What an outcome that is not good means, and how long to wait before another attempt; None for never."""
        if isinstance(outcome, Unreachable):
            return outcome, pause
        limited = limit(outcome)
        if limited is not None:
            return self._refusal(outcome, "a rate limit was met", ""), limited
        if outcome.status_code >= BROKEN:
            problem = Unsure("GitHub has troubles", why=told(outcome))
            problem.status = outcome.status_code
            return problem, pause
        if outcome.status_code != FORBIDDEN:
            return self._refusal(outcome, "", ""), None
        if self.github.restricted:
            return self._refusal(outcome, self.github.restricted, ""), None
        remedy = f"Give the job the permission {request.needs!r}." if request.needs else ""
        return self._refusal(outcome, "", remedy), None

    @staticmethod
    def _refusal(answer: requests.Response, why: str, remedy: str) -> Unreachable:
        words = told(answer)
        problem = Unreachable("GitHub refused", why=f"{why} ({words})" if why else words, remedy=remedy)
        problem.status = answer.status_code
        return problem

    def _afford(self, seconds: float) -> bool:
        """Wait, if there is patience enough for it."""
        if seconds > self._patience:
            return False
        self._patience -= seconds
        self._wait(seconds)
        return True

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self._sleep(seconds)

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.github.token:
            request.headers["Authorization"] = f"Bearer {self.github.token}"
        return request


def _plain(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError as problem:
        # Something between us and GitHub that speaks for it, such as a proxy's page.
        raise Unreachable("GitHub's answer is not JSON", why=str(problem)) from None
