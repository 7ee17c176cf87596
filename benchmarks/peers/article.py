"""The article's hand-written conftest: one container a session, tables made once, savepoints."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from common import container, create_tables, rolled_back
from sqlalchemy import Engine
from sqlmodel import Session


@pytest.fixture(scope="session")
def postgres_engine() -> Iterator[Engine]:
    """A server in a container, and its tables."""
    with container() as engine:
        yield create_tables(engine)


@pytest.fixture
def db_session(postgres_engine: Engine) -> Iterator[Session]:
    """A session whose commits are savepoints."""
    yield from rolled_back(postgres_engine)
