"""Tests that get a clone: one after the other without a pause, and with the time that a larger test takes."""

# ruff: noqa: ARG001  # tests that differ by their number alone

from __future__ import annotations

import os
import time

import pytest
from sqlmodel import Session, select
from warehouse import MODELS

pytestmark = pytest.mark.realdb(commit=True)
numbers = pytest.mark.parametrize("number", range(int(os.environ["BENCH_TESTS"])))


@numbers
def test_at_once(db_session: Session, number: int) -> None:
    """The next test begins when this one's few milliseconds are over."""
    _write(db_session)


@numbers
def test_with_time(db_session: Session, number: int) -> None:
    """The next test begins when its clone has long been ready."""
    _write(db_session)
    time.sleep(0.06)


def _write(session: Session) -> None:
    session.add(MODELS[0](label="first"))
    session.commit()
    assert [row.id for row in session.exec(select(MODELS[0]))] == [1]
