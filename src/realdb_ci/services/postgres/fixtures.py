"""The PostgreSQL fixtures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest

from realdb_ci.services import asynchronous
from realdb_ci.services.access import COMMIT, access
from realdb_ci.services.active import active
from realdb_ci.services.contract import Server
from realdb_ci.services.postgres.hints import hint
from realdb_ci.services.postgres.unasked import ISOLATED, ISOLATION
from realdb_ci.services.urls import masked

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlmodel import Session
    from sqlmodel.ext.asyncio.session import AsyncSession

    from realdb_ci.services.postgres.asynchronous import AsyncEngines
    from realdb_ci.services.postgres.clones import Clones
    from realdb_ci.services.postgres.isolation import Test
    from realdb_ci.services.postgres.template import Template

pytest_plugins = ["realdb_ci.services.asynchronous", "realdb_ci.services.postgres.unasked"]
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
        schema = Schema.of(ours.config, ours.root)
        return Template(postgres_server, ours.prefix, schema, lambda: ours.finished("postgres"))


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
    from realdb_ci.services.postgres import database, listeners

    with database.disposable(postgres_url) as engine:
        with access(pytestconfig).step("schema", "postgres"):
            _postgres_template.fill(postgres_url)
            with engine.connect() as connection:  # the pool keeps it, and SQLAlchemy what it asked the server
                listeners.note(connection.connection, engine.pool)
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
def _postgres_deferred(pytestconfig: pytest.Config, postgres_engine: Engine) -> bool:
    """Whether the schema has constraints that only a commit checks."""
    from realdb_ci.services.postgres import isolation

    with access(pytestconfig).step("schema", "postgres"):
        return isolation.has_deferred(postgres_engine)


@pytest.fixture
def _postgres_isolation(
    request: pytest.FixtureRequest, pytestconfig: pytest.Config, postgres_engine: Engine
) -> Iterator[None]:
    """Around a test: what it does through the engine is undone, or done in a clone of its own."""
    from realdb_ci.services.postgres import isolation, unasked

    ours, item = access(pytestconfig), request.node
    unasked.is_isolated(item, request)
    item.stash[_FAILED] = False  # of an earlier attempt
    test = _test(item)
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


@pytest.fixture(scope="session")
def _async_postgres_engines() -> AsyncEngines:
    """The asynchronous engines of this test process."""
    from realdb_ci.services.postgres.asynchronous import AsyncEngines

    return AsyncEngines()


@asynchronous.fixture
async def async_postgres_engine(
    request: pytest.FixtureRequest,
    postgres_engine: Engine,
    _postgres_isolation: None,
    _postgres_deferred: bool,
    _async_postgres_engines: AsyncEngines,
) -> AsyncIterator[AsyncEngine]:
    """SQLAlchemy ``AsyncEngine`` (asyncpg, else psycopg) of the same database, in the event loop of the test.

    What is done through it is undone as with ``postgres_engine``. Without ``commit=True`` the two are different
    transactions, and do not see each other's rows.
    """
    from realdb_ci.services.postgres import asynchronous as isolation

    with access(request.config).step("async", "postgres"):
        commits = access(request.config).is_marked(request.node, COMMIT)
        engines = _async_postgres_engines
        engine = engines.own(postgres_engine.url) if commits else engines.kept(postgres_engine.url)
    if not commits:
        async with isolation.on_lanes(engine, _test(request.node), deferred=_postgres_deferred):
            yield engine
        return
    try:
        yield engine
    finally:
        await engine.dispose()


@asynchronous.fixture
async def async_db_session(async_postgres_engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """SQLModel ``AsyncSession``: what ``db_session`` is, for asynchronous code.

    Objects stay usable after a commit (``expire_on_commit=False``): nothing is loaded behind an ``await``'s back.
    """
    from sqlmodel.ext.asyncio.session import AsyncSession

    async with AsyncSession(async_postgres_engine, expire_on_commit=False) as session:
        with active.bind(async_session=session):
            yield session


def pytest_itemcollected(item: pytest.Item) -> None:
    """Isolate each test that uses our engine."""
    names: list[str] = getattr(item, "fixturenames", [])
    if "postgres_engine" in names:
        # What wider fixtures write is to stay for all their tests, so they come before; all others after.
        if ISOLATION in names:
            names.remove(ISOLATION)
        names.insert(sum(_outlives_a_test(item, name) for name in names), ISOLATION)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Remember that a test failed; where savepoints are the cause, let the failure say so."""
    if call.excinfo is None or call.excinfo.errisinstance(pytest.skip.Exception):
        return
    item.stash[_FAILED] = True
    if item.stash.get(ISOLATED, False) and not access(item.config).is_marked(item, COMMIT):
        found = hint(call.excinfo.value)
        if found:
            call.excinfo.value.add_note(found)


def _test(item: pytest.Item) -> Test:
    """The running test, as isolation knows it."""
    from realdb_ci.services.postgres.isolation import Test

    return Test(item.name, lambda: item.stash.get(_FAILED, False))


def _outlives_a_test(item: pytest.Item, name: str) -> bool:
    """Whether a fixture is made once for several tests; pytest puts those first."""
    definitions = item._fixtureinfo.name2fixturedefs.get(name)  # type: ignore[attr-defined]  # noqa: SLF001
    return bool(definitions) and definitions[-1].scope != "function"
