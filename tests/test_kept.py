"""Kept databases: what a failed test with real commits left can be looked into."""

import re
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from realdb_ci import services
from realdb_ci.config import Config
from realdb_ci.servers import Servers

ARGUMENTS = ("-p", "no:cacheprovider", "-W", "error", "--realdb-keep")
KEPT = r"\w+\.py::test_fails: psql (postgresql://\S+)"


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project whose one marked test commits a row and fails, and another that passes."""
    pytester.makepyfile(
        """
        import pytest
        from sqlmodel import Field, SQLModel

        class Shelf(SQLModel, table=True):
            id: int | None = Field(default=None, primary_key=True)

        @pytest.mark.realdb(commit=True)
        def test_fails(db_session):
            db_session.add(Shelf(id=4711))
            db_session.commit()
            assert False

        @pytest.mark.realdb(commit=True)
        def test_passes(db_session):
            pass
        """
    )
    return pytester


@pytest.fixture
def given_url() -> Iterator[str]:
    """A server that outlives the run."""
    wish = services.wishes(Config(engine="embedded"))["postgres"]
    with Servers() as servers:
        yield servers.get(wish).url


def _rows(url: str) -> list[tuple[int]]:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM shelf")
        return cursor.fetchall()


def test_terminal_waits_while_the_reader_looks_into_a_kept_database(suite: pytest.Pytester) -> None:
    """The command that is shown works until Enter is pressed, and then the run ends as it would have."""
    child = suite.spawn_pytest(" ".join((*ARGUMENTS, "--realdb-engine=embedded", "--color=no")), expect_timeout=60)
    child.expect(KEPT)
    assert child.match is not None
    url = child.match[1].decode()
    child.expect("until you press Enter")
    assert _rows(url) == [(4711,)]
    child.sendline("")
    child.expect("1 failed, 1 passed")
    child.wait()
    assert child.exitstatus == 1
    with pytest.raises(psycopg2.OperationalError):
        _rows(url)


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_without_a_terminal_the_run_says_how_to_look(suite: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """Nothing waits where nobody could answer, also where a worker ran the test."""
    result = suite.runpytest_subprocess(*ARGUMENTS, "--realdb-engine=embedded", *workers)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.re_match_lines([KEPT, ".*Run pytest in a terminal.*"])


def test_database_on_a_given_server_stays_after_the_run(suite: pytest.Pytester, given_url: str) -> None:
    """It is spared by the sweep; the password of a given server is not shown."""
    result = suite.runpytest_subprocess(*ARGUMENTS, f"--realdb-service=postgres={given_url}")
    result.assert_outcomes(failed=1, passed=1)
    found = re.search(KEPT, result.stdout.str())
    assert found is not None
    assert ":***@" in found[1]
    name = found[1].rpartition("/")[2]
    assert _rows(f"{given_url.rpartition('/')[0]}/{name}") == [(4711,)]
    with closing(psycopg2.connect(given_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datname ~ '^realdb'")
        assert cursor.fetchall() == [(name,)]


def test_nothing_is_kept_unasked(suite: pytest.Pytester) -> None:
    """Without the option no database is named."""
    result = suite.runpytest_subprocess("-p", "no:cacheprovider", "--realdb-engine=embedded")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.no_fnmatch_line("*kept databases*")
