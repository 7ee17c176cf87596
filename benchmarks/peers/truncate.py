"""One container a session, real commits, TRUNCATE of every table after each test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session, SQLModel, create_engine
from testcontainers.community.postgres import PostgresContainer


@pytest.fixture(scope="session")
def postgres_engine() -> Iterator[Engine]:
    """A server in a container, and its tables."""
    with PostgresContainer(os.environ["BENCH_IMAGE"]) as postgres:
        engine = create_engine(postgres.get_connection_url())
        SQLModel.metadata.create_all(engine)
        yield engine


@pytest.fixture
def db_session(postgres_engine: Engine) -> Iterator[Session]:
    """A plain session; what it committed is truncated."""
    with Session(postgres_engine) as session:
        yield session
    tables = ", ".join(f'"{table.name}"' for table in SQLModel.metadata.sorted_tables)
    with postgres_engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
