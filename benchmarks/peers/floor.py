"""The least a suite on a real server can cost: the server is up before, nothing is undone after a test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from common import create_tables
from sqlalchemy import Engine
from sqlmodel import Session, create_engine


@pytest.fixture(scope="session")
def postgres_engine() -> Engine:
    """The running server's database, and its tables."""
    return create_tables(create_engine(os.environ["BENCH_URL"]))


@pytest.fixture
def db_session(postgres_engine: Engine) -> Iterator[Session]:
    """A plain session."""
    with Session(postgres_engine) as session:
        yield session
