"""pytest-databases: its server; it offers no isolation within a process, so the suite's fastest one by hand."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from common import create_tables, rolled_back, truncated
from pytest_databases.docker.postgres import PostgresService
from sqlalchemy import URL, Engine
from sqlmodel import Session, create_engine

pytest_plugins = ["pytest_databases.docker.postgres"]


@pytest.fixture(scope="session")
def postgres_image() -> str:
    """The image of the other peers."""
    return os.environ["BENCH_IMAGE"]


@pytest.fixture(scope="session")
def postgres_engine(postgres_service: PostgresService) -> Iterator[Engine]:
    """The service's database, and the suite's tables."""
    service = postgres_service
    engine = create_engine(
        URL.create(
            "postgresql+psycopg", service.user, service.password, service.host, service.port, service.database
        )
    )
    yield create_tables(engine)
    engine.dispose()


@pytest.fixture
def db_session(postgres_engine: Engine) -> Iterator[Session]:
    """Savepoints, or where the suite commits for real, truncation."""
    yield from {"savepoint": rolled_back, "commit": truncated}[os.environ["BENCH_SUITE"]](postgres_engine)
