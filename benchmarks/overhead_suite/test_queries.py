"""Tests that do nothing but query, as a suite does whose time goes into its database; every other one unwatched."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select
from warehouse import MODELS

TESTS = int(os.environ["BENCH_TESTS"])
QUERIES = 50


@pytest.fixture(autouse=True)
def listeners(postgres_engine: Engine, request: pytest.FixtureRequest) -> Iterator[None]:
    """Without SQLAlchemy's word to listeners, its dialect works as it does where nobody listens."""
    dialect = postgres_engine.dialect
    if "without" in request.node.name:
        dialect._has_events = False  # noqa: SLF001  # there is no public way
        yield
        del dialect._has_events  # noqa: SLF001
    else:
        yield


# With, without, without, with: neither of a pair is always the second.
@pytest.mark.parametrize(
    "turn", [f"{number} {('with', 'without')[(number ^ number >> 1) & 1]}" for number in range(TESTS)]
)
def test_queries(db_session: Session, turn: str) -> None:
    """Fifty statements of ten shapes from two lines, by the ORM."""
    for number in range(QUERIES):
        model = MODELS[number % 10]
        assert db_session.exec(select(model).where(model.label == f"{turn} {number}")).all() == []
