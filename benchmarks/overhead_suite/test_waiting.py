"""Tests that wait for the database, as those with slow queries do."""

# ruff: noqa: ARG001  # tests that differ by their number alone

from __future__ import annotations

import os

import pytest
from sqlalchemy import text
from sqlmodel import Session


@pytest.mark.parametrize("number", range(int(os.environ["BENCH_TESTS"])))
def test_wait(db_session: Session, number: int) -> None:
    """Twenty milliseconds, of which the processor has none."""
    db_session.connection().execute(text("SELECT pg_sleep(0.02)"))
