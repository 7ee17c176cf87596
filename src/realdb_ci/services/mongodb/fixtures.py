"""The MongoDB fixtures."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from realdb_ci.services import asynchronous
from realdb_ci.services.access import access
from realdb_ci.services.active import active
from realdb_ci.services.contract import Server

if TYPE_CHECKING:
    from pymongo import AsyncMongoClient, MongoClient
    from pymongo.asynchronous.database import AsyncDatabase
    from pymongo.database import Database

    from realdb_ci.services.mongodb.copies import AsyncSow, Sow
    from realdb_ci.services.mongodb.databases import Databases

    Document = dict[str, Any]

pytest_plugins = ["realdb_ci.services.asynchronous"]


@pytest.fixture(scope="session")
def mongodb_server(pytestconfig: pytest.Config) -> Server:
    """The run's MongoDB server: URL of its administrator, exact version, engine."""
    return access(pytestconfig).server("mongodb")


@pytest.fixture(scope="session")
def mongo_url(mongodb_server: Server) -> str:
    """URL (``mongodb://...``) of the run's server, a replica set of one member."""
    return mongodb_server.url


@pytest.fixture(scope="session")
def mongo_client(mongo_url: str) -> Iterator[MongoClient[Document]]:
    """``MongoClient`` of the run's server; a test may close it, and the next one finds it open."""
    from pymongo import MongoClient

    client: MongoClient[Document]
    with MongoClient(mongo_url) as client:
        # An application that shuts down closes what it was given, and all tests have the same.
        client.close = lambda: None  # type: ignore[method-assign]
        yield client
        del client.close


@pytest.fixture(scope="session")
def _mongo_databases(request: pytest.FixtureRequest, mongo_client: MongoClient[Document]) -> Iterator[Databases]:
    """The databases of this test process's tests."""
    from realdb_ci.services.mongodb.databases import Databases
    from realdb_ci.services.mongodb.templates import Templates

    plugin = access(request.config)
    # A client without our server behind it is the project's own, and its server outlives us.
    server = request.getfixturevalue("mongodb_server") if "mongodb_server" in request.fixturenames else None
    templates = None
    if server is not None and server.owned:
        templates = Templates(mongo_client, server, lambda: plugin.finished("mongodb"))
    databases = Databases(mongo_client, plugin.database_name, owned=templates is not None, templates=templates)
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def mongo_seed() -> Sow | AsyncSow | None:
    """Override it with the function that fills each test's ``mongo_db``.

    Such as your application's own that makes its indexes. It gets a ``Database``, or an ``AsyncDatabase`` where it
    is async. A function of a module is called once in a run, and not at all where a snapshot has what it filled in;
    one that is made within a fixture is called once in each test process.
    """
    return None


@pytest.fixture
def mongo_db(
    request: pytest.FixtureRequest, _mongo_databases: Databases, mongo_seed: Sow | AsyncSow | None
) -> Iterator[Database[Document]]:
    """Database that belongs to this test alone; empty, or as ``mongo_seed`` fills it."""
    sow: Any = mongo_seed
    if inspect.iscoroutinefunction(sow):
        from realdb_ci.services.mongodb.copies import blocking

        sow = blocking(sow, request.getfixturevalue("mongo_url"))
    with access(request.config).step("seed", "mongodb") if sow else contextlib.nullcontext():
        database = _mongo_databases.take(sow)
    with active.bind(mongo=database):
        yield database
    _mongo_databases.give_back(database, request.node.name)


@asynchronous.fixture
async def async_mongo_client(mongo_url: str) -> AsyncIterator[AsyncMongoClient[Document]]:
    """PyMongo's ``AsyncMongoClient`` of the run's server, in the event loop of the test."""
    from pymongo import AsyncMongoClient

    client: AsyncMongoClient[Document]
    async with AsyncMongoClient(mongo_url) as client:
        yield client


@asynchronous.fixture
async def async_mongo_db(
    mongo_db: Database[Document], async_mongo_client: AsyncMongoClient[Document]
) -> AsyncIterator[AsyncDatabase[Document]]:
    """The same database as ``mongo_db``, for PyMongo's async API.

    Factories, which do not await, write to it through ``mongo_db``.
    """
    yield async_mongo_client[mongo_db.name]
