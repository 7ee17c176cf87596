"""HTTP: what a third party answers, decided by the test, and nothing of our own machinery cut off.

``httpserver`` and ``respx_mock`` are those of their own plugins, explained. ``responses`` lets through what is no
third party, and ``http_faults`` gives the answers nobody likes to get.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from realdb_ci.doubles.extras import needs
from realdb_ci.doubles.faults import HttpFaults

if TYPE_CHECKING:
    from pytest_httpserver import HTTPServer
    from responses import RequestsMock
    from respx import MockRouter

# Docker's client speaks HTTP over its socket or pipe; embedded servers, moto and httpserver answer on loopback.
_SOCKETS = r"http\+[a-z]+://"
_LOOPBACK = r"localhost|127\.\d+\.\d+\.\d+|\[::1\]|0\.0\.0\.0"
# Containers are reached at private addresses; a third party has a name.
_PRIVATE = r"10\.\d+\.\d+\.\d+|192\.168\.\d+\.\d+|172\.(?:1[6-9]|2\d|3[01])\.\d+\.\d+|host\.docker\.internal"


@pytest.fixture
def _faults() -> HttpFaults:
    """The faults of this test, which stubs step back for."""
    return HttpFaults()


@pytest.fixture
def httpserver(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> HTTPServer:
    """Third party on 127.0.0.1 (pytest-httpserver): ``httpserver.expect_request(path).respond_with_json(...)``."""
    with needs(pytestconfig, "httpserver", "http"):
        import pytest_httpserver  # noqa: F401  # or asking for the plugin's fixture would be asking for ours
    server: HTTPServer = request.getfixturevalue("httpserver")
    return server


@pytest.fixture
def respx_mock(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> MockRouter:
    """Stubs for ``httpx`` (respx): ``respx_mock.get(url).respond(json=...)``; others are refused."""
    with needs(pytestconfig, "respx_mock", "http"):
        import respx  # noqa: F401
    router: MockRouter = request.getfixturevalue("respx_mock")
    return router


@pytest.fixture
def responses(pytestconfig: pytest.Config, _faults: HttpFaults) -> Iterator[RequestsMock]:
    """Stubs for ``requests`` (the library responses): ``responses.get(url, json=...)``; unknown URLs are refused.

    Loopback and private addresses and the Docker daemon stay reachable, unless a stub names them.
    """
    with needs(pytestconfig, "responses", "http"):
        from responses import PassthroughResponse, RequestsMock
        from responses.registries import FirstMatchRegistry

    class Registry(FirstMatchRegistry):
        def find(self, request: Any) -> Any:
            if _faults.pending(request.url):
                return PassthroughResponse(request.method, request.url), []
            return super().find(request)

    with RequestsMock(assert_all_requests_are_fired=False, registry=Registry) as mock:
        mock.add_passthru(_no_third_party(os.environ.get("DOCKER_HOST", "")))
        yield mock


@pytest.fixture
def http_faults(
    pytestconfig: pytest.Config,
    request: pytest.FixtureRequest,
    _faults: HttpFaults,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[HttpFaults]:
    """Faults of a third party, for ``requests`` and ``httpx``: ``http_faults.timeout(url)``, ``.server_error``.

    A fault comes before any stub and any network. One that no request met proves nothing and is a warning.
    """
    with needs(pytestconfig, "http_faults", "http"):
        _faults.install(monkeypatch)
    yield _faults
    for fault in _faults.unmet:
        message = f"{request.node.nodeid}: no request met the {fault.kind} fault of {fault.url}"
        warnings.warn(pytest.PytestWarning(message), stacklevel=1)


def _no_third_party(docker_host: str) -> re.Pattern[str]:
    """What stubs let through. A Docker daemon that is given by name, as in GitLab's jobs, belongs to it."""
    hosts = [_LOOPBACK, _PRIVATE]
    daemon = urlsplit(docker_host).hostname
    if daemon:
        hosts.append(re.escape(daemon))
    return re.compile(rf"{_SOCKETS}|https?://(?:{'|'.join(hosts)})(?=[:/?#]|$)", re.IGNORECASE)
