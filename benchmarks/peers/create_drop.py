"""One container a session, the tables created before and dropped after each test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, SQLModel, create_engine
from testcontainers.community.postgres import PostgresContainer


@pytest.fixture(scope="session")
def postgres_engine() -> Iterator[Engine]:
    """A server in a container."""
    with PostgresContainer(os.environ["BENCH_IMAGE"]) as postgres:
        yield create_engine(postgres.get_connection_url())


@pytest.fixture
def db_session(postgres_engine: Engine) -> Iterator[Session]:
    """A plain session on new tables."""
    SQLModel.metadata.create_all(postgres_engine)
    with Session(postgres_engine) as session:
        yield session
    SQLModel.metadata.drop_all(postgres_engine)
