"""Tests that do nothing but query, as a suite does whose time goes into its database."""

from __future__ import annotations

import os

import pytest
from sqlmodel import Session, select
from warehouse import MODELS

TESTS = int(os.environ["BENCH_TESTS"])
QUERIES = 50


@pytest.mark.parametrize("number", range(TESTS))
def test_queries(db_session: Session, number: int) -> None:
    """Fifty statements of ten shapes from two lines, by the ORM."""
    for turn in range(QUERIES):
        model = MODELS[turn % 10]
        assert db_session.exec(select(model).where(model.label == f"{number} {turn}")).all() == []
