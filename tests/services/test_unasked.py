"""Tests that find our engine while they run are isolated like those that name it."""

import pytest

ARGUMENTS = ("-p", "no:cacheprovider", "--realdb-engine=embedded", "-W", "error", "--strict-markers")
CONFTEST = """
import pytest
from sqlalchemy import text
from sqlmodel import Field, Session, SQLModel, select

class Shelf(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str

class Library:
    def __init__(self, engine):
        self.engine = engine

    def add(self, name):
        with Session(self.engine) as session:
            session.add(Shelf(name=name))
            session.commit()

    def names(self):
        with Session(self.engine) as session:
            return sorted(session.exec(select(Shelf.name)))

@pytest.fixture
def library(postgres_engine):
    return Library(postgres_engine)

@pytest.fixture(scope="module")
def stocked(postgres_engine):
    library = Library(postgres_engine)
    library.add("of the module")
    yield library
    with postgres_engine.begin() as connection:
        connection.execute(text("DELETE FROM shelf"))
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project whose fixtures use the engine."""
    pytester.makeconftest(CONFTEST)
    return pytester


@pytest.mark.parametrize("mark", ["", "@pytest.mark.realdb(commit=True)"])
def test_fixture_that_is_asked_for_by_name_is_isolated(suite: pytest.Pytester, mark: str) -> None:
    """Its own fixtures, the engine itself, and what lives for a module."""
    suite.makepyfile(
        f"""
        import pytest

        {mark}
        @pytest.mark.parametrize("name", ["library"])
        @pytest.mark.parametrize("turn", [1, 2])
        def test_own_fixture(request, name, turn):
            library = request.getfixturevalue(name)
            library.add("undone")
            assert library.names() == ["undone"]

        {mark}
        @pytest.mark.parametrize("turn", [1, 2])
        def test_engine(request, turn):
            from conftest import Library
            library = Library(request.getfixturevalue("postgres_engine"))
            library.add("undone")
            assert library.names() == ["undone"]
        """
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=4)


def test_fixture_that_looks_for_the_engine_itself_is_isolated(suite: pytest.Pytester) -> None:
    """While it is set up, already; and in each attempt at a test."""
    suite.makepyfile(
        """
        import pytest
        from conftest import Library

        @pytest.fixture
        def found(request):
            library = Library(request.getfixturevalue("postgres_engine"))
            library.add("undone")
            return library

        attempts = []

        @pytest.mark.flaky(reruns=2)
        @pytest.mark.parametrize("name", ["found", "library"])
        def test_it(request, name):
            library = request.getfixturevalue(name)
            library.add("of the test")
            attempts.append(library.names())
            assert len(attempts) % 3 == 0

        def test_directly(found):
            assert found.names() == ["undone"]

        def test_attempts():
            assert attempts == [["of the test", "undone"]] * 3 + [["of the test"]] * 3
        """
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=4)


def test_first_use_of_all_is_isolated_too(suite: pytest.Pytester) -> None:
    """The engine may be made while the first test already runs."""
    suite.makepyfile(
        """
        def test_first(request):
            from conftest import Library
            Library(request.getfixturevalue("postgres_engine")).add("undone")

        def test_second(library):
            assert library.names() == []
        """
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=2)


def test_what_wider_fixtures_write_stays_for_all_their_tests(suite: pytest.Pytester) -> None:
    """They are set up within a test, and belong to none."""
    suite.makepyfile(
        test_a="""
        import pytest

        @pytest.mark.parametrize("turn", [1, 2])
        def test_it(request, turn):
            stocked = request.getfixturevalue("stocked")
            assert stocked.names() == ["of the module"]
            stocked.add("undone")
        """,
        test_b="""
        def test_nothing_is_left(library):
            assert library.names() == []
        """,
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=3)


def test_engine_that_was_kept_is_isolated_in_the_test_that_uses_it(suite: pytest.Pytester) -> None:
    """A thread beside it, such as a worker that an earlier test's application started, belongs to no test."""
    suite.makepyfile(
        """
        from concurrent.futures import ThreadPoolExecutor

        kept = []

        def test_uses(library):
            kept.append(library)

        def test_has_another_thread():
            with ThreadPoolExecutor() as pool:
                assert pool.submit(kept[0].names).result() == []

        def test_uses_it_again():
            kept[0].add("undone")
            with ThreadPoolExecutor() as pool:
                assert pool.submit(kept[0].names).result() == ["undone"]

        def test_nothing_is_left(library):
            assert library.names() == []
        """
    )
    suite.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=4)


def test_doctest_is_isolated(suite: pytest.Pytester) -> None:
    """``getfixture`` is a doctest's only way to a fixture."""
    suite.makepyfile(
        shop='''
        def one():
            """
            >>> library = getfixture("library")
            >>> library.add("undone")
            >>> library.names()
            ['undone']
            """

        def two():
            """
            >>> getfixture("library").names()
            []
            """
        '''
    )
    suite.runpytest_subprocess(*ARGUMENTS, "--doctest-modules").assert_outcomes(passed=2)
