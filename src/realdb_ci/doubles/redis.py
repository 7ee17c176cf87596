"""Redis: fakeredis, the same data behind a client, an asynchronous client and a URL that answers over TCP.

What it does not imitate: memory limits and eviction, passwords in the URL, cluster mode, and a handful of
commands; keys of modules and of newer versions are accepted.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from realdb_ci.doubles.extras import needs

if TYPE_CHECKING:
    from fakeredis import TcpFakeServer
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

VERSION = (7, 0)
POLL_SECONDS = 0.02


@pytest.fixture(scope="session")
def _redis_double(pytestconfig: pytest.Config) -> Iterator[TcpFakeServer]:
    """The double of this test process; it listens from the start and serves only once a URL is asked for."""
    with needs(pytestconfig, "redis_client", "redis"):
        # Without Lua there are no scripts, and so none of redis-py's own locks.
        importlib.import_module("lupa")
        from fakeredis import TcpFakeServer
    with TcpFakeServer(("127.0.0.1", 0), server_version=VERSION) as server:
        yield server


@pytest.fixture(autouse=True)
def _redis_emptied(request: pytest.FixtureRequest) -> None:
    """Empty the double before each test that reaches it, by whatever fixture."""
    if "_redis_double" in request.fixturenames:
        from fakeredis import FakeRedis

        server: TcpFakeServer = request.getfixturevalue("_redis_double")
        with FakeRedis(server=server.fake_server) as client:
            client.flushall()
            client.script_flush()
            client.function_flush()


@pytest.fixture(scope="session")
def redis_url(_redis_double: TcpFakeServer) -> Iterator[str]:
    """URL (``redis://...``) of this test process's Redis double, for any client; emptied before each test."""
    thread = threading.Thread(
        target=_redis_double.serve_forever, args=(POLL_SECONDS,), name="realdb-ci Redis", daemon=True
    )
    thread.start()
    yield f"redis://127.0.0.1:{_redis_double.server_address[1]}/0"
    _redis_double.shutdown()
    thread.join()


@pytest.fixture
def redis_client(_redis_double: TcpFakeServer) -> Iterator[Redis]:
    """redis-py client of an empty Redis (fakeredis); answers in bytes, as redis-py does by default."""
    from fakeredis import FakeRedis

    with FakeRedis(server=_redis_double.fake_server) as client:
        yield client


@pytest.fixture
def async_redis_client(_redis_double: TcpFakeServer) -> AsyncRedis:
    """Asynchronous redis-py client of the same empty Redis, for whatever event loop the test runs in."""
    from fakeredis import FakeAsyncRedis

    return FakeAsyncRedis(server=_redis_double.fake_server)
