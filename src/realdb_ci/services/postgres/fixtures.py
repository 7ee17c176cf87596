"""The PostgreSQL fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from realdb_ci.services.access import COMMIT, Access, access
from realdb_ci.services.active import active
from realdb_ci.services.contract import Server

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlmodel import Session

    from realdb_ci.services.postgres.clones import Clones


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
    from realdb_ci.services.postgres import database

    ours = access(pytestconfig)
    engine = database.engine_of(postgres_url)
    try:
        with ours.step("schema", "postgres"):
            _build(ours, engine, postgres_server)
        yield engine
    finally:
        engine.dispose()


@pytest.fixture(scope="session")
def _postgres_clones(pytestconfig: pytest.Config, postgres_server: Server) -> Iterator[Clones]:
    """The clones of this test process, made ahead of the tests that are marked for them."""
    from realdb_ci.services.postgres import database
    from realdb_ci.services.postgres.clones import Clones

    ours = access(pytestconfig)

    def build(url: str) -> None:
        engine = database.engine_of(url)
        try:
            _build(ours, engine, postgres_server)
        finally:
            engine.dispose()

    clones = Clones(postgres_server, ours.database_name(), ours.marked(COMMIT), build)
    yield clones
    clones.close()


@pytest.fixture
def _postgres_clone(
    pytestconfig: pytest.Config, postgres_engine: Engine, _postgres_clones: Clones
) -> Iterator[None]:
    """Around a test marked ``realdb(commit=True)``: the engine speaks to a clone of the test's own."""
    from realdb_ci.services.postgres import isolation

    with access(pytestconfig).step("clone", "postgres"):
        clone = _postgres_clones.take()
    with isolation.on_clone(postgres_engine, clone):
        yield
    _postgres_clones.give_back(clone)


@pytest.fixture
def db_session(request: pytest.FixtureRequest, postgres_engine: Engine) -> Iterator[Session]:
    """SQLModel session in a transaction of its own: commit as you like, all of it is rolled back.

    With ``@pytest.mark.realdb(commit=True)`` its commits are real, in a database of the test's own.
    """
    from realdb_ci.services.postgres import isolation

    commits = access(request.config).is_marked(request.node, COMMIT)
    isolated = isolation.committed if commits else isolation.rolled_back
    with isolated(postgres_engine) as session, active.bind(session=session):
        yield session


def _build(ours: Access, engine: Engine, server: Server) -> None:
    from realdb_ci.services.postgres import database

    tables = database.metadata(ours.config.schema)
    if tables is not None:
        database.build(engine, tables, server)
