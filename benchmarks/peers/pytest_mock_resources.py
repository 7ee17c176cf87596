"""pytest-mock-resources: a template database made once, and a clone of it for each test."""

from __future__ import annotations

import os

import pytest
from pytest_mock_resources import PostgresConfig, create_postgres_fixture
from sqlalchemy.orm import sessionmaker
from sqlmodel import Session, SQLModel

db_session = create_postgres_fixture(
    SQLModel.metadata, session=sessionmaker(class_=Session), template_database=True
)


@pytest.fixture(scope="session")
def pmr_postgres_config() -> PostgresConfig:
    """The image of the other peers, on a free port."""
    return PostgresConfig(image=os.environ["BENCH_IMAGE"], port=None)
