"""pytest-postgresql: a template database made once by ``load``, and a clone of it for each test.

The server is not in its time: it is up before, and its address comes with the command line, as its documentation
has it for a server in Docker.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from common import create_tables
from psycopg import Connection
from pytest_postgresql import factories
from sqlalchemy import URL, Engine
from sqlmodel import Session, create_engine


def _engine(user: str, password: str, host: str, port: int | str, dbname: str) -> Engine:
    return create_engine(URL.create("postgresql+psycopg", user, password, host, int(port), dbname))


def load_tables(*, autocommit: bool, **address: Any) -> None:  # noqa: ARG001  # the plugin passes it
    """Make the tables in the template; called once a session."""
    create_tables(_engine(**address)).dispose()


postgresql_noproc = factories.postgresql_noproc(load=[load_tables])
postgresql = factories.postgresql("postgresql_noproc")


@pytest.fixture
def db_session(postgresql: Connection) -> Iterator[Session]:
    """A session on the test's own database.

    Its documentation's example has no connection pool; with one the session connects once, not after each commit.
    """
    info = postgresql.info
    engine = _engine(info.user, info.password, info.host, info.port, info.dbname)
    with Session(engine) as session:
        yield session
    engine.dispose()
