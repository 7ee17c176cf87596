"""Lanes: what application code sees that opens connections of its own in a test that is rolled back."""

import pytest

ARGUMENTS = ("-p", "no:cacheprovider", "--realdb-engine=embedded", "-W", "error", "--strict-markers")
MODELS = """
from sqlmodel import Field, SQLModel

class Shelf(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
"""
IMPORTS = """
import pytest
from models import Shelf
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import Session, select
from realdb_ci.errors import IsolationError, IsolationWarning

def names(bind):
    with Session(bind) as session:
        return sorted(session.exec(select(Shelf.name)))

@pytest.fixture(autouse=True)
def nothing_is_left(postgres_engine):
    assert names(postgres_engine) == []
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with one table."""
    pytester.makepyfile(models=MODELS)
    pytester.makepyprojecttoml('[tool.pytest.ini_options]\npythonpath = ["."]\n')
    return pytester


def _passes(suite: pytest.Pytester, body: str, count: int) -> None:
    suite.makepyfile(test_it=IMPORTS + body)
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=count)


def test_application_sees_the_tests_data_and_is_undone_too(suite: pytest.Pytester) -> None:
    """``Session(engine)``, ``engine.connect()``, ``engine.begin()`` and raw connections all take part."""
    _passes(
        suite,
        """
def test_sessions(db_session, postgres_engine):
    db_session.add(Shelf(name="test"))
    db_session.commit()
    with Session(postgres_engine) as session:
        assert session.exec(select(Shelf.name)).one() == "test"
        session.add(Shelf(name="app"))
        session.commit()
    with postgres_engine.begin() as connection:
        connection.execute(text("INSERT INTO shelf (name) VALUES ('core')"))
    assert sorted(db_session.exec(select(Shelf.name))) == ["app", "core", "test"]

def test_rollback_undoes_the_applications_own_work_only(db_session, postgres_engine):
    db_session.add(Shelf(name="test"))
    db_session.commit()
    with postgres_engine.connect() as connection:
        connection.execute(text("INSERT INTO shelf (name) VALUES ('never')"))
    with pytest.raises(ZeroDivisionError), postgres_engine.begin() as connection:
        connection.execute(text("INSERT INTO shelf (name) VALUES ('never')"))
        1 / 0
    assert names(postgres_engine) == ["test"]

def test_raw_connection(postgres_engine):
    raw = postgres_engine.raw_connection()
    cursor = raw.cursor()
    cursor.execute("INSERT INTO shelf (name) VALUES ('kept')")
    raw.commit()
    cursor.execute("INSERT INTO shelf (name) VALUES ('undone')")
    raw.rollback()
    raw.close()
    assert names(postgres_engine) == ["kept"]

def test_connection_of_a_cursor(postgres_engine):
    raw = postgres_engine.raw_connection()
    cursor = raw.cursor()
    cursor.execute("INSERT INTO shelf (name) VALUES ('kept')")
    cursor.connection.commit()
    raw.close()
    assert names(postgres_engine) == ["kept"]

def test_without_a_session(postgres_engine):
    with postgres_engine.begin() as connection:
        connection.execute(text("INSERT INTO shelf (name) VALUES ('core')"))

def test_transaction_control_in_sql(postgres_engine):
    with postgres_engine.connect() as connection:
        for statement in (
            "BEGIN", "INSERT INTO shelf (name) VALUES ('kept')", "COMMIT",
            "BEGIN", "INSERT INTO shelf (name) VALUES ('undone')", "ROLLBACK",
            "SAVEPOINT own", "INSERT INTO shelf (name) VALUES ('undone')", "ROLLBACK TO SAVEPOINT own",
        ):
            connection.exec_driver_sql(statement)
    assert names(postgres_engine) == ["kept"]

def test_copy_takes_part(postgres_engine):
    import io
    raw = postgres_engine.raw_connection()
    with raw.cursor() as cursor:
        cursor.copy_expert("COPY shelf (name) FROM STDIN", io.StringIO("one\\ntwo\\n"))
    raw.commit()
    raw.close()
    assert names(postgres_engine) == ["one", "two"]

def test_streamed_rows(postgres_engine):
    with postgres_engine.connect() as connection:
        rows = connection.execution_options(stream_results=True).execute(text("SELECT generate_series(1, 5)"))
        assert len(rows.all()) == 5
""",
        8,
    )


def test_transactions_in_texts_of_several_statements_are_the_lanes_own(suite: pytest.Pytester) -> None:
    """A SQL file with BEGIN and COMMIT in it does what it does in production, and is undone after the test."""
    _passes(
        suite,
        """
SCRIPT = "BEGIN; INSERT INTO shelf (name) VALUES ('kept; so'); COMMIT; INSERT INTO shelf (name) VALUES ('undone')"

def test_script(postgres_engine):
    with postgres_engine.connect() as connection:
        connection.exec_driver_sql(SCRIPT)
    assert names(postgres_engine) == ["kept; so"]

def test_raw_cursor(postgres_engine):
    raw = postgres_engine.raw_connection()
    raw.cursor().execute(SCRIPT.encode())
    raw.close()
    assert names(postgres_engine) == ["kept; so"]

def test_values(postgres_engine):
    with postgres_engine.connect() as connection:
        insert = "INSERT INTO shelf (name) VALUES (%s)"
        connection.exec_driver_sql(f"{insert}; COMMIT; {insert}", ("100 %s; COMMIT", "undone"))
    assert names(postgres_engine) == ["100 %s; COMMIT"]

def test_end_that_is_not_the_first_word(postgres_engine):
    with postgres_engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO shelf (name) VALUES ('undone'); ROLLBACK")
        connection.exec_driver_sql("INSERT INTO shelf (name) VALUES ('kept'); COMMIT")
    assert names(postgres_engine) == ["kept"]

def test_error_in_the_middle(postgres_engine):
    with postgres_engine.connect() as connection:
        with pytest.raises(DBAPIError, match="nonsense"):
            connection.exec_driver_sql("BEGIN; INSERT INTO shelf (name) VALUES ('a'); SELECT nonsense; COMMIT")
        connection.rollback()
    assert names(postgres_engine) == []

def test_many(postgres_engine):
    with postgres_engine.connect() as connection, pytest.raises(IsolationError, match="commit=True"):
        connection.connection.cursor().executemany("INSERT INTO shelf (name) VALUES (%s); COMMIT", [("a",), ("b",)])

@pytest.mark.parametrize("end, left", [("COMMIT", ["one", "two"]), ("ROLLBACK", [])])
def test_autocommit_waits_for_the_end_of_a_transaction_in_sql(postgres_engine, end, left):
    free = postgres_engine.execution_options(isolation_level="AUTOCOMMIT")
    with free.connect() as connection:
        for statement in ("BEGIN", "INSERT INTO shelf (name) VALUES ('one')"):
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(f"INSERT INTO shelf (name) VALUES ('two'); {end}")
        assert names(postgres_engine) == left
        connection.exec_driver_sql("INSERT INTO shelf (name) VALUES ('at once')")
        assert "at once" in names(postgres_engine)

def test_two_phases_in_sql(postgres_engine):
    with postgres_engine.connect() as connection, pytest.raises(IsolationError, match="two-phase"):
        connection.exec_driver_sql("PREPARE TRANSACTION 'two'")
""",
        9,
    )


def test_lost_connection_is_said_and_reaches_no_other_test(suite: pytest.Pytester) -> None:
    """A test may have its connection ended; what goes on after that is told why it cannot."""
    _passes(
        suite,
        """
from sqlalchemy.exc import OperationalError, StatementError
END = text("SELECT pg_terminate_backend(pg_backend_pid())")

def test_is_lost(db_session):
    db_session.add(Shelf(name="a"))
    db_session.commit()
    with pytest.raises(OperationalError):
        db_session.execute(END)

def test_goes_on(postgres_engine):
    with pytest.raises(OperationalError), postgres_engine.connect() as connection:
        connection.execute(END)
    with pytest.raises(StatementError, match="commit=True"), postgres_engine.connect() as connection:
        connection.execute(text("SELECT 1"))

def test_finds_nothing(db_session, postgres_engine):
    assert names(postgres_engine) == []

@pytest.mark.realdb(commit=True)
def test_ends_all_others(postgres_engine):
    with postgres_engine.connect() as connection:
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        )

@pytest.mark.parametrize("turn", range(3))
@pytest.mark.realdb(commit=True)
def test_has_a_clone_that_works(db_session, turn):
    db_session.add(Shelf(name="a"))
    db_session.commit()

def test_has_a_connection_that_works(db_session, postgres_engine):
    assert names(postgres_engine) == []

@pytest.mark.realdb(commit=True)
def test_drops_its_database(postgres_engine, postgres_server):
    import psycopg2
    with postgres_engine.connect() as connection:
        name = connection.execute(text("SELECT current_database()")).scalar()
    administrator = psycopg2.connect(postgres_server.url)
    administrator.autocommit = True
    administrator.cursor().execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    administrator.close()
""",
        9,
    )


def test_errors_stay_with_the_connection_that_made_them(suite: pytest.Pytester) -> None:
    """A failed statement neither ends the test's transaction nor stops other connections."""
    _passes(
        suite,
        """
def test_failed_statement(db_session, postgres_engine):
    db_session.add(Shelf(name="test"))
    db_session.commit()
    with Session(postgres_engine) as session:
        session.add(Shelf(name="test"))
        with pytest.raises(IntegrityError):
            session.commit()
    assert db_session.exec(select(Shelf.name)).one() == "test"

def test_others_go_on_beside_a_failed_transaction(db_session, postgres_engine):
    with postgres_engine.connect() as connection:
        with pytest.raises(DBAPIError):
            connection.execute(text("SELECT nonsense"))
        db_session.add(Shelf(name="beside"))
        db_session.commit()
    assert names(postgres_engine) == ["beside"]

def test_commit_after_an_error_is_a_rollback(postgres_engine):
    raw = postgres_engine.raw_connection()
    raw.cursor().execute("INSERT INTO shelf (name) VALUES ('undone')")
    with pytest.raises(Exception, match="nonsense"):
        raw.cursor().execute("SELECT nonsense")
    raw.commit()
    raw.close()
    assert names(postgres_engine) == []

def test_autocommit(postgres_engine):
    free = postgres_engine.execution_options(isolation_level="AUTOCOMMIT")
    with free.connect() as connection:
        connection.execute(text("INSERT INTO shelf (name) VALUES ('kept')"))
        with pytest.raises(IntegrityError):
            connection.execute(text("INSERT INTO shelf (name) VALUES ('kept')"))
        connection.rollback()
        assert names(postgres_engine) == ["kept"]
""",
        4,
    )


def test_overlapping_transactions_behave_as_real_ones_or_say_why_not(suite: pytest.Pytester) -> None:
    """Commits in any order and rollbacks of readers are right; a rollback under another's work is refused."""
    _passes(
        suite,
        """
def add(connection, name):
    connection.execute(text("INSERT INTO shelf (name) VALUES (:name)"), {"name": name})

def test_commits_in_the_order_they_began(postgres_engine):
    with postgres_engine.connect() as first, postgres_engine.connect() as second:
        add(first, "first")
        add(second, "second")
        first.commit()
        second.commit()
    assert names(postgres_engine) == ["first", "second"]

def test_later_one_rolls_back(postgres_engine):
    with postgres_engine.connect() as first, postgres_engine.connect() as second:
        add(first, "first")
        add(second, "second")
        second.rollback()
        first.commit()
    assert names(postgres_engine) == ["first"]

def test_reader_rolls_back_under_a_writer(postgres_engine):
    with postgres_engine.connect() as reader, postgres_engine.connect() as writer:
        reader.execute(text("SELECT * FROM shelf"))
        add(writer, "kept")
        reader.rollback()
        writer.commit()
    assert names(postgres_engine) == ["kept"]

def test_writer_rolls_back_over_a_reader(postgres_engine):
    with postgres_engine.connect() as writer, postgres_engine.connect() as reader:
        add(writer, "undone")
        reader.execute(text("SELECT * FROM shelf"))
        writer.rollback()
        add(reader, "kept")
        reader.commit()
    assert names(postgres_engine) == ["kept"]

def test_rollback_under_another_ones_work(postgres_engine):
    with postgres_engine.connect() as first, postgres_engine.connect() as second:
        add(first, "first")
        add(second, "second")
        second.commit()
        first.rollback()
        with pytest.raises(IsolationError, match="commit=True"):
            second.execute(text("SELECT 1"))

def test_rollback_at_the_very_end_is_no_mistake(db_session, postgres_engine):
    db_session.add(Shelf(name="flushed"))
    db_session.flush()
    with postgres_engine.begin() as connection:
        add(connection, "application")
""",
        6,
    )


def test_what_savepoints_cannot_do_names_the_remedy(suite: pytest.Pytester) -> None:
    """An isolation level, a read-only or two-phase transaction are refused; LISTEN and NOTIFY warn."""
    _passes(
        suite,
        """
@pytest.mark.parametrize("options", [
    {"isolation_level": "SERIALIZABLE"},
    {"isolation_level": "REPEATABLE READ"},
    {"postgresql_readonly": True},
])
def test_modes(postgres_engine, options):
    with postgres_engine.connect() as connection, pytest.raises(IsolationError, match="commit=True"):
        connection.execution_options(**options).execute(text("SELECT 1"))

def test_read_committed_is_what_it_is(postgres_engine):
    with postgres_engine.connect() as connection:
        assert connection.execution_options(isolation_level="READ COMMITTED").execute(text("SELECT 1")).scalar()

def test_level_in_sql(postgres_engine):
    with postgres_engine.connect() as connection, pytest.raises(IsolationError, match="commit=True"):
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"))

def test_two_phases(postgres_engine):
    with postgres_engine.connect() as connection, pytest.raises(IsolationError, match="commit=True"):
        connection.begin_twophase()

def test_function_that_notifies_may_be_made(postgres_engine):
    with postgres_engine.connect() as connection:
        body = "SELECT pg_notify('a', '')"
        connection.execute(text(f"CREATE FUNCTION tell() RETURNS void LANGUAGE sql AS $$ {body} $$"))

@pytest.mark.parametrize("statement", ["LISTEN shelves", "NOTIFY shelves", "SELECT pg_notify('shelves', '')"])
def test_notify(postgres_engine, statement):
    with postgres_engine.connect() as connection, pytest.warns(IsolationWarning, match="commit=True"):
        connection.execute(text(statement))
""",
        10,
    )


@pytest.mark.parametrize(
    "statement",
    ["CREATE INDEX CONCURRENTLY by_name ON shelf (name)", "VACUUM shelf", "CREATE DATABASE another"],
)
def test_statement_that_postgresql_refuses_in_a_transaction_fails_with_the_remedy(
    suite: pytest.Pytester, statement: str
) -> None:
    """The failure of the test ends with what to do."""
    suite.makepyfile(
        test_it=IMPORTS
        + f"""
def test_it(postgres_engine):
    with postgres_engine.connect() as connection:
        connection.execute(text("{statement}"))
"""
    )
    result = suite.runpytest_subprocess(*ARGUMENTS)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*realdb-ci: *inside a transaction*commit=True*"])


def test_helper_that_wants_a_connection_of_the_drivers_own_fails_with_the_remedy(suite: pytest.Pytester) -> None:
    """psycopg2 looks at types where its C code needs a connection."""
    suite.makepyfile(
        test_it=IMPORTS
        + """
def test_it(postgres_engine):
    from psycopg2.sql import Identifier
    with postgres_engine.connect() as connection:
        Identifier("shelf").as_string(connection.connection.cursor())
"""
    )
    result = suite.runpytest_subprocess(*ARGUMENTS)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*TypeError*", "*types only*commit=True*"])


def test_second_connection_that_waits_for_a_lock_fails_with_the_remedy(suite: pytest.Pytester) -> None:
    """A connection past the engine waits for the test's own row, until the limit, and the failure says why."""
    suite.makepyfile(
        test_it=IMPORTS
        + """
import psycopg2
from contextlib import closing

def test_it(db_session, postgres_url):
    db_session.add(Shelf(name="mine"))
    db_session.commit()
    with closing(psycopg2.connect(postgres_url)) as second, second.cursor() as cursor:
        cursor.execute("SET lock_timeout = '50ms'")
        cursor.execute("LOCK shelf")
"""
    )
    result = suite.runpytest_subprocess(*ARGUMENTS)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*realdb-ci: another connection holds the lock*commit=True*"])


def test_lock_timeout_holds_for_every_connection(suite: pytest.Pytester) -> None:
    """Also for those that the application opens by itself, in the test's database and in a clone."""
    _passes(
        suite,
        """
import psycopg2
from contextlib import closing

@pytest.mark.parametrize("turn", [pytest.param(1, marks=pytest.mark.realdb(commit=True)), 2])
def test_it(postgres_engine, turn):
    url = postgres_engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with closing(psycopg2.connect(url)) as second, second.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("10s",)
""",
        2,
    )


@pytest.mark.parametrize("mark", ["", "@pytest.mark.realdb(commit=True)"])
@pytest.mark.parametrize(
    ("opens", "says"),
    [
        ("kept.append(psycopg2.connect(url))", "idle"),
        (
            "kept.append(psycopg2.connect(url)); kept[0].cursor().execute('SELECT 42')",
            "idle in transaction*SELECT 42",
        ),
        ("kept.append(postgres_engine.connect())", "1 of postgres_engine, never closed"),
    ],
)
def test_connection_that_a_test_leaves_open_is_named_with_the_test(
    suite: pytest.Pytester, mark: str, opens: str, says: str
) -> None:
    """The warning names test and connection; a test that closes what it opens hears nothing."""
    suite.makepyfile(
        test_it=IMPORTS
        + f"""
import psycopg2
kept = []

{mark}
def test_leaves(postgres_engine):
    url = postgres_engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    {opens}

{mark}
def test_tidies(postgres_engine):
    url = postgres_engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    psycopg2.connect(url).close()
    postgres_engine.connect().close()
"""
    )
    result = suite.runpytest_subprocess(*ARGUMENTS, "-W", "default::realdb_ci.errors.IsolationWarning")
    result.assert_outcomes(passed=2, warnings=1)
    result.stdout.fnmatch_lines([f"*test_leaves leaves connections to PostgreSQL open: *{says}*"])


def test_constraint_that_no_commit_could_check_is_checked_at_the_end(suite: pytest.Pytester) -> None:
    """A deferred constraint that the test itself made fails its teardown, which names the test."""
    suite.makepyfile(
        """
        import models

        def test_late(db_session):
            run = db_session.connection().exec_driver_sql
            run("CREATE TABLE leaf (parent integer REFERENCES shelf (id) DEFERRABLE INITIALLY DEFERRED)")
            run("INSERT INTO leaf VALUES (4711)")
            db_session.commit()

        def test_next(db_session):
            pass
        """
    )
    result = suite.runpytest_subprocess(*ARGUMENTS)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_late*", "*leaf_parent_fkey*"])
