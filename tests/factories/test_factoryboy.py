"""The factories as fixtures of pytest-factoryboy, and what importing them costs."""

import subprocess
import sys
from collections.abc import Callable

import pytest

Run = Callable[..., pytest.RunResult]


def test_registered_factories_are_fixtures(run: Run) -> None:
    """``register`` makes fixtures of hand-written and of derived factories, hooks and overrides included."""
    result = run(
        """
        import factories, pytest
        from models import Author, Book
        from pytest_factoryboy import named_model, register
        from realdb_ci.factories import MongoFactory, factory_for
        from sqlmodel import Field, Relationship, SQLModel

        class Review(SQLModel, table=True):
            id: int | None = Field(default=None, primary_key=True)
            book_id: int = Field(foreign_key="book.id")
            stars: int

        class Loan(SQLModel, table=True):
            id: int | None = Field(default=None, primary_key=True)
            book_id: int = Field(foreign_key="book.id")
            book: Book = Relationship()

        class ChatFactory(MongoFactory):
            class Meta:
                model = named_model(dict, "Chat")
                collection = "chats"
            topic = "maps"

        register(factories.AuthorFactory)
        register(factories.BookFactory)
        register(factories.AuthorFactory, "chief", name="Chief")
        register(factory_for(Review))
        register(factory_for(Loan))
        register(ChatFactory)

        pytestmark = pytest.mark.usefixtures("db_session", "mongo_db")

        def test_models(db_session, book, author, chief):
            assert book in db_session and book.author is author
            assert author.name.startswith("Bell") and chief.name == "Chief"

        @pytest.mark.parametrize("book__moved_to", ["Q"])
        def test_hook(db_session, book):
            assert book.shelf == "Q" and book not in db_session.dirty

        @pytest.mark.parametrize("review__stars", [5])
        def test_derived(db_session, review, loan, book, book_factory):
            assert review.stars == 5 and db_session.get(Book, review.book_id)
            assert loan.book is book and loan.book_id == book.id
            assert book_factory(title="More").id

        def test_document(mongo_db, chat):
            assert mongo_db.chats.find_one() == chat
        """
    )
    result.assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import realdb_ci.plugin, realdb_ci.services.active", ["factory", "sqlalchemy", "sqlmodel", "pymongo"]),
        ("from realdb_ci.factories import MongoFactory", ["pymongo", "sqlmodel", "realdb_ci.factories.sql"]),
        ("from realdb_ci.factories import SQLModelFactory, factory_for", ["pymongo"]),
    ],
)
def test_only_what_is_used_is_imported(code: str, absent: list[str]) -> None:
    """The plugin imports no factory_boy, and a base imports no driver but its own."""
    check = f"import sys\n{code}\nfound = set({absent!r}) & set(sys.modules)\nassert not found, found"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_missing_extra_is_a_clear_error() -> None:
    """Without SQLAlchemy, a MongoFactory can be had, and a SQLModelFactory says what to install."""
    code = """
import sys
sys.modules["sqlalchemy"] = None
from realdb_ci.factories import MongoFactory
from realdb_ci.errors import EnvironmentProblem
try:
    from realdb_ci.factories import SQLModelFactory
except EnvironmentProblem as problem:
    assert problem.remedy == "pip install 'realdb-ci[postgres]'", problem
else:
    raise AssertionError
try:
    from realdb_ci.factories import NoSuchFactory
except ImportError:
    pass
"""
    subprocess.run([sys.executable, "-c", code], check=True)
