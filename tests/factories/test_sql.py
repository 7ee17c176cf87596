"""Factories of rows, in whole pytest processes on a real PostgreSQL."""

from collections.abc import Callable

import pytest

Run = Callable[..., pytest.RunResult]


def test_declarations_of_factory_boy_write_to_the_session_of_the_test(run: Run) -> None:
    """SubFactory, RelatedFactory, traits, Params, LazyAttribute, post_generation and batches make rows."""
    result = run(
        """
        from factories import AuthorFactory, BookFactory, ProlificFactory
        from models import Author, Book
        from sqlmodel import select
        from sqlalchemy import text

        def test_sub_factory(db_session):
            book = BookFactory()
            assert book.id and book.author_id == book.author.id
            assert db_session.exec(select(Author.name)).all() == ["Bell 0"]

        def test_trait_and_params(db_session):
            assert AuthorFactory(chief=True).name == "Chief"
            assert AuthorFactory(surname="Bronte").name == "Bronte 1"

        def test_related(db_session):
            author = ProlificFactory()
            titles = select(Book.title).where(Book.author_id == author.id)
            assert db_session.exec(titles).all() == ["First"]

        def test_batch_shares_what_it_is_given(db_session):
            books = BookFactory.create_batch(3, author__name="Ann", author=AuthorFactory(), shelf="Z")
            assert len({book.author_id for book in books}) == 1
            assert {book.id for book in books} == set(db_session.exec(select(Book.id).where(Book.shelf == "Z")))

        def test_hook_is_flushed(db_session):
            BookFactory(moved_to="Q")
            connection = db_session.connection()
            assert connection.execute(text("SELECT shelf FROM book")).scalars().all() == ["Q"]

        def test_build_writes_nothing(db_session):
            assert BookFactory.build().id is None
            assert db_session.exec(select(Author)).all() == []
        """
    )
    result.assert_outcomes(passed=6)


def test_rows_are_flushed_and_not_committed(run: Run) -> None:
    """A rollback in the test takes the rows back, unless the factory's own Meta says commit."""
    result = run(
        """
        from factories import AuthorFactory
        from models import Author
        from sqlmodel import select

        class CommittingFactory(AuthorFactory):
            class Meta:
                sqlalchemy_session_persistence = "commit"

        def test_it(db_session):
            CommittingFactory(name="kept")
            AuthorFactory(name="lost")
            db_session.rollback()
            assert db_session.exec(select(Author.name)).all() == ["kept"]
        """
    )
    result.assert_outcomes(passed=1)


def test_sequences_restart_for_every_test_and_every_attempt(run: Run) -> None:
    """Names begin at zero again: in sub-factories, in factories that inherit, in build, and in a rerun."""
    result = run(
        """
        import pytest
        from factories import AuthorFactory, BookFactory, ProlificFactory

        tries = []

        @pytest.mark.parametrize("turn", [1, 2])
        def test_create(db_session, turn):
            names = [BookFactory().author.name, ProlificFactory().name, AuthorFactory().name]
            assert names == ["Bell 0", "Bell 1", "Bell 2"]

        @pytest.mark.parametrize("turn", [1, 2])
        def test_build(turn):
            assert [AuthorFactory.build().name, ProlificFactory.build().name] == ["Bell 0", "Bell 1"]

        @pytest.mark.parametrize("turn", [1, 2])
        def test_set_by_hand(turn):
            AuthorFactory.reset_sequence(40)
            assert AuthorFactory.build().name == "Bell 40"

        @pytest.mark.flaky(reruns=1)
        def test_rerun():
            tries.append(AuthorFactory.build().name)
            assert tries == ["Bell 0", "Bell 0"]
        """
    )
    assert result.parseoutcomes() == {"passed": 7, "rerun": 1}


def test_thread_of_the_application_reaches_the_session_of_the_test(run: Run) -> None:
    """What runs in another thread while the test waits, as under a TestClient, writes to the test's session."""
    result = run(
        """
        from concurrent.futures import ThreadPoolExecutor
        from factories import AuthorFactory

        def test_it(db_session):
            with ThreadPoolExecutor() as pool:
                author = pool.submit(AuthorFactory).result()
            assert author in db_session
        """
    )
    result.assert_outcomes(passed=1)


def test_factory_without_its_fixture_names_it(run: Run) -> None:
    """Creating at import, in a test without the session, or with only the other kind of session says what to do."""
    result = run(
        """
        import pytest
        from factories import AuthorFactory
        from realdb_ci.errors import SettingError
        from realdb_ci.services.active import active

        with pytest.raises(SettingError, match="(?s)AuthorFactory .* outside a test.*asks for db_session"):
            AuthorFactory()

        def test_plain():
            with pytest.raises(SettingError, match="(?s)AuthorFactory .*::test_plain.*add db_session to the arg"):
                AuthorFactory()

        def test_other_kind():
            with active.bind(async_session=object()):
                with pytest.raises(SettingError, match="(?s)asked for async_db_session.*from AsyncSQLModelFactory"):
                    AuthorFactory()

        def test_binding_ends_with_the_fixture(db_session):
            AuthorFactory()

        def test_after():
            with pytest.raises(SettingError):
                AuthorFactory()
        """
    )
    result.assert_outcomes(passed=4)


def test_session_of_the_users_own_is_kept(run: Run) -> None:
    """A factory that names its session writes there, whatever the test asked for."""
    result = run(
        """
        from factories import AuthorFactory
        from sqlmodel import Session

        def test_named_session(postgres_engine, db_session):
            with Session(postgres_engine) as own:
                class OwnFactory(AuthorFactory):
                    class Meta:
                        sqlalchemy_session = own
                assert OwnFactory() in own
                assert AuthorFactory(name="Other") in db_session
        """
    )
    result.assert_outcomes(passed=1)


def test_get_or_create_finds_the_row_and_loses_none(run: Run) -> None:
    """The key finds the row; an insert that meets a constraint undoes itself alone; a missing key is named."""
    result = run(
        """
        import pytest
        from factories import AuthorFactory
        from models import Author
        from realdb_ci.errors import SettingError
        from sqlalchemy.exc import IntegrityError
        from sqlmodel import select

        class ByName(AuthorFactory):
            class Meta:
                sqlalchemy_get_or_create = ("name",)

        class ByBoth(AuthorFactory):
            class Meta:
                sqlalchemy_get_or_create = ("name", "id")
            id = 7

        def test_found(db_session):
            assert ByName(name="Ann") is ByName(name="Ann")
            assert ByBoth(name="Ann").id == 1

        def test_constraint(db_session):
            ByName(name="Ann")
            ByBoth(name="Bob")
            with pytest.raises(IntegrityError):
                ByBoth(name="Cid", id=7)
            assert db_session.exec(select(Author.name)).all() == ["Ann", "Bob"]

        def test_missing_key(db_session):
            class ByColour(AuthorFactory):
                class Meta:
                    sqlalchemy_get_or_create = ("colour",)
            with pytest.raises(SettingError, match="colour"):
                ByColour()
        """
    )
    result.assert_outcomes(passed=3)
