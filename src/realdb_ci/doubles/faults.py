"""Faults of a third-party API: time-outs, errors and refusals, where the client library would meet the real ones.

They sit inside urllib3 (requests, botocore and others) and httpx, not around them: a client's own retries, its
translation of errors and its hooks all run.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import pytest

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass
class Fault:
    """One fault, and how often it was met.

    Attributes:
        url: what it is for.
        kind: timeout, refused or error.
        status: HTTP status of an error.
        text: its body.
        headers: its headers.
        times: how many requests meet it, or None for all.
        met: how many have met it.
    """

    url: str | re.Pattern[str]
    kind: str
    status: int = 0
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int | None = None
    met: int = 0

    @property
    def pending(self) -> bool:
        """Whether a further request would meet it."""
        return self.times is None or self.met < self.times

    def covers(self, url: str) -> bool:
        """Whether it is for this address: the same one, one below it, or one that the pattern finds."""
        if isinstance(self.url, re.Pattern):
            return self.url.search(url) is not None
        wanted, asked = _plain(self.url), _plain(url)
        return asked == wanted or asked.startswith((wanted.rstrip("/") + "/", f"{wanted}?", f"{wanted}#"))


class HttpFaults:
    """The faults of one test. A fault comes before any stub and any network; the earliest pending one wins."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def timeout(self, url: str | re.Pattern[str], *, times: int | None = None) -> Fault:
        """Let requests to ``url`` time out while they wait for the answer; at once, nobody really waits.

        Args:
            url: an address, which covers all below it, or a compiled pattern.
            times: how many requests meet it; the next go on to a stub or the network. None means all.
        """
        return self._add(Fault(url, "timeout", times=times))

    def server_error(
        self,
        url: str | re.Pattern[str],
        status: int = 500,
        *,
        text: str = "",
        headers: Mapping[str, str] | None = None,
        times: int | None = None,
    ) -> Fault:
        """Answer requests to ``url`` with an HTTP status of 400 or more; see ``timeout`` for the rest."""
        return self._add(Fault(url, "error", status, text, headers or {}, times))

    def connection_refused(self, url: str | re.Pattern[str], *, times: int | None = None) -> Fault:
        """Refuse the connection of requests to ``url``; see ``timeout`` for the rest."""
        return self._add(Fault(url, "refused", times=times))

    @property
    def unmet(self) -> list[Fault]:
        """Faults that no request met."""
        return [fault for fault in self._faults if not fault.met]

    def pending(self, url: str) -> Fault | None:
        """The fault that a request to ``url`` would meet now."""
        return next((fault for fault in self._faults if fault.pending and fault.covers(url)), None)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the faults into urllib3, and into httpx where it is installed."""
        _into_urllib3(self._meet, monkeypatch)
        try:
            import httpx  # noqa: F401
        except ImportError:
            return
        _into_httpx(self._meet, monkeypatch)

    def _add(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults.append(fault)
        return fault

    def _meet(self, url: str) -> Fault | None:
        with self._lock:
            fault = self.pending(url)
            if fault is not None:
                fault.met += 1
            return fault


def _plain(url: str) -> str:
    """The address without what two spellings of it may differ in: case of the host, a default port."""
    parts = urlsplit(url)
    port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.hostname}:{port}{parts.path.rstrip('/')}{query}"


def _into_urllib3(meet: Callable[[str], Fault | None], monkeypatch: pytest.MonkeyPatch) -> None:
    from urllib3 import HTTPConnectionPool, HTTPResponse
    from urllib3.exceptions import NewConnectionError, ReadTimeoutError

    # One attempt; ``urlopen`` around it retries, follows redirects and raises as it does for the real network.
    attempt: Callable[..., Any] = HTTPConnectionPool._make_request  # noqa: SLF001

    def faulty(pool: HTTPConnectionPool, conn: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        fault = meet(url if "://" in url else f"{pool.scheme}://{pool.host}:{pool.port}{url}")
        if fault is None:
            return attempt(pool, conn, method, url, *args, **kwargs)
        if fault.kind == "timeout":
            raise ReadTimeoutError(pool, url, "Read timed out.")
        if fault.kind == "refused":
            raise NewConnectionError(conn, "Failed to establish a new connection: [Errno 111] Connection refused")
        body = BytesIO(fault.text.encode())
        return HTTPResponse(body, fault.headers, fault.status, preload_content=False, request_url=url)

    monkeypatch.setattr(HTTPConnectionPool, "_make_request", faulty)


def _into_httpx(meet: Callable[[str], Fault | None], monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx

    send: Callable[..., Any] = httpx.HTTPTransport.handle_request
    send_async: Callable[..., Any] = httpx.AsyncHTTPTransport.handle_async_request

    def answer(fault: Fault, request: httpx.Request) -> httpx.Response:
        if fault.kind == "timeout":
            raise httpx.ReadTimeout("timed out", request=request)
        if fault.kind == "refused":
            raise httpx.ConnectError("[Errno 111] Connection refused", request=request)
        return httpx.Response(fault.status, headers=fault.headers, text=fault.text)

    def faulty(transport: httpx.HTTPTransport, request: httpx.Request) -> Any:
        fault = meet(str(request.url))
        return send(transport, request) if fault is None else answer(fault, request)

    async def faulty_async(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> Any:
        fault = meet(str(request.url))
        return await send_async(transport, request) if fault is None else answer(fault, request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", faulty)
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", faulty_async)
