"""The Redis fixtures, on a real server; ``doubles.redis`` has the same names on fakeredis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from realdb_ci.services.access import access
from realdb_ci.services.contract import Server

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis


@pytest.fixture(scope="session")
def redis_server(pytestconfig: pytest.Config) -> Server:
    """The run's Redis server: URL of its administrator, exact version, engine."""
    return access(pytestconfig).server("redis")


@pytest.fixture(scope="session")
def _redis_database(pytestconfig: pytest.Config, redis_server: Server) -> Iterator[str]:
    """URL of this test process's own database; a project's own ``redis_url`` is never emptied by us."""
    from realdb_ci.services.redis import database

    worker: str = getattr(pytestconfig, "workerinput", {}).get("workerid", "gw0")
    with access(pytestconfig).step("database", "redis"):
        url = database.claim(redis_server, int(worker.removeprefix("gw")))
    yield url
    # A server of ours goes away as a whole, a moment from now.
    if not redis_server.owned:
        database.empty(url)


@pytest.fixture(autouse=True)
def _redis_emptied(request: pytest.FixtureRequest) -> None:
    """Empty the database before each test that reaches it, by whatever fixture."""
    if "_redis_database" in request.fixturenames:
        from realdb_ci.services.redis import database

        database.empty(request.getfixturevalue("_redis_database"))


@pytest.fixture(scope="session")
def redis_url(_redis_database: str) -> str:
    """URL (``redis://...``) of this test process's own Redis database, emptied before each test.

    Channels of publish and subscribe belong to the whole server, other test processes included.
    """
    return _redis_database


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[Redis]:
    """redis-py client of an empty Redis database; answers in bytes, as redis-py does by default."""
    from redis import Redis

    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def async_redis_client(redis_url: str) -> AsyncRedis:
    """Asynchronous redis-py client of the same empty database, for whatever event loop the test runs in."""
    from redis.asyncio import ConnectionPool, Redis
    from redis.asyncio.connection import AbstractConnection

    class Pool(ConnectionPool):
        """Keeps no connection: one that is kept belongs to a loop that ends before this fixture does."""

        async def release(self, connection: AbstractConnection) -> None:
            await super().release(connection)
            await connection.disconnect()

    return Redis.from_pool(Pool.from_url(redis_url))
