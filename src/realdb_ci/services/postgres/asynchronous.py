"""Asynchronous: the same isolation for an AsyncEngine, in the event loop of the test.

A connection of asyncpg or psycopg belongs to one event loop, so the connection of a rolled-back test is opened in
the test's own and closed in it. What SQLAlchemy asks a server about itself is asked once for all tests.
"""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from realdb_ci.errors import EnvironmentProblem
from realdb_ci.services.postgres import listeners
from realdb_ci.services.postgres.connections import APPLICATION, SINCE, warn_of_left
from realdb_ci.services.postgres.isolation import LAST, Test
from realdb_ci.services.postgres.lanes import Lanes

if TYPE_CHECKING:
    from sqlalchemy import URL
    from sqlalchemy.ext.asyncio import AsyncEngine

# The first that is installed is used; each says its name to the server in its own way.
DRIVERS: dict[str, dict[str, Any]] = {
    "asyncpg": {"server_settings": {"application_name": APPLICATION}},
    "psycopg": {"application_name": APPLICATION},
}


class AsyncEngines:
    """The AsyncEngines of one test process, one a database."""

    def __init__(self) -> None:
        self._known: dict[URL, AsyncEngine] = {}

    def kept(self, url: URL) -> AsyncEngine:
        """An engine that keeps no connection from one event loop to the next."""
        from sqlalchemy import NullPool
        from sqlalchemy.ext.asyncio import create_async_engine

        if url not in self._known:
            driver = _driver()
            self._known[url] = create_async_engine(
                url.set(drivername=f"postgresql+{driver}"), poolclass=NullPool, connect_args=DRIVERS[driver]
            )
        return self._known[url]

    def own(self, url: URL) -> AsyncEngine:
        """An engine for one test alone. To the server it is one of the application's, so what it leaves is seen."""
        from sqlalchemy.ext.asyncio import create_async_engine

        return create_async_engine(url.set(drivername=f"postgresql+{_driver()}"))


@asynccontextmanager
async def on_lanes(engine: AsyncEngine, test: Test, *, deferred: bool) -> AsyncIterator[None]:
    """Let every connection of the engine share one transaction, which is rolled back at the end.

    Args:
        engine: whose connections.
        test: that runs in the body.
        deferred: whether a commit has deferred constraints to check.

    Raises:
        DB-API IntegrityError: at the end, for a deferred constraint that a real commit would have refused.
    """
    from sqlalchemy import NullPool

    sync = engine.sync_engine
    async with engine.connect() as connection:
        real: Any = (await connection.get_raw_connection()).dbapi_connection
        lanes = Lanes(real, batches=False, deferred=deferred)
        await connection.run_sync(lambda _: lanes.open())

        def end(_: object) -> None:
            left = lanes.checked_out
            if lanes.finish() and not test.failed():
                warn_of_left(test.name, left, lanes.ask, *LAST, question=SINCE)

        kept = sync.pool
        sync.pool = NullPool(lanes.connect, dialect=sync.dialect)
        listeners.hand_on(kept, sync.pool, *listeners.EACH_USE)
        try:
            yield
            await connection.run_sync(end)
        finally:
            sync.pool = kept  # and what comes back to it is rolled back
            if lanes.lost:
                await connection.invalidate()


def _driver() -> str:
    for name in DRIVERS:
        if importlib.util.find_spec(name):
            return name
    raise EnvironmentProblem(
        "Asynchronous PostgreSQL needs a driver",
        why=f"none of {', '.join(DRIVERS)} is installed",
        remedy="pip install 'realdb-ci[async]'",
    )
