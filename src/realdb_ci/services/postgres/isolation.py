"""Isolation: what one test does to PostgreSQL is gone for the next, by rollback or by a clone of its own.

Either way the engine stays the same object and gets other connections for a while, so whoever holds a reference to
it, the application under test too, is part of the test.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from realdb_ci.services.postgres import listeners
from realdb_ci.services.postgres.connections import APPLICATION, SINCE, warn_of_left
from realdb_ci.services.postgres.lanes import Lanes

if TYPE_CHECKING:
    from sqlalchemy import Engine, PoolProxiedConnection

    from realdb_ci.services.postgres.clones import Clone

# What only a commit would check, and what would survive a rollback and reach the next test.
LAST = ("SELECT pg_advisory_unlock_all()", "SET CONSTRAINTS ALL IMMEDIATE")
# A connection that is used again: statements that a test has prepared would be there for the next.
FORGET = "DEALLOCATE ALL"
_HAS_DEFERRED = "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgdeferrable)"


@dataclass(frozen=True)
class Test:
    """The test that is isolated.

    Attributes:
        name: for the warnings.
        failed: whether it has failed so far; its traceback then keeps alive what it would have closed.
    """

    __test__ = False

    name: str
    failed: Callable[[], bool]


def is_possible(engine: object) -> bool:
    """Whether this is a SQLAlchemy engine of PostgreSQL; a project's own fixture may give anything."""
    known = getattr(sys.modules.get("sqlalchemy"), "Engine", ())
    return isinstance(engine, known) and engine.dialect.name == "postgresql"


def has_deferred(engine: Engine) -> bool:
    """Whether the schema has constraints that only a commit checks."""
    with engine.connect() as connection:
        return bool(connection.exec_driver_sql(_HAS_DEFERRED).scalar())


@contextmanager
def on_lanes(engine: Engine, test: Test, *, deferred: bool) -> Iterator[None]:
    """Let every connection of the engine share one transaction, which is rolled back at the end.

    Args:
        engine: whose connections.
        test: that runs in the body.
        deferred: whether a commit has deferred constraints to check.

    Raises:
        psycopg2.IntegrityError: at the end, for a deferred constraint that a real commit would have refused.
    """
    from sqlalchemy import NullPool

    kept = engine.pool
    base, lanes = _opened(engine, deferred=deferred)
    engine.pool = NullPool(lanes.connect, dialect=engine.dialect)
    listeners.hand_on(kept, engine.pool, *listeners.EACH_USE)
    clean = False
    try:
        yield
        left = lanes.checked_out
        if lanes.finish() and not test.failed():
            warn_of_left(test.name, left, lanes.ask, *LAST, FORGET, question=SINCE)
            clean = True
    finally:
        engine.pool = kept
        if clean:
            base.close()  # the pool rolls back what comes back to it
        else:
            base.invalidate()  # what a rollback leaves, locks of the session for instance, goes with it


def _opened(engine: Engine, *, deferred: bool) -> tuple[PoolProxiedConnection, Lanes]:
    """A connection of the engine's pool that is alive, whatever earlier tests did to it, and its lanes."""
    base = engine.pool.connect()
    if not listeners.note(base, engine.pool):
        base.invalidate()
        return _opened(engine, deferred=deferred)
    real: Any = base.dbapi_connection
    lanes = Lanes(real, batches=engine.driver == "psycopg2", deferred=deferred)
    try:
        lanes.open()
    except Exception:
        base.invalidate()
        if not lanes.lost:
            raise
        return _opened(engine, deferred=deferred)
    return base, lanes


@contextmanager
def on_clone(engine: Engine, clone: Clone, test: Test) -> Iterator[None]:
    """Let the engine speak to a clone while the body runs."""
    import psycopg2

    kept = engine.pool, engine.url
    with _engine_of(clone, engine) as other:
        if listeners.hand_on(engine.pool, other.pool, listeners.CONNECT, *listeners.EACH_USE):
            other.dispose()  # a connection that nobody was told of
        engine.pool, engine.url = other.pool, other.url
        try:
            yield
            if not test.failed():
                pool: Any = other.pool
                with suppress(psycopg2.OperationalError):  # a test that drops its database leaves nothing open
                    warn_of_left(test.name, pool.checkedout(), clone.ask)
        finally:
            engine.pool, engine.url = kept


@contextmanager
def _engine_of(clone: Clone, engine: Engine) -> Iterator[Engine]:
    """An engine of the clone on the driver of the given one, which may be the project's own."""
    if engine.driver == clone.engine.driver:
        yield clone.engine
        return
    from sqlalchemy import create_engine

    other = create_engine(engine.url.set(database=clone.name), connect_args={"application_name": APPLICATION})
    try:
        yield other
    finally:
        other.dispose()
