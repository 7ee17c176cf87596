"""The PostgreSQL fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from realdb_ci.services.access import COMMIT, access
from realdb_ci.services.active import active
from realdb_ci.services.contract import Server, masked
from realdb_ci.services.postgres.hints import hint

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlmodel import Session

    from realdb_ci.services.postgres.clones import Clones
    from realdb_ci.services.postgres.template import Template

_FAILED: pytest.StashKey[bool] = pytest.StashKey()


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> Server:
    """The run's PostgreSQL server: URL of its administrator, exact version, engine, settings."""
    return access(pytestconfig).server("postgres")


@pytest.fixture(scope="session")
def _postgres_template(pytestconfig: pytest.Config, postgres_server: Server) -> Template:
    """What databases with the project's schema are copies of."""
    from realdb_ci.services.postgres.schema import Schema
    from realdb_ci.services.postgres.template import Template

    ours = access(pytestconfig)
    with ours.step("schema", "postgres"):
        return Template(postgres_server, ours.prefix, Schema.of(ours.config, ours.root))


@pytest.fixture(scope="session")
def postgres_url(
    request: pytest.FixtureRequest, pytestconfig: pytest.Config, postgres_server: Server
) -> Iterator[str]:
    """URL (``postgresql://...``) of a database that belongs to this test process.

    It has the project's schema and seed where any test of the run asks for ``postgres_engine``, and is empty in a
    run whose tests never do: they bring a schema of their own.
    """
    from realdb_ci.services.postgres import database

    ours = access(pytestconfig)
    name = ours.database_name()
    if any("postgres_engine" in getattr(item, "fixturenames", ()) for item in request.session.items):
        template: Template = request.getfixturevalue("_postgres_template")
        with ours.step("schema", "postgres"):
            url = template.clone(name)
    else:
        with ours.step("database", "postgres"):
            url = database.create(postgres_server, name, ours.config.extensions)
    yield url
    # A server of ours goes away as a whole, a moment from now.
    if not postgres_server.owned:
        database.drop(postgres_server.url, name)


@pytest.fixture(scope="session")
def postgres_engine(
    pytestconfig: pytest.Config, postgres_url: str, _postgres_template: Template
) -> Iterator[Engine]:
    """SQLAlchemy engine of that database, with the project's tables in it."""
    from realdb_ci.services.postgres import database

    with database.disposable(postgres_url) as engine:
        with access(pytestconfig).step("schema", "postgres"):
            _postgres_template.fill(postgres_url)
            with engine.connect():
                pass  # the pool keeps the connection, and SQLAlchemy what it asked the server
        yield engine


@pytest.fixture(scope="session")
def _postgres_clones(
    pytestconfig: pytest.Config, postgres_server: Server, _postgres_template: Template
) -> Iterator[Clones]:
    """The clones of this test process, made ahead of the tests that are marked for them."""
    from realdb_ci.services.postgres.clones import Clones

    ours = access(pytestconfig)
    clones = Clones(postgres_server, _postgres_template, ours.database_name(), ours.marked(COMMIT))
    yield clones
    clones.close()


@pytest.fixture(scope="session")
def _postgres_deferred(postgres_engine: Engine) -> bool:
    """Whether the schema has constraints that only a commit checks."""
    from realdb_ci.services.postgres import isolation

    return isolation.has_deferred(postgres_engine)


@pytest.fixture
def _postgres_isolation(
    request: pytest.FixtureRequest, pytestconfig: pytest.Config, postgres_engine: Engine
) -> Iterator[None]:
    """Around a test: what it does through the engine is undone, or done in a clone of its own."""
    from realdb_ci.services.postgres import isolation

    ours, item = access(pytestconfig), request.node
    test = isolation.Test(item.name, lambda: item.stash.get(_FAILED, False))
    commits = ours.is_marked(item, COMMIT)
    is_ours = "postgres_server" in request.fixturenames
    if not isolation.is_possible(postgres_engine) or (commits and not is_ours):
        yield  # the project's own, and not for us to point elsewhere
        return
    if not commits:
        with isolation.on_lanes(postgres_engine, test, deferred=request.getfixturevalue("_postgres_deferred")):
            yield
        return
    clones: Clones = request.getfixturevalue("_postgres_clones")
    server: Server = request.getfixturevalue("postgres_server")
    with ours.step("clone", "postgres"):
        clone = clones.take()
    try:
        with isolation.on_clone(postgres_engine, clone, test):
            yield
    finally:
        if ours.config.keep and test.failed():
            url = clones.keep(clone)
            ours.keep(server, f"{item.nodeid}: psql {url if server.owned else masked(url)}")
        else:
            clones.give_back(clone)


@pytest.fixture
def db_session(postgres_engine: Engine, _postgres_isolation: None) -> Iterator[Session]:
    """SQLModel session: commit as you like, all of it is rolled back after the test.

    With ``@pytest.mark.realdb(commit=True)`` its commits are real, in a database of the test's own.
    """
    from sqlmodel import Session

    with Session(bind=postgres_engine) as session, active.bind(session=session):
        yield session


def pytest_itemcollected(item: pytest.Item) -> None:
    """Isolate each test that uses our engine."""
    names: list[str] = getattr(item, "fixturenames", [])
    if "postgres_engine" in names:
        # What wider fixtures write is to stay for all their tests, so they come before; all others after.
        if "_postgres_isolation" in names:
            names.remove("_postgres_isolation")
        names.insert(sum(_outlives_a_test(item, name) for name in names), "_postgres_isolation")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Remember that a test failed; where savepoints are the cause, let the failure say so."""
    if call.excinfo is None or call.excinfo.errisinstance(pytest.skip.Exception):
        return
    item.stash[_FAILED] = True
    is_isolated = "_postgres_isolation" in getattr(item, "fixturenames", ())
    if is_isolated and not access(item.config).is_marked(item, COMMIT):
        found = hint(call.excinfo.value)
        if found:
            call.excinfo.value.add_note(found)


def _outlives_a_test(item: pytest.Item, name: str) -> bool:
    """Whether a fixture is made once for several tests; pytest puts those first."""
    definitions = item._fixtureinfo.name2fixturedefs.get(name)  # type: ignore[attr-defined]  # noqa: SLF001
    return bool(definitions) and definitions[-1].scope != "function"
