"""What several peers have in common: a container with the tables, and three ways to undo a test's writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, text
from sqlmodel import Session, SQLModel, create_engine


@contextmanager
def container() -> Iterator[Engine]:
    """A server in a container of testcontainers, as its documentation starts it."""
    from testcontainers.community.postgres import PostgresContainer

    with PostgresContainer(os.environ["BENCH_IMAGE"]) as postgres:
        engine = create_engine(postgres.get_connection_url())
        yield engine
        engine.dispose()


def create_tables(engine: Engine) -> Engine:
    """Make the suite's tables in the engine's database."""
    SQLModel.metadata.create_all(engine)
    return engine


def rolled_back(engine: Engine) -> Iterator[Session]:
    """A session whose commits are savepoints in a transaction that is rolled back."""
    with engine.connect() as connection:
        transaction = connection.begin()
        with Session(bind=connection, join_transaction_mode="create_savepoint") as session:
            yield session
        transaction.rollback()


def truncated(engine: Engine) -> Iterator[Session]:
    """A plain session; what it committed is truncated."""
    with Session(engine) as session:
        yield session
    tables = ", ".join(f'"{table.name}"' for table in SQLModel.metadata.sorted_tables)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))


def recreated(engine: Engine) -> Iterator[Session]:
    """A plain session on new tables."""
    create_tables(engine)
    with Session(engine) as session:
        yield session
    SQLModel.metadata.drop_all(engine)
