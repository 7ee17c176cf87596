"""Clones: a test with real commits always starts from the template, whatever the one before did."""

import pytest

ARGUMENTS = ("-p", "no:cacheprovider", "--realdb-engine=embedded", "-W", "error", "--strict-markers")
MODELS = """
from sqlmodel import Field, Session, SQLModel

class Shelf(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)

class Book(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    shelf_id: int = Field(foreign_key="shelf.id")

class Country(SQLModel, table=True):
    code: str = Field(primary_key=True)

def fill(session: Session) -> None:
    session.add_all([Country(code="de"), Country(code="ug")])
"""
IMPORTS = """
import pytest
from models import Book, Country, Shelf
from sqlalchemy import text
from sqlmodel import Session, select
pytestmark = pytest.mark.realdb(commit=True)
used = []

@pytest.fixture(autouse=True)
def as_the_template(postgres_engine):
    with Session(postgres_engine) as session:
        assert session.exec(select(Shelf)).all() == []
        assert session.exec(select(Book)).all() == []
        assert sorted(session.exec(select(Country.code))) == ["de", "ug"]
    yield
    used.append(postgres_engine.url.database)
"""
# More tests than there are clones at a time, so that each clone is used more than once.
TURNS = 8


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with three tables, one of them seeded."""
    pytester.makepyfile(models=MODELS)
    pytester.makepyprojecttoml(
        '[tool.pytest.ini_options]\npythonpath = ["."]\n[tool.realdb-ci]\nseed = "models:fill"\n'
    )
    return pytester


def test_clone_is_used_again_after_a_test_that_wrote_rows(suite: pytest.Pytester) -> None:
    """Rows are gone, sequences start again, and fewer databases than tests were made."""
    suite.makepyfile(
        test_it=IMPORTS
        + f"""
@pytest.mark.parametrize("turn", range({TURNS}))
def test_writes(db_session, turn):
    shelf = Shelf(name="only")
    db_session.add(shelf)
    db_session.commit()
    db_session.add(Book(shelf_id=shelf.id))
    db_session.commit()
    assert shelf.id == 1

def test_few_were_made(postgres_engine):
    assert len(set(used)) < {TURNS}
"""
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=TURNS + 1)


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO country VALUES ('fr')",
        "UPDATE country SET code = 'fr' WHERE code = 'de'",
        "DELETE FROM country WHERE code = 'de'",
        "TRUNCATE country",
        "ALTER TABLE shelf ADD COLUMN width integer NOT NULL",
        "ALTER TABLE book DROP CONSTRAINT book_shelf_id_fkey",
        "DROP TABLE book CASCADE",
        "CREATE TABLE more (id integer)",
        "CREATE VIEW names AS SELECT name FROM shelf",
        "CREATE FUNCTION one() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE TYPE mood AS ENUM ('sad')",
        "COMMENT ON TABLE shelf IS 'changed'",
        "GRANT SELECT ON shelf TO PUBLIC",
        "CREATE SCHEMA another",
        "SELECT lo_create(4711)",
    ],
)
def test_clone_is_not_used_again_after_a_test_that_changed_more(suite: pytest.Pytester, change: str) -> None:
    """After DDL, or a change to seeded rows, later tests find databases that never saw it."""
    suite.makepyfile(
        test_it=IMPORTS
        + f"""
@pytest.mark.parametrize("turn", range({TURNS}))
def test_changes(postgres_engine, turn):
    with postgres_engine.begin() as connection:
        connection.execute(text("{change}"))

def test_none_was_used_twice(postgres_engine):
    assert len(set(used)) == {TURNS}
"""
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=TURNS + 1)


def test_nothing_of_a_tests_session_reaches_the_next(suite: pytest.Pytester) -> None:
    """Settings, temporary tables, LISTEN, prepared statements and advisory locks are gone, numbers start again."""
    suite.makepyfile(
        test_it=IMPORTS
        + """
@pytest.mark.parametrize("turn", range(8))
def test_leaves_much_behind(postgres_engine, turn):
    with postgres_engine.connect() as connection:
        run = connection.exec_driver_sql
        assert run("SHOW search_path").scalar() == '"$user", public'
        assert run("SELECT count(*) FROM pg_listening_channels()").scalar() == 0
        assert run("SELECT count(*) FROM pg_prepared_statements").scalar() == 0
        locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        assert run(locks).scalar() == 0
        assert run("SELECT nextval('shelf_id_seq')").scalar() == 1
        run("SET search_path = pg_catalog")
        run("CREATE TEMP TABLE mine (id integer)")
        run("LISTEN shelves")
        run("PREPARE one AS SELECT 1")
        run("SELECT pg_advisory_lock(1)")
        connection.commit()

def test_few_were_made(postgres_engine):
    assert len(set(used)) < 8
"""
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=TURNS + 1)


def test_account_without_superuser_gets_new_clones(suite: pytest.Pytester) -> None:
    """Where nobody may delete past foreign keys, each test gets a database of its own all the same."""
    suite.makeconftest(
        """
        import psycopg2, pytest
        from contextlib import closing
        from urllib.parse import urlsplit, urlunsplit

        @pytest.fixture(scope="session")
        def postgres_server(postgres_server):
            from dataclasses import replace
            with closing(psycopg2.connect(postgres_server.url)) as connection:
                connection.autocommit = True
                connection.cursor().execute("CREATE ROLE plain LOGIN CREATEDB PASSWORD 'plain'")
            parts = urlsplit(postgres_server.url)
            return replace(
                postgres_server,
                url=urlunsplit(parts._replace(netloc=f"plain:plain@{parts.hostname}:{parts.port}")),
            )
        """
    )
    suite.makepyfile(
        test_it=IMPORTS
        + f"""
@pytest.mark.parametrize("turn", range({TURNS}))
def test_writes(db_session, turn):
    db_session.add(Shelf(name="only"))
    db_session.commit()

def test_none_was_used_twice(postgres_engine):
    with postgres_engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT current_user").scalar() == "plain"
    assert len(set(used)) == {TURNS}
"""
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=TURNS + 1)


def test_more_tests_than_were_foreseen_get_clones_too(suite: pytest.Pytester) -> None:
    """Further attempts at a flaky test were not counted in advance."""
    suite.makepyfile(
        test_it=IMPORTS
        + """
@pytest.mark.flaky(reruns=5)
def test_flaky(db_session):
    db_session.add(Shelf(name="only"))
    db_session.commit()
    assert len(used) == 4
"""
    )
    suite.runpytest_subprocess(*ARGUMENTS, "-p", "no:randomly").assert_outcomes(passed=1)
