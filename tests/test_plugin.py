"""The plugin in whole pytest processes, on real servers."""

import re

import pytest

MODELS = """
from sqlalchemy import Column, Integer
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

class User(SQLModel, table=True):
    id: str = Field(primary_key=True)
    books: list[int] = Field(default=[], sa_column=Column(ARRAY(Integer)))
"""
ARGUMENTS = ("-p", "no:cacheprovider", "--realdb-engine=embedded", "-W", "error")


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with one model."""
    pytester.makepyfile(models=MODELS)
    pytester.makepyprojecttoml('[tool.pytest.ini_options]\npythonpath = ["."]\n')
    return pytester


def test_commits_of_one_test_are_unseen_by_the_next(suite: pytest.Pytester) -> None:
    """Two tests may insert the same key, commit, roll back and go on after a constraint error."""
    suite.makepyfile(
        test_it="""
        import pytest
        from models import User
        from sqlalchemy.exc import IntegrityError

        @pytest.mark.parametrize("turn", [1, 2])
        def test_insert(db_session, turn):
            db_session.add(User(id="ann", books=[turn]))
            db_session.commit()
            db_session.add(User(id="bob"))
            db_session.rollback()
            with pytest.raises(IntegrityError):
                with db_session.begin_nested():
                    db_session.connection().exec_driver_sql("INSERT INTO \\"user\\" VALUES ('ann')")
            assert db_session.get(User, "ann").books == [turn]
            assert db_session.get(User, "bob") is None
        """
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=2)


def test_server_that_dies_fails_later_tests_at_once_with_the_cause(suite: pytest.Pytester) -> None:
    """The test in which it dies fails by its connection; those after it name the server, and others go on."""
    suite.makepyfile(
        test_it="""
        import psutil
        from urllib.parse import urlsplit

        def test_dies(db_session, postgres_server):
            port = urlsplit(postgres_server.url).port
            found = [one for one in psutil.net_connections("tcp4") if one.laddr[1:] == (port,) and not one.raddr]
            psutil.Process(found[0].pid).kill()
            while True:  # until the connection breaks
                db_session.connection().exec_driver_sql("SELECT 1")

        def test_later(db_session): pass

        def test_without(): pass

        def test_last(db_session): pass
        """
    )
    done = suite.runpytest_subprocess(*ARGUMENTS)
    assert done.parseoutcomes()["passed"] == 1
    done.stdout.re_match_lines(
        [r"_+ ERROR at setup of test_later _+", r"PostgreSQL ended while tests ran: signal 9"]
    )
    done.stdout.re_match_lines(
        [r"_+ ERROR at setup of test_last _+", r"PostgreSQL ended while tests ran: signal 9"]
    )


def test_each_test_has_an_empty_mongo_database_of_its_own(suite: pytest.Pytester) -> None:
    """No collection is left from one test to the next, and the names differ."""
    suite.makepyfile(
        test_it="""
        import pytest
        names = set()

        @pytest.mark.parametrize("turn", [1, 2])
        def test_insert(mongo_db, mongo_client, turn):
            assert mongo_db.list_collection_names() == []
            mongo_db.chats.insert_one({"_id": 1})
            assert mongo_db.name not in names
            assert not names & set(mongo_client.list_database_names())
            names.add(mongo_db.name)
        """
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=2)


def test_urls_serve_any_client(suite: pytest.Pytester) -> None:
    """``postgres_url`` and ``mongo_url`` are plain URLs."""
    suite.makepyfile(
        test_it="""
        import psycopg2, pymongo

        def test_urls(postgres_url, mongo_url):
            connection = psycopg2.connect(postgres_url)
            connection.close()
            with pymongo.MongoClient(mongo_url) as client:
                assert client.admin.command("ping")["ok"] == 1
        """
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=1)


def test_header_names_engine_version_and_seconds_before_the_first_test(suite: pytest.Pytester) -> None:
    """One line a server, and only for services that a collected test needs."""
    suite.makepyfile("def test_it(db_session): pass")
    result = suite.runpytest_subprocess(*ARGUMENTS)
    result.stdout.re_match_lines_random(
        [r"postgres: embedded, PostgreSQL \d+\.\d+.*, .*\(.*/postgres\), ready in \d+\.\d s"]
    )
    result.stdout.no_fnmatch_line("mongodb:*")


@pytest.mark.parametrize("arguments", [("--collect-only",), ("-k", "plain"), ("--deselect", "test_it.py::test_db")])
def test_nothing_boots_that_no_selected_test_needs(suite: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    """Collecting alone, or selecting other tests, starts no server."""
    suite.makepyfile(test_it="def test_db(db_session): pass\ndef test_plain(): pass")
    result = suite.runpytest_subprocess(*ARGUMENTS, *arguments)
    assert result.ret == 0
    result.stdout.no_fnmatch_line("postgres:*")


def test_workers_share_a_server_and_have_a_database_each(suite: pytest.Pytester) -> None:
    """Under xdist one server serves all, said once, and no worker sees another's rows."""
    suite.makepyfile(
        test_it="""
        import pytest
        from models import User

        @pytest.mark.parametrize("turn", range(20))
        def test_insert(postgres_engine, turn, worker_id):
            with postgres_engine.begin() as connection:
                connection.exec_driver_sql(f"INSERT INTO \\"user\\" VALUES ('{turn}')")
                database = connection.exec_driver_sql("SELECT current_database()").scalar()
            assert worker_id in database
        """
    )
    result = suite.runpytest_subprocess(*ARGUMENTS, "-n", "2")
    result.assert_outcomes(passed=20)
    assert result.stdout.str().count("postgres: embedded") == 1


def test_replaced_worker_finds_the_server_again(suite: pytest.Pytester) -> None:
    """A worker that dies is replaced, and the new one works on the same server."""
    suite.makepyfile(
        test_it="""
        import os, pytest

        @pytest.mark.parametrize("turn", range(6))
        def test_insert(db_session, turn):
            if turn == 2:
                os._exit(1)
        """
    )
    result = suite.runpytest_subprocess(*ARGUMENTS, "-n", "2")
    result.assert_outcomes(passed=5, failed=1)
    assert result.stdout.str().count("postgres: embedded") == 1


def test_users_fixture_of_the_same_name_wins(suite: pytest.Pytester) -> None:
    """A project that has its own ``postgres_engine`` keeps it, and no server is started for it."""
    suite.makeconftest(
        "import pytest\n@pytest.fixture\ndef mongo_db(): return 'mine'\n"
        "@pytest.fixture(scope='session')\ndef postgres_engine(): return 'mine too'\n"
    )
    suite.makepyfile(
        "def test_it(mongo_db, postgres_engine): assert (mongo_db, postgres_engine) == ('mine', 'mine too')"
    )
    result = suite.runpytest_subprocess(*ARGUMENTS)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*embedded*")


def test_schema_can_be_named(suite: pytest.Pytester) -> None:
    """``schema`` names tables that no SQLModel knows."""
    suite.makepyfile(
        tables="""
        from sqlalchemy import Column, Integer, MetaData, Table
        class Base: metadata = MetaData()
        Table("shelf", Base.metadata, Column("id", Integer))
        """,
        test_it="""
        from sqlalchemy import text
        def test_it(db_session): assert db_session.execute(text("SELECT count(*) FROM shelf")).scalar() == 0
        """,
    )
    suite.runpytest_subprocess(*ARGUMENTS, "--realdb-schema=tables:Base.metadata").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ("nowhere:metadata", "No module named 'nowhere'"),
        ("models:missing", "has no attribute 'missing'"),
        ("models:Integer", "is neither a SQLAlchemy MetaData"),
    ],
)
def test_schema_that_does_not_import_is_said_without_a_trace(suite: pytest.Pytester, schema: str, why: str) -> None:
    """The failing test shows the setting, the cause and the remedy, and no line of our code."""
    suite.makepyfile("def test_it(db_session): pass")
    result = suite.runpytest_subprocess(*ARGUMENTS, f"--realdb-schema={schema}")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*{schema}*", "*why: *", "*fix: *"])
    result.stdout.re_match_lines_random([f".*{why}.*"])
    result.stdout.no_fnmatch_line("*services/postgres*")


def test_schema_the_server_cannot_hold_names_what_the_server_has(suite: pytest.Pytester) -> None:
    """A type of a missing extension is explained by the list of extensions."""
    suite.makepyfile(
        test_it="""
        from sqlalchemy import Column, Integer, MetaData, Table
        from sqlalchemy.types import UserDefinedType
        class Box(UserDefinedType):
            cache_ok = True
            def get_col_spec(self): return "no_such_type"
        metadata = MetaData()
        Table("shelf", metadata, Column("id", Integer), Column("box", Box))
        def test_it(db_session): pass
        """
    )
    result = suite.runpytest_subprocess(*ARGUMENTS, "--realdb-schema=test_it:metadata")
    result.assert_outcomes(errors=1)
    result.stdout.re_match_lines_random(
        [".*The schema cannot be built on PostgreSQL.*", ".*no_such_type.*", ".*the extensions .*plpgsql.*"]
    )


def test_extensions_are_created_before_the_schema(suite: pytest.Pytester) -> None:
    """``extensions`` names what every test database gets."""
    suite.makepyprojecttoml('[tool.realdb-ci]\nextensions = ["vector"]\nservices = ["postgres:18"]\n')
    suite.makepyfile(
        """
        from sqlalchemy import text
        def test_it(db_session): assert db_session.execute(text("SELECT '[1,2]'::vector")).scalar() == "[1,2]"
        """
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=1)


def test_unknown_setting_is_a_usage_error(suite: pytest.Pytester) -> None:
    """Pytest ends with its usage exit code and our message."""
    suite.makepyprojecttoml('[tool.realdb-ci]\nengin = "docker"\n')
    result = suite.runpytest_subprocess(*ARGUMENTS)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*Unknown setting 'engin'*", "*Did you mean 'engine'?*"])


def test_tests_without_a_database_run_where_no_server_can_be_had(suite: pytest.Pytester) -> None:
    """A server that cannot be had fails the tests that need it, and no other."""
    suite.makepyfile("def test_db(db_session): pass\ndef test_db_too(db_session): pass\ndef test_plain(): pass")
    result = suite.runpytest_subprocess(
        "-p", "no:cacheprovider", "--realdb-service=postgres=postgresql://u:secret@127.0.0.1:1/d"
    )
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(["*The given PostgreSQL at *127.0.0.1:1*cannot be reached*"])
    result.stdout.no_fnmatch_line("*secret*")


PUBLIC = (
    *("postgres_server", "postgres_url", "postgres_engine", "async_postgres_engine"),
    *("db_session", "async_db_session"),
    *("mongodb_server", "mongo_url", "mongo_client", "async_mongo_client", "mongo_db", "async_mongo_db"),
    *("mongo_seed", "redis_url", "redis_client", "async_redis_client", "s3_url", "s3_client", "s3_bucket"),
    *("httpserver", "respx_mock", "responses", "http_faults", "frozen_time"),
)


def test_every_fixture_has_a_helpful_first_line(suite: pytest.Pytester) -> None:
    """``pytest --fixtures`` explains each public fixture, and starts no server for it."""
    suite.makepyfile("def test_db(db_session, mongo_db): pass")
    shown = suite.runpytest_subprocess("--fixtures").stdout
    shown.no_fnmatch_line("*ready in*")
    for name in PUBLIC:
        found = re.findall(rf"^{name}(?: \[session scope\])? -- .*\n +(.+)$", shown.str(), re.MULTILINE)
        assert [line for line in found if len(line) > 20 and "no docstring" not in line], name
