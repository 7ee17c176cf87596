"""The same test in the plugin's session and in a plain one, in turns."""

from __future__ import annotations

import os

import pytest
from sqlalchemy import func
from sqlmodel import Session, select
from warehouse import MODELS

TESTS = int(os.environ["BENCH_TESTS"])
# A parameter of the module's scope has pytest run all tests with its first value, then all with its second.
turns = pytest.mark.parametrize("number", range(TESTS), scope="module")


@turns
def test_rolled_back(db_session: Session, number: int) -> None:
    """In the plugin's session."""
    _write(db_session, f"rolled back {number}")


@turns
def test_plain(plain_session: Session, number: int) -> None:
    """In a session that nobody isolates."""
    _write(plain_session, f"plain {number}")


def test_only_the_plain_rows_stayed(plain_session: Session) -> None:
    """What is compared is what it is called."""
    assert plain_session.exec(select(func.count()).select_from(MODELS[0])).one() == TESTS


def _write(session: Session, label: str) -> None:
    session.add(MODELS[0](label=label))
    session.commit()
    assert session.exec(select(MODELS[0]).where(MODELS[0].label == label)).one().id
