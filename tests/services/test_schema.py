"""Schema: tables from migrations or a function, a seed, and one template for all processes of a run."""

import pytest

ARGUMENTS = ("-p", "no:cacheprovider", "--realdb-engine=embedded", "-W", "error", "--strict-markers")
FIND = """
from sqlalchemy import text
import pytest

@pytest.mark.parametrize("turn", [pytest.param(1, marks=pytest.mark.realdb(commit=True)), 2])
def test_it(db_session, turn):
    assert db_session.execute(text("SELECT name FROM shelf")).scalar() == "first"
"""
INI = """
[alembic]
script_location = migrations
sqlalchemy.url = {url}

[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = WARNING
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain
[formatter_plain]
format = %(message)s
"""
ENV = """
from logging.config import fileConfig
from alembic import context
from sqlalchemy import engine_from_config, pool

config = context.config
if config.config_file_name is not None:
    fileConfig(config.config_file_name)
engine = engine_from_config(config.get_section(config.config_ini_section), poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
ASYNC_ENV = """
import asyncio
from alembic import context
from sqlalchemy import pool
from sqlalchemy.ext.asyncio import async_engine_from_config

def migrate(connection):
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()

async def main():
    engine = async_engine_from_config(context.config.get_section("alembic"), poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()

asyncio.run(main())
"""
ELSEWHERE = """
from alembic import context
from sqlalchemy import create_engine

with create_engine("sqlite://").connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
REVISIONS = {
    "0001_tables.py": """
from pathlib import Path
from alembic import op
import sqlalchemy as sa
revision, down_revision = "0001", None

def upgrade():
    with (Path(__file__).parents[2] / "runs.txt").open("a") as file:
        file.write("ran\\n")
    op.create_table("shelf", sa.Column("name", sa.String))
""",
    "0002_data.py": """
from alembic import op
revision, down_revision = "0002", "0001"

def upgrade():
    op.execute("INSERT INTO shelf VALUES ('first')")
""",
}


def _with_migrations(pytester: pytest.Pytester, env: str, url: str = "postgresql://nowhere/none") -> None:
    versions = pytester.mkdir("migrations") / "versions"
    versions.mkdir()
    for name, text in REVISIONS.items():
        (versions / name).write_text(text)
    (versions.parent / "env.py").write_text(env)
    (pytester.path / "alembic.ini").write_text(INI.format(url=url))
    pytester.makepyprojecttoml('[tool.realdb-ci]\nschema = "alembic.ini"\n')


@pytest.mark.parametrize(
    ("env", "url"),
    [
        (ENV, "postgresql://nowhere/none"),
        (ENV, "postgresql+psycopg://nowhere/none"),
        (ASYNC_ENV, "postgresql+asyncpg://nowhere/none"),
    ],
    ids=["psycopg2", "psycopg", "asyncpg"],
)
def test_migrations_run_once_for_all_tests_and_workers(pytester: pytest.Pytester, env: str, url: str) -> None:
    """``schema = "alembic.ini"`` migrates one template on the project's driver, and loggers stay as they are."""
    _with_migrations(pytester, env, url)
    pytester.makepyfile(
        test_it=FIND
        + """
import logging
early = logging.getLogger("shop")

def test_logger(db_session):
    assert not early.disabled
"""
    )
    pytester.runpytest_subprocess(*ARGUMENTS, "-n", "2").assert_outcomes(passed=3)
    assert (pytester.path / "runs.txt").read_text() == "ran\n"
    # In one process, the test of the logger and the migrations share it for certain.
    pytester.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (("migrations/env.py", ELSEWHERE), "did not reach the test database*"),
        (("migrations/versions/0002_data.py", "revision, down_revision = '0002', '0404'"), "*0404*"),
        (
            ("migrations/versions/0002_data.py", REVISIONS["0002_data.py"].replace("op.exe", "op.nope")),
            "*0002_data*",
        ),
        (
            ("migrations/versions/0002_data.py", REVISIONS["0002_data.py"].replace("shelf", "nope")),
            "*nope*0002_data.py:6)",
        ),
        (
            ("migrations/env.py", "raise SystemExit('no URL for this stage')"),
            "*SystemExit: no URL for this stage*env.py:1)",
        ),
        (("alembic.ini", "[alembic]\n"), "*no script_location*"),
        (("alembic.ini", "script_location = migrations\n"), "*no section headers*"),
    ],
    ids=["another database", "missing revision", "broken Python", "broken SQL", "exit", "no folder", "no ini file"],
)
def test_migrations_that_fail_are_said_once_with_a_remedy(
    pytester: pytest.Pytester, break_it: tuple[str, str], says: str
) -> None:
    """Every test that needs the schema names the cause, without a trace through our code."""
    _with_migrations(pytester, ENV)
    name, text = break_it
    (pytester.path / name).write_text(text)
    pytester.makepyfile("def test_it(db_session): pass")
    result = pytester.runpytest_subprocess(*ARGUMENTS, "-W", "default")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*{says}", "*fix: *"])
    result.stdout.no_fnmatch_line("*services/postgres/*")


def test_missing_ini_file_is_said(pytester: pytest.Pytester) -> None:
    """A path that is not there names the path and the remedy."""
    pytester.makepyprojecttoml('[tool.realdb-ci]\nschema = "db/alembic.ini"\n')
    pytester.makepyfile("def test_it(db_session): pass")
    result = pytester.runpytest_subprocess(*ARGUMENTS)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*db/alembic.ini' is not a file*", "*fix: *"])


FUNCTIONS = """
from sqlalchemy import text
from sqlmodel import Session

def create(connection):
    connection.execute(text("CREATE TABLE shelf (name text)"))

def fill(session: Session):
    session.execute(text("INSERT INTO shelf VALUES ('first')"))

def broken(session):
    raise RuntimeError("no seeds today")

def twice(session):
    fill(session)
    session.execute(text("CREATE UNIQUE INDEX ON shelf (name)"))
    fill(session)

def leaves():
    raise SystemExit("no URL for this stage")

def exits(session):
    leaves()

async def waits(session):
    raise AssertionError

def nonsense(connection):
    connection.execute(text("CREATE TABEL shelf (name text)"))

number = 3
"""


def test_function_makes_the_tables_and_another_the_seed(pytester: pytest.Pytester) -> None:
    """``schema`` and ``seed`` may each name a function of the project's."""
    pytester.makepyfile(shop=FUNCTIONS, test_it=FIND)
    pytester.makepyprojecttoml(
        '[tool.pytest.ini_options]\npythonpath = ["."]\n'
        '[tool.realdb-ci]\nschema = "shop:create"\nseed = "shop:fill"\n'
    )
    pytester.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=2)
    pytester.runpytest_subprocess(*ARGUMENTS, "-n", "2").assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("seed", "says"),
    [
        ("shop:broken", "*RuntimeError: no seeds today (*shop.py:11)"),
        ("shop:number", "*seed 'shop:number' is not a function*"),
        ("shop:missing", "*seed 'shop:missing' cannot be imported*"),
        ("shop:twice", "*seed 'twice' failed*\n*UniqueViolation*shop.py:8)"),
        ("shop:exits", "*seed 'exits' failed*\n*SystemExit: no URL for this stage (*shop.py:19)"),
        ("shop:waits", "*seed 'shop:waits' is asynchronous*"),
        ("nowhere:fill", "*No module named 'nowhere'\n*fix: *importable from the project's folder*"),
        ("wants:fill", "*KeyError: 'NOT_SET_ANYWHERE' (*wants.py:2)\n*fix: *mend what it does*"),
        ("typo:fill", "*SyntaxError*typo.py:1)\n*fix: *mend what it does*"),
    ],
)
def test_seed_that_fails_is_said_with_its_line(pytester: pytest.Pytester, seed: str, says: str) -> None:
    """The message names the function and where it broke."""
    pytester.makepyfile(
        shop=FUNCTIONS,
        wants='import os\nos.environ["NOT_SET_ANYWHERE"]',
        typo="def fill(session:",
        test_it="def test_it(db_session): pass",
    )
    pytester.makepyprojecttoml(
        '[tool.pytest.ini_options]\npythonpath = ["."]\n'
        f'[tool.realdb-ci]\nschema = "shop:create"\nseed = "{seed}"\n'
    )
    result = pytester.runpytest_subprocess(*ARGUMENTS)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([*says.splitlines(), *([] if "*fix: " in says else ["*fix: *"])])
    result.stdout.no_fnmatch_line("*services/postgres/*")


def test_schema_function_that_fails_is_not_the_servers_fault(pytester: pytest.Pytester) -> None:
    """A mistake in its SQL is told with its line, and nothing of what the server may lack."""
    pytester.makepyfile(shop=FUNCTIONS, test_it="def test_it(db_session): pass")
    pytester.makepyprojecttoml(
        '[tool.pytest.ini_options]\npythonpath = ["."]\n[tool.realdb-ci]\nschema = "shop:nonsense"\n'
    )
    result = pytester.runpytest_subprocess(*ARGUMENTS)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*schema function 'shop:nonsense' failed*", "*syntax error*shop.py:28)", "*fix: *"]
    )
    result.stdout.no_fnmatch_line("*extensions*")


def test_nobody_can_connect_to_the_template(pytester: pytest.Pytester) -> None:
    """A template that took connections could be changed, or be busy when it is to be copied."""
    pytester.makepyfile(
        shop=FUNCTIONS,
        test_it="""
        import psycopg2, pytest
        from sqlalchemy import text

        def test_it(db_session, postgres_server):
            asked = "SELECT datname, datallowconn FROM pg_database WHERE datname ~ '_template_'"
            [(name, connectable)] = db_session.execute(text(asked)).all()
            assert not connectable
            with pytest.raises(psycopg2.OperationalError, match="not currently accepting connections"):
                psycopg2.connect(postgres_server.url.rpartition("/")[0] + "/" + name)
        """,
    )
    pytester.makepyprojecttoml(
        '[tool.pytest.ini_options]\npythonpath = ["."]\n[tool.realdb-ci]\nschema = "shop:create"\n'
    )
    pytester.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=1)


def test_url_alone_is_an_empty_database(pytester: pytest.Pytester) -> None:
    """A suite that builds its own schema on ``postgres_url`` finds nothing in its way."""
    pytester.makepyfile(
        shop=FUNCTIONS,
        test_it="""
        import psycopg2
        from contextlib import closing

        def test_it(postgres_url):
            with closing(psycopg2.connect(postgres_url)) as connection, connection.cursor() as cursor:
                cursor.execute("CREATE TABLE shelf (name text)")
        """,
    )
    pytester.makepyprojecttoml(
        '[tool.pytest.ini_options]\npythonpath = ["."]\n[tool.realdb-ci]\nschema = "shop:create"\n'
    )
    pytester.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=1)
