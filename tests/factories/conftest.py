"""A project with models and factories, and the run of its suite on real servers."""

from collections.abc import Callable

import pytest

ARGUMENTS = ("-p", "no:cacheprovider", "--realdb-engine=embedded", "-W", "error")
CONFTEST = """
import pytest

@pytest.fixture
def anyio_backend():
    return "asyncio"
"""
MODELS = """
from sqlmodel import Field, Relationship, SQLModel

class Author(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    admin: bool = False
    books: list["Book"] = Relationship(back_populates="author")

class Book(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    shelf: str = "A"
    author_id: int = Field(foreign_key="author.id")
    author: Author = Relationship(back_populates="books")
"""
FACTORIES = """
import factory
from models import Author, Book
from realdb_ci.factories import SQLModelFactory

class AuthorFactory(SQLModelFactory[Author]):
    class Meta:
        model = Author
    class Params:
        chief = factory.Trait(admin=True, name="Chief")
        surname = "Bell"
    name = factory.LazyAttributeSequence(lambda self, n: f"{self.surname} {n}")

class BookFactory(SQLModelFactory[Book]):
    class Meta:
        model = Book
    title = factory.Sequence(lambda n: f"Volume {n}")
    author = factory.SubFactory(AuthorFactory)
    shelf = factory.LazyAttribute(lambda book: book.author.name[0])
    @factory.post_generation
    def moved_to(book, create, extracted):
        if extracted:
            book.shelf = extracted

class ProlificFactory(AuthorFactory):
    first = factory.RelatedFactory(BookFactory, "author", title="First")
"""
SETTINGS = """
[tool.pytest.ini_options]
pythonpath = ["."]
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Run a test module, beside models and factories, in a pytest process of its own."""
    pytester.makepyfile(models=MODELS, factories=FACTORIES)
    pytester.makeconftest(CONFTEST)
    pytester.makepyprojecttoml(SETTINGS)

    def _run(test: str, *arguments: str, **modules: str) -> pytest.RunResult:
        pytester.makepyfile(test_it=test, **modules)
        return pytester.runpytest_subprocess(*ARGUMENTS, *arguments)

    return _run
