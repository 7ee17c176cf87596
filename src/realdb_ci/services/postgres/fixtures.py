"""The PostgreSQL fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from realdb_ci.services.access import access
from realdb_ci.services.contract import Server

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlmodel import Session


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> Server:
    """The run's PostgreSQL server: URL of its administrator, exact version, engine, settings."""
    return access(pytestconfig).server("postgres")


@pytest.fixture(scope="session")
def postgres_url(pytestconfig: pytest.Config, postgres_server: Server) -> Iterator[str]:
    """URL (``postgresql://...``) of an empty database that belongs to this test process."""
    from realdb_ci.services.postgres import database

    ours = access(pytestconfig)
    name = ours.database_name()
    with ours.step("database", "postgres"):
        url = database.create(postgres_server, name, ours.config.extensions)
    yield url
    # A server of ours goes away as a whole, a moment from now.
    if not postgres_server.owned:
        database.drop(postgres_server.url, name)


@pytest.fixture(scope="session")
def postgres_engine(pytestconfig: pytest.Config, postgres_server: Server, postgres_url: str) -> Iterator[Engine]:
    """SQLAlchemy engine of that database, with the project's tables created once."""
    from sqlalchemy import create_engine, make_url

    from realdb_ci.services.postgres import database

    ours = access(pytestconfig)
    # The driver that our extra installs: which one a bare URL means differs between SQLAlchemy 2.0 and 2.1.
    engine = create_engine(make_url(postgres_url).set(drivername="postgresql+psycopg2"))
    try:
        with ours.step("schema", "postgres"):
            tables = database.metadata(ours.config.schema)
            if tables is not None:
                database.build(engine, tables, postgres_server)
        yield engine
    finally:
        engine.dispose()


@pytest.fixture
def db_session(postgres_engine: Engine) -> Iterator[Session]:
    """SQLModel session in a transaction of its own: commit as you like, all of it is rolled back."""
    from sqlmodel import Session

    with postgres_engine.connect() as connection:
        transaction = connection.begin()
        with Session(bind=connection, join_transaction_mode="create_savepoint") as session:
            yield session
        # The test may have ended the outer transaction itself, through the connection.
        if transaction.is_active:
            transaction.rollback()
