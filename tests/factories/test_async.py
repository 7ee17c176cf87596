"""Awaited factories, in whole pytest processes on a real PostgreSQL through asyncpg."""

from collections.abc import Callable

import pytest

Run = Callable[..., pytest.RunResult]

FACTORIES = """
import factory
import factories
from models import Author, Book
from realdb_ci.factories import AsyncSQLModelFactory

class AuthorFactory(AsyncSQLModelFactory[Author]):
    class Meta:
        model = Author
    class Params:
        chief = factory.Trait(admin=True)
    name = factory.Sequence(lambda n: f"Bell {n}")

class BookFactory(AsyncSQLModelFactory[Book]):
    class Meta:
        model = Book
    title = factory.Sequence(lambda n: f"Volume {n}")
    author = factory.SubFactory(AuthorFactory)
    @factory.post_generation
    def moved_to(book, create, extracted):
        if extracted:
            book.shelf = extracted

class ProlificFactory(AuthorFactory):
    first = factory.RelatedFactory(BookFactory, "author", title="First")

class MixedFactory(BookFactory):
    author = factory.SubFactory(factories.AuthorFactory)
"""


def test_awaited_factories_write_to_the_async_session(run: Run) -> None:
    """SubFactory, RelatedFactory, traits, hooks, batches and blocking sub-factories are awaited as a whole."""
    result = run(
        """
        import pytest
        from awaited import AuthorFactory, BookFactory, MixedFactory, ProlificFactory
        from models import Author, Book
        from sqlalchemy import text
        from sqlmodel import select

        pytestmark = pytest.mark.anyio

        async def test_sub_factory(async_db_session):
            book = await BookFactory.create(author__chief=True)
            assert book.author_id == book.author.id and book.author.admin
            assert book in async_db_session
            assert (await async_db_session.exec(select(Author.name))).all() == ["Bell 0"]

        async def test_call_is_create(async_db_session):
            assert (await AuthorFactory(name="Ann")).id

        async def test_related(async_db_session):
            author = await ProlificFactory.create()
            books = await async_db_session.exec(select(Book.title).where(Book.author_id == author.id))
            assert books.all() == ["First"]

        @pytest.mark.parametrize("turn", [1, 2])
        async def test_batch(async_db_session, turn):
            books = await BookFactory.create_batch(3, shelf="Z")
            assert [book.title for book in books] == ["Volume 0", "Volume 1", "Volume 2"]
            assert len({book.author_id for book in books}) == 3

        async def test_hook_is_flushed(async_db_session):
            await BookFactory(moved_to="Q")
            connection = await async_db_session.connection()
            assert (await connection.execute(text("SELECT shelf FROM book"))).scalars().all() == ["Q"]

        async def test_blocking_sub_factory(async_db_session):
            book = await MixedFactory()
            assert book.author in async_db_session

        async def test_failed_create_leaves_no_session_behind(async_db_session):
            from factories import AuthorFactory as Blocking
            with pytest.raises(ZeroDivisionError):
                await AuthorFactory(name=__import__("factory").LazyFunction(lambda: 1 / 0))
            with pytest.raises(Exception, match="derive the factory from AsyncSQLModelFactory"):
                Blocking()
        """,
        awaited=FACTORIES,
    )
    result.assert_outcomes(passed=8)


def test_awaited_factory_without_its_fixture_names_it(run: Run) -> None:
    """No async session, only the blocking one, and blocking code that creates: each says what to do."""
    result = run(
        """
        import factory, factories, pytest
        from awaited import AuthorFactory
        from realdb_ci.errors import SettingError

        pytestmark = pytest.mark.anyio

        class BlockingBookFactory(factories.BookFactory):
            author = factory.SubFactory(AuthorFactory)

        async def test_plain():
            with pytest.raises(SettingError, match="(?s)AuthorFactory .*::test_plain.*add async_db_session"):
                await AuthorFactory()

        async def test_other_kind(db_session):
            with pytest.raises(SettingError, match="(?s)asked for db_session.*factory from SQLModelFactory"):
                await AuthorFactory()

        def test_blocking(db_session):
            with pytest.raises(SettingError, match="without an await"):
                BlockingBookFactory()
        """,
        awaited=FACTORIES,
    )
    result.assert_outcomes(passed=3)
