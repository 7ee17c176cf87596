"""Lane: the DB-API connection that code under a rolled-back test gets, and its cursor; see ``lanes``.

Everything here speaks the DB-API, as SQLAlchemy's asyncio adapters do too, so one lane serves all drivers.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

from realdb_ci.errors import IsolationError
from realdb_ci.services.postgres.hints import REMEDY
from realdb_ci.services.postgres.statements import ANY, Statement, script, text_of

if TYPE_CHECKING:
    from realdb_ci.services.postgres.lanes import Lanes

# What a lane can keep to, as the drivers spell it: psycopg2's numbers, asyncpg's and psycopg's words.
_AUTOCOMMIT = ("0", "autocommit")
_READ_COMMITTED = ("none", "1", "4", "read_committed", "read_uncommitted")
_RUNNING = ("execute", "executemany", "copy_expert", "copy_from", "copy_to", "callproc")


class Lane:
    """A DB-API connection; what it does not do itself, the real one does.

    Attributes:
        savepoint: where its transaction begins, empty outside of one.
        begun: whether a BEGIN in SQL began that transaction; then autocommit waits for its end in SQL.
        wrote: whether that transaction may have changed something.
        failed: whether one of its statements failed, so that only a rollback helps.
        refusal: raised by the next statement, for a mode that savepoints do not have.
        disturbed: whether other lanes have written since, so that a rollback would undo their work too.
    """

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self.savepoint = ""
        self.begun = self.wrote = self.failed = self.disturbed = False
        self.refusal: IsolationError | None = None
        self._autocommit = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lanes.real, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        (self.rollback if kind else self.commit)()

    def cursor(self, *args: Any, **kwargs: Any) -> LaneCursor:
        """A cursor whose statements run in this lane's transaction.

        Raises:
            IsolationError: the real connection was lost.
        """
        if self._lanes.lost:
            raise unlike_savepoints("goes on after it was lost", "all of this test's share that connection")
        return LaneCursor(self, self._lanes, self._lanes.real.cursor(*args, **kwargs))

    def commit(self) -> None:
        """Keep what was done; see ``Lanes.commit``."""
        self._lanes.commit(self)

    def rollback(self) -> None:
        """Undo what was done; see ``Lanes.rollback``."""
        self._lanes.rollback(self)

    def close(self) -> None:
        """End this lane; the real connection stays."""
        self._lanes.give_back(self)

    def terminate(self) -> None:
        """End this lane, as SQLAlchemy does where nothing can be awaited, after a cancellation for instance."""
        self._lanes.abandon(self)

    @property
    def autocommit(self) -> bool:
        """Whether each statement commits by itself."""
        return self._autocommit

    @autocommit.setter
    def autocommit(self, on: bool) -> None:
        self._lanes.commit(self)
        self._autocommit = on

    @property
    def isolation_level(self) -> Any:
        """What the real connection has."""
        return self._lanes.real.isolation_level

    @isolation_level.setter
    def isolation_level(self, level: Any) -> None:
        self.set_isolation_level(level)

    def set_isolation_level(self, level: Any) -> None:
        """READ COMMITTED and AUTOCOMMIT; with any other the next statement is refused.

        Only the next statement: SQLAlchemy would not give back a connection that raised while it was made.
        """
        name = str(getattr(level, "name", level)).lower()
        self.refusal = None
        if name not in (*_AUTOCOMMIT, *_READ_COMMITTED):
            self.refusal = unlike_savepoints(
                "sets an isolation level", "one transaction has one level, and it has begun"
            )
        self.autocommit = name in _AUTOCOMMIT

    def set_session(self, isolation_level: Any = None, *, autocommit: bool | None = None, **others: Any) -> None:
        """psycopg2's way to set the isolation level and autocommit at once."""
        self.set_isolation_level(isolation_level)
        self.autocommit = bool(autocommit)
        for name, value in others.items():
            setattr(self, name, value)

    def tpc_begin(self, *_: Any) -> None:
        """Refuse: no savepoint can be prepared for a second phase."""
        raise two_phases_refused()

    def __setattr__(self, name: str, value: Any) -> None:
        # psycopg2 and asyncpg say readonly, psycopg read_only.
        if name in ("readonly", "read_only", "deferrable"):
            self.refusal = _modes_refused() if value else None
        else:
            super().__setattr__(name, value)


class LaneCursor:
    """A cursor of the real connection, whose statements run in a lane."""

    __slots__ = ("_cursor", "_lane", "_lanes")

    def __init__(self, lane: Lane, lanes: Lanes, cursor: Any) -> None:
        for name, value in (("_lane", lane), ("_lanes", lanes), ("_cursor", cursor)):
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._cursor, name)
        if name not in _RUNNING:
            return found

        def run(first: Any, *args: Any, **kwargs: Any) -> Any:
            if name.startswith("execute") and script(text_of(first, self._cursor)):
                return self._run_script(name, first, *args, **kwargs)
            statement = Statement.of(first, name, self._cursor)
            return self._lanes.run(self._lane, statement, lambda: found(first, *args, **kwargs))

        return run

    def _run_script(self, method: str, given: Any, *args: Any, **kwargs: Any) -> Any:
        """Run a text that begins or ends transactions between other statements, one after the other."""
        if method != "execute":
            raise unlike_savepoints(f"begins or ends a transaction within {method}", "it would end the test's own")
        if args or kwargs:
            if not hasattr(self._cursor, "mogrify"):  # sent apart from their values, several are refused
                call = functools.partial(self._cursor.execute, given, *args, **kwargs)
                return self._lanes.run(self._lane, ANY, call)
            given = self._cursor.mogrify(given, *args, **kwargs)
        done = None
        for part in script(text_of(given, self._cursor)):
            statement = Statement.of(part, method, self._cursor)
            done = self._lanes.run(self._lane, statement, functools.partial(self._cursor.execute, part))
        return done

    @property
    def connection(self) -> Lane:
        """The lane: committing the real connection would end the test's transaction."""
        lane: Lane = self._lane
        return lane

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._cursor, name, value)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._cursor.close()


def unlike_savepoints(what: str, why: str) -> IsolationError:
    """The error for what needs a real transaction."""
    return IsolationError(f"A connection {what}, which savepoints cannot do", why=why, remedy=REMEDY)


def two_phases_refused() -> IsolationError:
    """The error for a transaction that is to be committed in two phases."""
    return unlike_savepoints("begins a two-phase transaction", "a savepoint cannot be prepared")


def _modes_refused() -> IsolationError:
    return unlike_savepoints("makes its transaction read-only or deferrable", "all share one transaction")
