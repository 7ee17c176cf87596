"""Clones: a database of its own for each test that needs real commits, copied from a template ahead of time.

Two figures shape this module: a clone takes some 20 ms and a new connection 3 to 8 ms, and neither has to be on a
test's clock. So a thread keeps a few clones ready, each with a connection that is open already.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from realdb_ci.errors import RealdbError, ServerError
from realdb_ci.services.contract import Server
from realdb_ci.services.postgres import database
from realdb_ci.services.postgres.recipe import connect

if TYPE_CHECKING:
    from sqlalchemy import Engine

AHEAD = 3
WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Clone:
    """One test's own database, and an engine that has a connection to it."""

    name: str
    engine: Engine

    @property
    def checked_out(self) -> int:
        """How many connections of its engine nobody has given back."""
        pool: Any = self.engine.pool
        return int(pool.checkedout())

    def ask(self, question: str) -> Sequence[Any]:
        """The rows that a query gives."""
        with self.engine.connect() as connection:
            return connection.exec_driver_sql(question).all()


class Clones:
    """Hands out clones of one template, each once.

    Args:
        server: where they live.
        prefix: what their names start with.
        wanted: how many will be asked for; more are made only when somebody asks.
        build: given the URL of an empty database, makes it what every clone starts as.
    """

    def __init__(self, server: Server, prefix: str, wanted: int, build: Callable[[str], None]) -> None:
        self._server = server
        self._prefix = prefix
        self._build = build
        self._wanted = threading.Semaphore(wanted)
        self._ready: queue.Queue[Clone | RealdbError] = queue.Queue(AHEAD)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="realdb-ci-clones", daemon=True)
        self._thread.start()

    def take(self) -> Clone:
        """A clone nobody has had, ready or as soon as it is.

        Raises:
            RealdbError: it could not be made.
        """
        try:
            made = self._ready.get(timeout=WAIT_SECONDS)
        except queue.Empty:
            raise ServerError(
                f"No clone of the template was ready within {WAIT_SECONDS:g} s",
                why="the server is overloaded, or somebody is connected to the template",
                remedy="Run fewer workers, or look for code that connects to every database of the server.",
            ) from None
        if isinstance(made, RealdbError):
            self._ready.put(made)  # for whoever asks next
            raise made
        return made

    def give_back(self, clone: Clone) -> None:
        """Drop a clone; connections that the test left open do not keep it."""
        clone.engine.dispose()
        database.drop(self._server.url, clone.name)

    def close(self) -> None:
        """Make no more, and drop those that nobody took."""
        self._closing.set()
        self._wanted.release()
        while self._thread.is_alive():
            self._drain()
            self._thread.join(0.05)
        self._drain()

    def _drain(self) -> None:
        while True:
            try:
                left = self._ready.get_nowait()
            except queue.Empty:
                return
            if isinstance(left, Clone):
                left.engine.dispose()

    def _work(self) -> None:
        try:
            template = f"{self._prefix}_template"
            self._build(database.create(self._server, template))
            number = 0
            while self._wanted.acquire() and not self._closing.is_set():
                number += 1
                self._ready.put(self._make(template, f"{self._prefix}_clone{number}"))
        except RealdbError as problem:
            self._ready.put(problem)

    def _make(self, template: str, name: str) -> Clone:
        from psycopg2.sql import SQL, Identifier

        with closing(connect(self._server.url, WAIT_SECONDS)) as connection, connection.cursor() as cursor:
            cursor.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template)))
            database.limit_waiting(cursor, name)
        engine = database.engine_of(database.url_of(self._server.url, name))
        with engine.connect():
            pass  # the pool keeps the connection for the test
        return Clone(name, engine)
