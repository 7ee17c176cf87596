"""Copies: databases that start with the project's seed, made and mended in the background while tests run."""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from realdb_ci.services.mongodb.seeding import Seed

if TYPE_CHECKING:
    from bson.timestamp import Timestamp
    from pymongo.asynchronous.database import AsyncDatabase
    from pymongo.database import Database

    Db = Database[dict[str, Any]]

Sow = Callable[["Db"], object]
AsyncSow = Callable[["AsyncDatabase[dict[str, Any]]"], Awaitable[object]]


class Copies:
    """Lends databases that all hold what one function fills in; two take turns, so that a test need not wait.

    Args:
        sow: the function; it is called once, unless it is known what it fills in.
        new: makes an empty database that nobody has had.
        drop: has a database dropped.
        background: where copies are made and mended.
        undoes: whether the server is a replica set whose oplog may be read.
    """

    def __init__(
        self, sow: Sow, new: Callable[[], Db], drop: Callable[[Db], None], background: Executor, *, undoes: bool
    ) -> None:
        self._sow = sow
        self._new = new
        self._drop = drop
        self._background = background
        self._undoes = undoes
        self._seed: Seed | None = None
        self._ready: deque[Future[Db]] = deque()
        self._since: dict[str, Timestamp] = {}

    def know(self, seed: Seed) -> None:
        """Take this for what the function fills in, instead of calling it."""
        self._seed = seed
        self._ready.extend(self._background.submit(self._make, seed) for _ in range(2))

    def take(self) -> Db:
        """A database that holds the seed and nothing else."""
        if self._seed is None:
            return self._first()
        if not self._ready:
            return self._make(self._seed)
        return self._ready.popleft().result()

    def give_back(self, database: Db) -> None:
        """Have it mended for another test, or another one made in its place."""
        self._ready.append(self._background.submit(self._again, database))

    def close(self) -> None:
        """Have those dropped that wait for a test."""
        for copy in self._ready:
            if copy.exception() is None:
                self._drop(copy.result())

    def _first(self) -> Db:
        database = self._new()
        try:
            self._sow(database)
        except BaseException:
            self._drop(database)
            raise
        self._seed = Seed.of(database)
        self._ready.append(self._background.submit(self._make, self._seed))
        return self._as_it_should_be(database)

    def _again(self, database: Db) -> Db:
        from pymongo.errors import PyMongoError

        assert self._seed is not None
        if self._undoes:
            try:
                if self._seed.undo(database, self._since[database.name]):
                    return self._as_it_should_be(database)
            except PyMongoError:
                pass  # such as two documents that have swapped a unique value: another copy has neither
        self._drop(database)
        return self._make(self._seed)

    def _make(self, seed: Seed) -> Db:
        database = self._new()
        seed.copy_to(database)
        return self._as_it_should_be(database)

    def _as_it_should_be(self, database: Db) -> Db:
        """From now on its changes are a test's."""
        if self._undoes:
            self._since[database.name] = database.client.admin.command("ping")["operationTime"]
        return database


@functools.cache
def blocking(sow: AsyncSow, url: str) -> Sow:
    """An async function that fills a database, to be called without an event loop; the same each time, by its name.

    Args:
        sow: the function.
        url: of the server.
    """

    async def connected(name: str) -> None:
        from pymongo import AsyncMongoClient

        client: AsyncMongoClient[dict[str, Any]]
        async with AsyncMongoClient(url) as client:
            await sow(client[name])

    @functools.wraps(sow)
    def blocked(database: Db) -> None:
        # In a thread of its own: this one's event loop belongs to the plugin that runs the tests.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, connected(database.name)).result()

    return blocked
