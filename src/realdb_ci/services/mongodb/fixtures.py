"""The MongoDB fixtures."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from realdb_ci.services.access import access
from realdb_ci.services.active import active
from realdb_ci.services.contract import Server

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.database import Database

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def mongodb_server(pytestconfig: pytest.Config) -> Server:
    """The run's MongoDB server: URL of its administrator, exact version, engine."""
    return access(pytestconfig).server("mongodb")


@pytest.fixture(scope="session")
def mongo_url(mongodb_server: Server) -> str:
    """URL (``mongodb://...``) of the run's server, a replica set of one member."""
    return mongodb_server.url


@pytest.fixture(scope="session")
def mongo_client(mongo_url: str) -> Iterator[MongoClient[dict[str, Any]]]:
    """``MongoClient`` of the run's server."""
    from pymongo import MongoClient

    client: MongoClient[dict[str, Any]]
    with MongoClient(mongo_url) as client:
        yield client


@pytest.fixture
def mongo_db(
    pytestconfig: pytest.Config, mongo_client: MongoClient[dict[str, Any]]
) -> Iterator[Database[dict[str, Any]]]:
    """Empty database that belongs to this test alone."""
    name = access(pytestconfig).database_name(f"_{next(_NUMBERS)}")
    with active.bind(mongo=mongo_client[name]):
        yield mongo_client[name]
    mongo_client.drop_database(name)
