"""A container of its own for each test module, and savepoints within it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, SQLModel, create_engine
from testcontainers.community.postgres import PostgresContainer


@pytest.fixture(scope="module")
def postgres_engine() -> Iterator[Engine]:
    """A server in a container, and its tables."""
    with PostgresContainer(os.environ["BENCH_IMAGE"]) as postgres:
        engine = create_engine(postgres.get_connection_url())
        SQLModel.metadata.create_all(engine)
        yield engine


@pytest.fixture
def db_session(postgres_engine: Engine) -> Iterator[Session]:
    """A session whose commits are savepoints in a transaction that is rolled back."""
    with postgres_engine.connect() as connection:
        transaction = connection.begin()
        with Session(bind=connection, join_transaction_mode="create_savepoint") as session:
            yield session
        transaction.rollback()
