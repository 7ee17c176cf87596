"""Isolation of PostgreSQL: savepoints by default, a clone of a template where a test needs real commits."""

import pytest

ARGUMENTS = ("-p", "no:cacheprovider", "--realdb-engine=embedded", "-W", "error", "--strict-markers")
MODELS = """
from sqlalchemy import ForeignKey, Column, Integer
from sqlmodel import Field, SQLModel

class Shelf(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    parent: int | None = Field(
        default=None,
        sa_column=Column(Integer, ForeignKey("shelf.id", deferrable=True, initially="DEFERRED")),
    )
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with one table, whose rows refer to each other by a deferred constraint."""
    pytester.makepyfile(models=MODELS)
    pytester.makepyprojecttoml('[tool.pytest.ini_options]\npythonpath = ["."]\n')
    return pytester


def test_marked_tests_commit_for_real_and_start_from_the_same_template(suite: pytest.Pytester) -> None:
    """A second connection sees the commit, ids start at 1 each time, and other tests see nothing of it."""
    suite.makepyfile(
        """
        import pytest
        from models import Shelf
        from sqlmodel import Session, select

        @pytest.mark.parametrize("turn", range(5))
        @pytest.mark.realdb(commit=True)
        def test_commits(db_session, postgres_engine, turn):
            assert db_session.exec(select(Shelf)).all() == []
            db_session.add(Shelf())
            db_session.commit()
            with Session(postgres_engine) as other:
                assert [shelf.id for shelf in other.exec(select(Shelf))] == [1]

        def test_rolls_back(db_session, postgres_engine):
            assert db_session.exec(select(Shelf)).all() == []
            db_session.add(Shelf())
            db_session.commit()
            with Session(postgres_engine) as other:
                assert len(other.exec(select(Shelf)).all()) == 1

        def test_finds_nothing(db_session):
            assert db_session.exec(select(Shelf)).all() == []

        @pytest.mark.realdb(commit=True)
        class TestClass:
            def test_inherits(self, db_session, postgres_engine):
                assert "_clone" in postgres_engine.url.database

            @pytest.mark.realdb(commit=False)
            def test_opts_out(self, db_session, postgres_engine):
                assert "_clone" not in postgres_engine.url.database
        """
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=9)
    suite.runpytest_subprocess(*ARGUMENTS, "-n", "2").assert_outcomes(passed=9)


def test_marked_test_can_do_what_savepoints_cannot(suite: pytest.Pytester) -> None:
    """NOTIFY arrives, SKIP LOCKED skips, an isolation level is kept, an index is made concurrently."""
    suite.makepyfile(
        """
        import pytest
        from models import Shelf
        from sqlalchemy import text
        from sqlmodel import Session, select
        pytestmark = pytest.mark.realdb(commit=True)

        def test_notify(postgres_engine):
            with postgres_engine.connect() as listener:
                listener.execute(text("LISTEN shelves"))
                listener.commit()
                with postgres_engine.begin() as speaker:
                    speaker.execute(text("NOTIFY shelves, 'moved'"))
                raw = listener.connection.dbapi_connection
                listener.execute(text("SELECT 1"))
                assert [note.payload for note in raw.notifies] == ["moved"]

        def test_skip_locked(db_session, postgres_engine):
            db_session.add_all([Shelf(), Shelf()])
            db_session.commit()
            taken = db_session.exec(select(Shelf).order_by(Shelf.id).limit(1).with_for_update()).one()
            with Session(postgres_engine) as other:
                free = other.exec(select(Shelf).with_for_update(skip_locked=True)).all()
            assert taken.id not in [shelf.id for shelf in free]
            assert len(free) == 1

        def test_isolation_and_ddl(postgres_engine):
            serializable = postgres_engine.execution_options(isolation_level="SERIALIZABLE")
            with serializable.connect() as connection:
                assert connection.execute(text("SHOW transaction_isolation")).scalar() == "serializable"
            autocommit = postgres_engine.execution_options(isolation_level="AUTOCOMMIT")
            with autocommit.connect() as connection:
                connection.execute(text("CREATE INDEX CONCURRENTLY byparent ON shelf (parent)"))
        """
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=3)


def test_mark_leaves_an_engine_of_the_projects_own_alone(suite: pytest.Pytester) -> None:
    """Where the project has its own ``postgres_engine``, the mark starts no server and swaps nothing."""
    suite.makepyfile(
        """
        import pytest

        @pytest.fixture(scope="session")
        def postgres_engine():
            return "mine"

        @pytest.mark.realdb(commit=True)
        def test_it(postgres_engine):
            assert postgres_engine == "mine"
        """
    )
    result = suite.runpytest_subprocess(*ARGUMENTS)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("postgres: *")


def test_open_connections_of_a_marked_test_do_not_keep_its_database(suite: pytest.Pytester) -> None:
    """A connection that a test forgot does not stop the clone from being dropped."""
    suite.makepyfile(
        """
        import psycopg2, pytest, threading, time
        forgotten = []

        def names(engine):
            with engine.connect() as connection:
                return connection.exec_driver_sql("SELECT datname FROM pg_database").scalars().all()

        @pytest.mark.filterwarnings("ignore::realdb_ci.errors.IsolationWarning")
        @pytest.mark.realdb(commit=True)
        def test_forgets(postgres_engine):
            url = postgres_engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
            forgotten.append(psycopg2.connect(url))

        @pytest.mark.realdb(commit=True)
        def test_next(postgres_engine):
            assert not postgres_engine.url.database.endswith("_clone1")

        def test_is_gone(postgres_engine):
            deadline = time.monotonic() + 10
            while any(name.endswith("_clone1") for name in names(postgres_engine)):
                assert time.monotonic() < deadline
                threading.Event().wait(0.05)
        """
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=3)


def test_deferred_constraint_fails_the_commit_as_in_production(suite: pytest.Pytester) -> None:
    """A commit of an orphan raises, what was committed before stays, and what is never committed is not checked."""
    suite.makepyfile(
        """
        import pytest
        from models import Shelf
        from sqlalchemy.exc import IntegrityError
        from sqlmodel import select

        def test_orphan(db_session):
            db_session.add(Shelf())
            db_session.commit()
            db_session.add(Shelf(parent=4711))
            with pytest.raises(IntegrityError, match="shelf_parent_fkey"):
                db_session.commit()
            db_session.rollback()
            assert len(db_session.exec(select(Shelf)).all()) == 1

        def test_still_deferred_after_a_commit(db_session):
            for parent in (101, 102):
                db_session.add(Shelf(id=parent + 100, parent=parent))
                db_session.flush()
                db_session.add(Shelf(id=parent))
                db_session.commit()

        def test_uncommitted_orphan(db_session):
            db_session.add(Shelf(parent=4711))
            db_session.flush()
        """
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=3)


def test_advisory_lock_does_not_reach_the_next_test(suite: pytest.Pytester) -> None:
    """A session-level lock survives a rollback; the next test finds none held."""
    suite.makepyfile(
        """
        from sqlalchemy import text

        def test_locks(db_session):
            db_session.execute(text("SELECT pg_advisory_lock(1)"))

        def test_finds_none(db_session):
            held = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
            assert db_session.execute(held).scalar() == 0
        """
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=2)


def test_what_belongs_to_the_connection_does_not_reach_the_next_test(suite: pytest.Pytester) -> None:
    """Prepared statements survive a rollback, and after a failed test locks would, too; the next finds neither."""
    suite.makepyfile(
        """
        import pytest
        from sqlalchemy import text

        @pytest.mark.parametrize("turn", (1, 2))
        def test_prepares(db_session, turn):
            db_session.execute(text("PREPARE twice AS SELECT 1"))

        def test_fails(db_session):
            db_session.execute(text("PREPARE twice AS SELECT 1"))
            db_session.execute(text("SELECT pg_advisory_lock(1)"))
            assert False

        def test_finds_nothing(db_session):
            held = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
            assert db_session.execute(held).scalar() == 0
            assert db_session.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar() == 0
        """
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=3, failed=1)


def test_listeners_of_the_projects_own_are_called(suite: pytest.Pytester) -> None:
    """What is set for each new connection is set in each test, and with real types; each use is told, too."""
    suite.makepyfile(
        """
        import psycopg2.extras, pytest
        from sqlalchemy import event, text

        uses = []

        def test_before(db_session):
            assert db_session.execute(text("SELECT current_setting('app.tenant', true)")).scalar() is None

        @pytest.fixture(scope="module")
        def engine(postgres_engine):
            @event.listens_for(postgres_engine, "connect")
            def set_tenant(connection, _):
                psycopg2.extras.register_uuid(conn_or_curs=connection)
                with connection.cursor() as cursor:
                    cursor.execute("SET app.tenant = 't1'")
                connection.commit()

            @event.listens_for(postgres_engine, "checkout")
            def count(connection, record, proxy):
                uses.append(proxy)

            return postgres_engine

        @pytest.mark.parametrize("turn", [1, pytest.param(2, marks=pytest.mark.realdb(commit=True)), 3])
        def test_it(engine, turn):
            before = len(uses)
            with engine.connect() as connection:
                assert connection.execute(text("SELECT current_setting('app.tenant', true)")).scalar() == "t1"
            assert len(uses) == before + 1
        """
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=4)


@pytest.mark.parametrize("words", ["comit=True", "True", "commit='no'"])
def test_mark_that_cannot_be_read_fails_its_test(suite: pytest.Pytester, words: str) -> None:
    """A typo does not run the test as if it had no mark."""
    suite.makepyfile(f"import pytest\n@pytest.mark.realdb({words})\ndef test_it(db_session): pass")
    result = suite.runpytest_subprocess(*ARGUMENTS)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["The mark realdb of test_it cannot be used", "*fix: *commit=True*"])


def test_test_that_breaks_its_transaction_is_cleaned_up_after(suite: pytest.Pytester) -> None:
    """An aborted or ended outer transaction neither fails the teardown nor reaches the next test."""
    suite.makepyfile(
        """
        import psycopg2, pytest
        from models import Shelf
        from sqlmodel import select

        def test_aborts(db_session):
            raw = db_session.connection().connection.dbapi_connection
            with pytest.raises(psycopg2.Error):
                raw.cursor().execute("SELECT nonsense")  # past SQLAlchemy, which would roll back

        def test_goes_on(db_session):
            assert db_session.exec(select(Shelf)).all() == []
        """
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=2)


def test_lock_is_not_waited_for_for_ever(suite: pytest.Pytester) -> None:
    """Every connection of the engine has a lock_timeout."""
    suite.makepyfile(
        """
        def test_it(postgres_engine):
            with postgres_engine.connect() as connection:
                assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "10s"
        """
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=1)


def test_session_that_is_asked_for_by_name_is_isolated_too(suite: pytest.Pytester) -> None:
    """``request.getfixturevalue`` is not seen at collection, and its commits are undone all the same."""
    suite.makepyfile(
        """
        import pytest
        from models import Shelf
        from sqlmodel import select

        @pytest.mark.parametrize("turn", [1, 2, pytest.param(3, marks=pytest.mark.realdb(commit=True))])
        def test_it(request, turn):
            session = request.getfixturevalue("db_session")
            assert session.exec(select(Shelf)).all() == []
            session.add(Shelf())
            session.commit()
        """
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=3)


def test_engine_of_the_projects_own_is_isolated_on_its_driver(suite: pytest.Pytester) -> None:
    """A project that makes its engine itself, on psycopg 3 here, gets both kinds of isolation."""
    suite.makeconftest(
        """
        import pytest
        from models import SQLModel
        from sqlalchemy import create_engine

        @pytest.fixture(scope="session")
        def postgres_engine(postgres_url):
            engine = create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
            SQLModel.metadata.create_all(engine)
            yield engine
            engine.dispose()
        """
    )
    suite.makepyfile(
        """
        import pytest
        from models import Shelf
        from sqlalchemy import text
        from sqlalchemy.exc import DBAPIError
        from sqlmodel import Session, select
        from realdb_ci.errors import IsolationError

        @pytest.mark.parametrize("turn", [1, 2, pytest.param(3, marks=pytest.mark.realdb(commit=True))])
        def test_commit(db_session, postgres_engine, turn):
            assert postgres_engine.driver == "psycopg"
            assert db_session.exec(select(Shelf)).all() == []
            db_session.add(Shelf())
            db_session.commit()
            with Session(postgres_engine) as other:
                assert len(other.exec(select(Shelf)).all()) == 1
                with pytest.raises(DBAPIError):
                    other.execute(text("SELECT nonsense"))
            assert len(db_session.exec(select(Shelf)).all()) == 1

        def test_level(postgres_engine):
            serializable = postgres_engine.execution_options(isolation_level="SERIALIZABLE")
            with pytest.raises(IsolationError), serializable.connect() as connection:
                connection.execute(text("SELECT 1"))

        def test_autocommit(postgres_engine):
            with postgres_engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                connection.execute(text("INSERT INTO shelf DEFAULT VALUES"))
        """
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=5)
