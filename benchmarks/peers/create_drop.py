"""One container a session, the tables created before and dropped after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from common import container, recreated
from sqlalchemy import Engine
from sqlmodel import Session


@pytest.fixture(scope="session")
def postgres_engine() -> Iterator[Engine]:
    """A server in a container."""
    with container() as engine:
        yield engine


@pytest.fixture
def db_session(postgres_engine: Engine) -> Iterator[Session]:
    """A plain session on new tables."""
    yield from recreated(postgres_engine)
