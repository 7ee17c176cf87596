"""Clones: a database of its own for each test that needs real commits, ready before the test asks.

A clone takes some 20 ms and a new connection 3 to 8 ms, and neither has to be on a test's clock. So a thread keeps
a few clones ready, each with a connection that is open already, and takes back those that a test is done with.
"""

from __future__ import annotations

import itertools
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from realdb_ci.errors import RealdbError, ServerError
from realdb_ci.services.contract import Server
from realdb_ci.services.postgres import database
from realdb_ci.services.postgres.recycling import Keeper
from realdb_ci.services.postgres.template import Template

if TYPE_CHECKING:
    from sqlalchemy import Engine

# One in a test's hands, one ready, one on its way.
AHEAD = 3
WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Clone:
    """One test's own database, and an engine that has a connection to it.

    Attributes:
        name: of the database.
        url: where anybody reaches it.
        engine: with one open connection in its pool.
        keeper: what makes it new again, or None where the account may not.
    """

    name: str
    url: str
    engine: Engine
    keeper: Keeper | None

    @property
    def checked_out(self) -> int:
        """How many connections of its engine nobody has given back."""
        pool: Any = self.engine.pool
        return int(pool.checkedout())

    def ask(self, *statements: str) -> Sequence[Any]:
        """The rows that the last of these statements gives; past SQLAlchemy, which tells listeners of its own."""
        with closing(self.engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute("; ".join(statements))
            return cursor.fetchall()

    def revive(self) -> None:
        """Connect again where its connection was ended while it waited: a test may end all that it sees."""
        import psycopg2

        try:
            self.ask("SELECT 1")
        except psycopg2.OperationalError:
            self.engine.dispose()
            with self.engine.connect():
                pass

    def renew(self) -> bool:
        """Undo what its test did; False where only a new clone is as the template is."""
        import psycopg2

        if self.keeper is None or self.checked_out:
            return False
        try:
            self._reset_connections()  # its temporary tables would count as a change
            if not self.keeper.is_as_before():
                return False
            self.keeper.clean()
        except psycopg2.Error:
            return False
        return True

    def close(self) -> None:
        """End our connections to it."""
        self.engine.dispose()
        if self.keeper is not None:
            self.keeper.close()

    def _reset_connections(self) -> None:
        """Leave one connection in the pool, without the settings, LISTENs and temporary tables of the test."""
        pool: Any = self.engine.pool
        if pool.checkedin() != 1:
            self.engine.dispose()
        connection = self.engine.raw_connection()
        real: Any = connection.dbapi_connection
        real.autocommit = True
        with real.cursor() as cursor:
            cursor.execute("DISCARD ALL")
        real.autocommit = False
        real.notices.clear()
        real.notifies.clear()
        connection.close()


class Clones:
    """Hands out clones of one template, each as if nobody had had it.

    Args:
        server: where they live.
        template: what they are copies of.
        prefix: what their names start with.
        wanted: how many will be asked for, as far as that is known.
    """

    def __init__(self, server: Server, template: Template, prefix: str, wanted: int) -> None:
        self._server = server
        self._template = template
        self._prefix = prefix
        self._wanted = wanted
        self._numbers = itertools.count(1)
        self._ready: queue.SimpleQueue[Clone | RealdbError] = queue.SimpleQueue()
        # How many are ready or will be.
        self._supply = 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="realdb-ci-clones")
        for _ in range(min(AHEAD, wanted)):
            self._supply_one(self._make)

    def take(self) -> Clone:
        """A clone as the template is, at once where one is ready.

        Raises:
            RealdbError: it could not be made.
        """
        if not self._supply:
            self._supply_one(self._make)
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
        self._supply -= 1
        self._wanted -= 1
        made.revive()
        return made

    def give_back(self, clone: Clone) -> None:
        """Take back what a test is done with; connections that it left open do not keep it."""
        if self._supply < self._wanted:
            self._supply_one(lambda: clone if clone.renew() else self._replace(clone))
        else:
            self._thread.submit(self._drop, clone)

    def keep(self, clone: Clone) -> str:
        """Let a clone outlive its test and the run; return its URL."""
        clone.close()
        return database.keep(self._server.url, clone.name)

    def close(self) -> None:
        """Make no more, and end our connections to those that nobody took; the run's end drops them."""
        self._thread.shutdown(cancel_futures=True)
        while not self._ready.empty():
            left = self._ready.get()
            if isinstance(left, Clone):
                left.close()

    def _supply_one(self, make: Callable[[], Clone]) -> None:
        self._supply += 1

        def run() -> None:
            try:
                self._ready.put(self._insisting(make))
            except RealdbError as problem:
                self._ready.put(problem)
            except Exception as problem:  # noqa: BLE001  # whoever waits has to hear of it
                self._ready.put(_unforeseen(problem))

        self._thread.submit(run)

    def _insisting(self, make: Callable[[], Clone]) -> Clone:
        """Make one, and once more where a test ended the connection that was making it."""
        import psycopg2

        try:
            return make()
        except psycopg2.OperationalError:
            return self._make()

    def _make(self) -> Clone:
        import psycopg2

        name = f"{self._prefix}_clone{next(self._numbers)}"
        url = self._template.clone(name)
        engine = database.engine_of(url)
        with engine.connect():
            pass  # the pool keeps the connection for the test
        try:
            keeper = Keeper(url)
        except psycopg2.errors.InsufficientPrivilege:
            keeper = None
        return Clone(name, url, engine, keeper)

    def _replace(self, clone: Clone) -> Clone:
        self._drop(clone)
        return self._make()

    def _drop(self, clone: Clone) -> None:
        clone.close()
        database.drop(self._server.url, clone.name)


def _unforeseen(problem: Exception) -> ServerError:
    return ServerError(
        "A clone of the template could not be made",
        why=f"{type(problem).__name__}: {problem}",
        remedy="Look at the server's log; if it says nothing, please report this.",
    )
