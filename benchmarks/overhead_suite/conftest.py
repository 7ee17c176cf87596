"""A session without isolation, to compare the plugin's with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlmodel import Session, create_engine


@pytest.fixture(scope="session")
def plain_engine(request: pytest.FixtureRequest) -> Iterator[object]:
    """An engine of the same database.

    It asks for the plugin's engine while it runs: the plugin isolates the tests that it can see to need it.
    """
    engine = create_engine(request.getfixturevalue("postgres_engine").url)
    yield engine
    engine.dispose()


@pytest.fixture
def plain_session(plain_engine: object) -> Iterator[Session]:
    """Its commits are real, and stay."""
    with Session(plain_engine) as session:
        yield session
