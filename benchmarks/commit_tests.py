"""What every peer runs where commits are real: the same bodies, each certain to be alone in its database.

The keys are the same in every test, and a second connection looks at what was committed.
"""

from __future__ import annotations

import os

import pytest
from sqlalchemy import Engine, func
from sqlmodel import Session, select
from warehouse import MODELS

BODIES = 3
pytestmark = pytest.mark.realdb(commit=True)
numbers = pytest.mark.parametrize("number", range(int(os.environ["BENCH_TESTS"]) // BODIES))


def _seen_from_outside(session: Session, number: int) -> int:
    """How many rows another connection sees in that table."""
    engine = session.get_bind()
    assert isinstance(engine, Engine)
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(MODELS[number])).scalar_one()


@numbers
def test_committed_rows_are_seen_by_others(db_session: Session, number: int) -> None:
    """A parent and its child are in the database for everybody, and nothing else is."""
    db_session.add(MODELS[0](label=f"parent {number}"))
    db_session.commit()
    db_session.add(MODELS[1](label="child", parent_id=1))
    db_session.commit()
    assert (_seen_from_outside(db_session, 0), _seen_from_outside(db_session, 1)) == (1, 1)


@numbers
def test_rolled_back_rows_are_not(db_session: Session, number: int) -> None:
    """What was rolled back never was; what was committed before stays."""
    table = 10 + number % 40
    db_session.add(MODELS[table](label="kept"))
    db_session.commit()
    db_session.add(MODELS[table](label="dropped"))
    db_session.flush()
    db_session.rollback()
    assert _seen_from_outside(db_session, table) == 1


@numbers
def test_keys_start_at_one(db_session: Session, number: int) -> None:
    """The sequences are those of a new database."""
    rows = [MODELS[59](label=f"{number} {place}") for place in range(3)]
    db_session.add_all(rows)
    db_session.commit()
    assert [row.id for row in db_session.exec(select(MODELS[59]).order_by(MODELS[59].id))] == [1, 2, 3]
