"""The asynchronous PostgreSQL fixtures: isolated as the synchronous ones are, in the event loop of the test."""

import pytest

ARGUMENTS = ("-p", "no:cacheprovider", "-W", "error", "--strict-markers", "--realdb-engine=embedded")
STRICT = ("-o", "asyncio_default_fixture_loop_scope=function")
AUTO = (*STRICT, "-o", "asyncio_mode=auto")
SESSION_LOOP = (*AUTO, "-o", "asyncio_default_test_loop_scope=session")
# How a suite's async tests are run, and the mark that its author puts on them.
RUNNERS = {
    "anyio": ((), "pytest.mark.anyio"),
    "pytest-asyncio strict": (STRICT, "pytest.mark.asyncio"),
    "pytest-asyncio auto": (AUTO, "[]"),
    "pytest-asyncio, one loop": (SESSION_LOOP, "[]"),
    "anyio beside pytest-asyncio": (STRICT, "pytest.mark.anyio"),
}
MODELS = """
from sqlalchemy import Column, ForeignKey, Integer
from sqlmodel import Field, SQLModel

class Shelf(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    parent: int | None = Field(
        default=None,
        sa_column=Column(Integer, ForeignKey("shelf.id", deferrable=True, initially="DEFERRED")),
    )
"""
IMPORTS = """
import asyncio
import pytest
from models import Shelf
from realdb_ci.errors import IsolationError, IsolationWarning
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import Session, select
from sqlmodel.ext.asyncio.session import AsyncSession
commits = pytest.mark.realdb(commit=True)

@pytest.fixture
def anyio_backend():
    return "asyncio"

async def names(engine):
    async with AsyncSession(engine) as session:
        return sorted((await session.exec(select(Shelf.name))).all())

"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with one table."""
    pytester.makepyfile(models=MODELS)
    pytester.makepyprojecttoml('[tool.pytest.ini_options]\npythonpath = ["."]\n')
    return pytester


ROUND = """
@pytest.mark.parametrize("turn", [1, 2, pytest.param(3, marks=commits), pytest.param(4, marks=commits), 5])
async def test_commits(async_db_session, async_postgres_engine, turn):
    assert await names(async_postgres_engine) == []
    shelf = Shelf(name="test")
    async_db_session.add(shelf)
    await async_db_session.commit()
    assert shelf.name == "test"
    async with AsyncSession(async_postgres_engine) as session:
        session.add(Shelf(name="app"))
        await session.commit()
        session.add(Shelf(name="test"))
        with pytest.raises(IntegrityError):
            await session.commit()
    async with async_postgres_engine.begin() as connection:
        await connection.execute(text("INSERT INTO shelf (name) VALUES ('core')"))
    assert await names(async_postgres_engine) == ["app", "core", "test"]
    assert len((await async_db_session.exec(select(Shelf))).all()) == 3
"""


@pytest.mark.usefixtures("with_pytest_asyncio")
@pytest.mark.parametrize(("arguments", "mark"), RUNNERS.values(), ids=RUNNERS)
def test_tests_are_isolated_whatever_runs_them(
    suite: pytest.Pytester, arguments: tuple[str, ...], mark: str
) -> None:
    """Commits of test and application are seen by each other, and by no other test, in both modes."""
    plain = () if arguments else ("-p", "no:asyncio")
    suite.makepyfile(test_it=f"{IMPORTS}\npytestmark = {mark}\n{ROUND}")
    suite.runpytest_subprocess(*ARGUMENTS, *arguments, *plain).assert_outcomes(passed=5)


@pytest.mark.docker
def test_tests_are_isolated_on_docker(suite: pytest.Pytester) -> None:
    """The same on a server in a container, and on two workers."""
    suite.makepyfile(test_it=f"{IMPORTS}\npytestmark = pytest.mark.anyio\n{ROUND}")
    suite.runpytest_subprocess(*ARGUMENTS, "--realdb-engine=docker", "-n", "2").assert_outcomes(passed=5)


def test_psycopg_serves_where_asyncpg_is_not_installed(suite: pytest.Pytester) -> None:
    """The first installed driver is taken."""
    suite.makeconftest(
        """
        from realdb_ci.services.postgres import asynchronous
        del asynchronous.DRIVERS["asyncpg"]
        """
    )
    check = "\nasync def test_driver(async_postgres_engine): assert async_postgres_engine.driver == 'psycopg'\n"
    suite.makepyfile(test_it=f"{IMPORTS}\npytestmark = pytest.mark.anyio\n{ROUND}{check}")
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=6)


def _passes(suite: pytest.Pytester, body: str, count: int) -> None:
    suite.makepyfile(test_it=f"{IMPORTS}\npytestmark = pytest.mark.anyio\n{body}")
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=count)


def test_savepoints_hold_in_async_code(suite: pytest.Pytester) -> None:
    """Rollback, nesting, streaming, a failed statement, and sessions that are gathered."""
    _passes(
        suite,
        """
async def test_rollback(async_db_session, async_postgres_engine):
    async_db_session.add(Shelf(name="kept"))
    await async_db_session.commit()
    async_db_session.add(Shelf(name="undone"))
    await async_db_session.flush()
    await async_db_session.rollback()
    assert await names(async_postgres_engine) == ["kept"]

async def test_nested(async_db_session):
    async with async_db_session.begin_nested():
        async_db_session.add(Shelf(name="kept"))
    with pytest.raises(ZeroDivisionError):
        async with async_db_session.begin_nested():
            async_db_session.add(Shelf(name="undone"))
            await async_db_session.flush()
            1 / 0
    assert (await async_db_session.exec(select(Shelf.name))).all() == ["kept"]

async def test_streaming(async_db_session):
    async with (await async_db_session.connection()).stream(text("SELECT generate_series(1, 300)")) as rows:
        assert sum([row[0] async for row in rows]) == 45150

async def test_others_go_on_beside_a_failed_statement(async_db_session, async_postgres_engine):
    async with async_postgres_engine.connect() as connection:
        with pytest.raises(DBAPIError):
            await connection.execute(text("SELECT nonsense"))
        async_db_session.add(Shelf(name="beside"))
        await async_db_session.commit()
    assert await names(async_postgres_engine) == ["beside"]

async def test_gathered(async_postgres_engine):
    async def add(name):
        async with AsyncSession(async_postgres_engine) as session:
            session.add(Shelf(name=name))
            await session.commit()
    await asyncio.gather(*(add(str(number)) for number in range(5)))
    assert len(await names(async_postgres_engine)) == 5

async def test_deferred_constraint(async_db_session):
    async_db_session.add(Shelf(name="orphan", parent=4711))
    with pytest.raises(IntegrityError, match="shelf_parent_fkey"):
        await async_db_session.commit()

async def test_level(async_postgres_engine):
    engine = async_postgres_engine.execution_options(isolation_level="SERIALIZABLE")
    with pytest.raises(IsolationError, match="commit=True"):
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

async def test_autocommit(async_postgres_engine):
    engine = async_postgres_engine.execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text("INSERT INTO shelf (name) VALUES ('kept')"))
    assert await names(async_postgres_engine) == ["kept"]

async def test_notify(async_db_session):
    with pytest.warns(IsolationWarning, match="commit=True"):
        await (await async_db_session.connection()).execute(text("NOTIFY shelves"))
""",
        9,
    )


def test_marked_async_test_has_real_transactions(suite: pytest.Pytester) -> None:
    """Sync and async sessions meet in the clone, a listener hears, and SKIP LOCKED skips."""
    _passes(
        suite,
        """
pytestmark = [pytest.mark.anyio, commits]

async def test_sync_and_async_meet(db_session, async_db_session):
    db_session.add(Shelf(name="sync"))
    db_session.commit()
    async_db_session.add(Shelf(name="async"))
    await async_db_session.commit()
    assert sorted(db_session.exec(select(Shelf.name))) == ["async", "sync"]

async def test_skip_locked(async_postgres_engine):
    taken = select(Shelf.name).order_by(Shelf.id).limit(1).with_for_update(skip_locked=True)
    async with AsyncSession(async_postgres_engine) as first, AsyncSession(async_postgres_engine) as second:
        first.add_all([Shelf(name="one"), Shelf(name="two")])
        await first.commit()
        assert (await first.exec(taken)).one() == "one"
        assert (await second.exec(taken)).one() == "two"

async def test_listen(async_postgres_engine):
    import asyncpg
    heard = asyncio.get_running_loop().create_future()
    url = async_postgres_engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    listener = await asyncpg.connect(url)
    await listener.add_listener("shelves", lambda *event: heard.set_result(event[3]))
    async with async_postgres_engine.begin() as connection:
        await connection.execute(text("NOTIFY shelves, 'moved'"))
    assert await asyncio.wait_for(heard, 10) == "moved"
    await listener.close()
""",
        3,
    )


def test_what_an_async_test_leaves_is_named_and_harms_no_other(suite: pytest.Pytester) -> None:
    """Connections left open are warned of with the test's name, and later tests find nothing and do not hang."""
    suite.makepyfile(
        test_it=IMPORTS
        + """
pytestmark = pytest.mark.anyio
kept = []

@pytest.mark.parametrize("turn", [1, pytest.param(2, marks=commits)])
async def test_leaves(async_postgres_engine, turn):
    connection = await async_postgres_engine.connect()
    await connection.execute(text("INSERT INTO shelf (name) VALUES ('left')"))
    kept.append(connection)

@pytest.mark.parametrize("turn", [1, pytest.param(2, marks=commits)])
async def test_fails_in_the_middle(async_db_session, turn):
    async_db_session.add(Shelf(name="left"))
    await async_db_session.flush()
    assert turn == 0

@pytest.mark.parametrize("turn", [1, pytest.param(2, marks=commits)])
async def test_is_cancelled(async_db_session, turn):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await (await async_db_session.connection()).execute(text("SELECT pg_sleep(30)"))

@pytest.mark.parametrize("turn", [1, pytest.param(2, marks=commits), 3])
async def test_finds_nothing(async_postgres_engine, turn):
    assert await names(async_postgres_engine) == []
"""
    )
    result = suite.runpytest_subprocess(*ARGUMENTS, "-W", "default")
    result.assert_outcomes(passed=7, failed=2, warnings=2)
    result.stdout.fnmatch_lines(["*test_leaves* leaves connections to PostgreSQL open*"])


def test_fastapi_application_in_the_loop_of_the_test_takes_part(suite: pytest.Pytester) -> None:
    """Routes under an ASGI client see the test's rows, and what they commit is undone."""
    _passes(
        suite,
        """
import httpx
from fastapi import Depends, FastAPI
from typing import Annotated

app = FastAPI()

async def get_session():
    raise NotImplementedError

@app.post("/shelves/{name}")
async def add(name: str, session: Annotated[AsyncSession, Depends(get_session)]) -> list[str]:
    session.add(Shelf(name=name))
    await session.commit()
    return list((await session.exec(select(Shelf.name).order_by(Shelf.name))).all())

@pytest.fixture
async def client(async_postgres_engine):
    async def session():
        async with AsyncSession(async_postgres_engine) as opened:
            yield opened
    app.dependency_overrides[get_session] = session
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
        yield client

@pytest.mark.parametrize("turn", [1, 2])
async def test_route(client, async_db_session, turn):
    async_db_session.add(Shelf(name="arranged"))
    await async_db_session.commit()
    assert (await client.post("/shelves/added")).json() == ["added", "arranged"]
""",
        2,
    )


def test_fixtures_of_the_users_own_win(suite: pytest.Pytester) -> None:
    """A fixture of the same name in the project is taken, and may build on ours."""
    _passes(
        suite,
        """
@pytest.fixture
async def async_db_session(async_db_session):
    async_db_session.add(Shelf(name="mine"))
    await async_db_session.commit()
    return async_db_session

async def test_it(async_db_session):
    assert (await async_db_session.exec(select(Shelf.name))).all() == ["mine"]
""",
        1,
    )
