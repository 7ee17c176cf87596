"""What every peer runs, copied into each of its test modules: the same bodies, parametrised.

Keys are unique, so that the bodies pass without isolation too (the floor has none).
"""

from __future__ import annotations

import os

import pytest
from bookshelf.models import Book, User
from bookshelf.repository import BookmarkRepository
from sqlmodel import Session

BODIES = 5
numbers = pytest.mark.parametrize("number", range(int(os.environ["BENCH_TESTS"]) // BODIES))


def _keys(body: int, number: int) -> tuple[str, int]:
    """A text and the first of a hundred integers that no other test uses."""
    module = int(__name__.rpartition("_")[2])
    unique = (module * BODIES + body) * 1000 + number
    return f"u{unique}", unique * 100


@numbers
def test_array_append(db_session: Session, number: int) -> None:
    """A toggled book is in the array."""
    key, first = _keys(0, number)
    db_session.add(User(id=key, favourite_books=[]))
    db_session.commit()
    repository = BookmarkRepository(db_session)
    repository.toggle_book(key, first)
    repository.toggle_book(key, first + 1)
    found = db_session.get(User, key)
    assert found is not None
    assert found.favourite_books == [first, first + 1]


@numbers
def test_array_remove(db_session: Session, number: int) -> None:
    """A book toggled twice is not."""
    key, first = _keys(1, number)
    db_session.add(User(id=key, favourite_books=[first, first + 1, first + 2]))
    db_session.commit()
    assert BookmarkRepository(db_session).toggle_book(key, first + 1) == [first, first + 2]


@numbers
def test_array_overlap(db_session: Session, number: int) -> None:
    """Readers with a common book are found."""
    key, first = _keys(2, number)
    for name, books in (("a", [first, first + 1]), ("b", [first + 1]), ("c", [first + 2])):
        db_session.add(User(id=key + name, favourite_books=books))
    db_session.commit()
    found = BookmarkRepository(db_session).users_sharing_a_book(f"{key}a")
    assert [user.id for user in found] == [f"{key}b"]


@numbers
def test_jsonb_containment(db_session: Session, number: int) -> None:
    """A fragment finds its document."""
    key, _ = _keys(3, number)
    for title in ("one", "two", "three"):
        db_session.add(Book(title=title, content={"meta": {"key": key, "title": title}, "words": [1, 2, 3]}))
    db_session.commit()
    found = BookmarkRepository(db_session).books_with_content({"meta": {"key": key, "title": "two"}})
    assert [book.title for book in found] == ["two"]


@numbers
def test_bookmarked_books(db_session: Session, number: int) -> None:
    """Books come in the order of their bookmarks."""
    key, first = _keys(4, number)
    books = [Book(id=first + n, title=f"{key} {n}", content={"n": n}) for n in range(1, 4)]
    db_session.add_all([*books, User(id=key, favourite_books=[first + 3, first + 1])])
    db_session.commit()
    found = BookmarkRepository(db_session).get_bookmarked_books(key)
    assert [book.content["n"] for book in found] == [3, 1]
