"""Isolation: what one test does to PostgreSQL is gone for the next, by rollback or by a clone of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlmodel import Session

    from realdb_ci.services.postgres.clones import Clone


@contextmanager
def rolled_back(engine: Engine) -> Iterator[Session]:
    """A session in an outer transaction: its commits release savepoints, and at the end all is undone.

    Raises:
        sqlalchemy.exc.IntegrityError: at the end, for a deferred constraint that a real commit would have
            refused.
    """
    from sqlmodel import Session

    with engine.connect() as connection:
        transaction = connection.begin()
        try:
            with Session(bind=connection, join_transaction_mode="create_savepoint") as session:
                yield session
            _check_as_a_commit_would(connection)
        finally:
            # The test may have ended the outer transaction itself, through the connection.
            if transaction.is_active:
                transaction.rollback()


@contextmanager
def on_clone(engine: Engine, clone: Clone) -> Iterator[None]:
    """Let the engine speak to a clone while the body runs, whoever holds a reference to it."""
    kept = engine.pool, engine.url
    engine.pool, engine.url = clone.engine.pool, clone.engine.url
    try:
        yield
    finally:
        engine.pool, engine.url = kept


@contextmanager
def committed(engine: Engine) -> Iterator[Session]:
    """A session whose commits are real, for an engine that speaks to a clone."""
    from sqlmodel import Session

    with Session(bind=engine) as session:
        yield session


def _check_as_a_commit_would(connection: Connection) -> None:
    """Fire deferred constraints, which a rollback never would, and let go of session-level advisory locks.

    Advisory locks survive a rollback: without this the pool would hand them to the next test.
    """
    import psycopg2.extensions as pg

    raw = connection.connection.dbapi_connection
    if raw is None or raw.info.transaction_status != pg.TRANSACTION_STATUS_INTRANS:
        return
    connection.exec_driver_sql("SELECT pg_advisory_unlock_all()")
    connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
