"""Seeds of MongoDB: every test begins with the same, whatever the one before it did."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pymongo
import pytest
from bson import Binary, Int64, ObjectId
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mongo_servers import mongodb
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import PyMongoError

from realdb_ci.services.contract import Server
from realdb_ci.services.mongodb.databases import Databases

Db = Database[dict[str, Any]]
Client = pymongo.MongoClient[dict[str, Any]]
Run = Callable[..., pytest.RunResult]
ARGUMENTS = ("-p", "realdb_ci", "-p", "no:cacheprovider", "-W", "error", "--strict-markers")
RAW: CodecOptions[Any] = CodecOptions(RawBSONDocument)
SCHEMA = {"$jsonSchema": {"required": ["email"]}}


UUID_AS_BINARY = Binary.from_uuid(UUID("12345678-1234-5678-1234-567812345678"))


def sow(database: Db) -> None:
    """Collections of all kinds, with documents whose type and order have to be kept."""
    database.create_collection("users", collation={"locale": "en", "strength": 2})
    database.users.create_index("email", unique=True)
    database.users.insert_many([{"_id": name, "email": f"{name}@example.org", "n": 1} for name in ("c", "a", "b")])
    # Older than its validator, which it would not pass.
    database.logs.insert_one(
        {"_id": {"day": 1, "hour": 2}, "big": Int64(1), "at": datetime(2020, 1, 1, tzinfo=UTC)}
    )
    database.command("collMod", "logs", validator=SCHEMA)
    database.logs.create_index("at", expireAfterSeconds=10**9, partialFilterExpression={"big": {"$gt": 0}})
    database.create_collection("empty")
    database.create_collection("recent", capped=True, size=4096)
    database.recent.insert_one({"_id": 1})
    database.create_collection("adults", viewOn="users", pipeline=[{"$match": {"n": 1}}])


def content(database: Db) -> dict[str, Any]:
    """All that can be seen of a database, to the byte."""
    seen: dict[str, Any] = {}
    for found in database.list_collections():
        if found["name"] != "system.views":
            collection = database.get_collection(found["name"], codec_options=RAW)
            indexes = list(database[found["name"]].list_indexes()) if found["type"] == "collection" else []
            seen[found["name"]] = (found["options"], indexes, [one.raw for one in collection.find()])
    return seen


@pytest.fixture(scope="session", params=["embedded", pytest.param("docker", marks=pytest.mark.docker)])
def server(request: pytest.FixtureRequest, mirror: str) -> Iterator[Server]:
    """A server of each engine."""
    with mongodb(request.param, mirror) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    """Its administrator."""
    client: Client
    with pymongo.MongoClient(server.url) as client:
        yield client


@pytest.fixture
def databases(client: Client) -> Iterator[Databases]:
    """What lends databases to tests."""
    made = Databases(client, f"realdb_{ObjectId()}{{}}".format, owned=True)
    yield made
    made.close()


def in_transaction(database: Db, *, commits: bool) -> None:
    """Changes to three collections, one of them new."""
    with database.client.start_session() as session:
        session.start_transaction()
        database.users.update_one({"_id": "a"}, {"$inc": {"n": 1}}, session=session)
        database.users.insert_one({"_id": "d", "email": "d@example.org"}, session=session)
        database.empty.insert_one({"_id": 1}, session=session)
        database.other.insert_one({"_id": 1}, session=session)
        if commits:
            session.commit_transaction()
        else:
            session.abort_transaction()


def many(database: Db) -> None:
    """More than one message can carry, in one transaction too."""
    database.empty.insert_many([{"_id": number, "text": "x" * 1000} for number in range(3000)])
    with database.client.start_session() as session, session.start_transaction():
        database.empty.update_many({}, {"$set": {"text": "y" * 6000}}, session=session)


def unusual_ids(database: Db) -> None:
    """Ids that are equal in Python and not in MongoDB, and one that Python cannot hold."""
    values = [1, True, "1", b"1", None, {"b": 1, "a": 2}, {"a": 2, "b": 1}, UUID_AS_BINARY]
    database.empty.insert_many([{"_id": value} for value in values])
    database.empty.update_many({}, {"$set": {"n": 1}})
    database.logs.update_one({"_id": {"day": 1, "hour": 2}}, {"$set": {"email": "x"}})
    far = {"$project": {"_id": {"$toDate": Int64(2**60)}}}
    database.users.aggregate([{"$limit": 1}, far, {"$merge": "empty"}])


MENDED: dict[str, Callable[[Db], object]] = {
    "nothing": lambda _: None,
    "reading": content,
    "insert": lambda db: db.users.insert_one({"email": "d@example.org"}),
    "update": lambda db: db.users.update_one({"_id": "a"}, {"$set": {"n": Int64(1)}, "$unset": {"email": ""}}),
    "replace": lambda db: db.users.replace_one({"_id": "a"}, {"email": "x" * 10_000}),
    "update of all": lambda db: db.users.update_many({}, {"$inc": {"n": 1}}),
    "upsert": lambda db: db.users.update_one({"_id": "d"}, {"$set": {"n": 1}}, upsert=True),
    "find and modify": lambda db: db.users.find_one_and_update({"_id": "a"}, {"$inc": {"n": 1}}),
    "insert and delete": lambda db: (db.empty.insert_one({"_id": 1}), db.empty.delete_one({"_id": 1})),
    "merge": lambda db: db.users.aggregate([{"$set": {"n": 9}}, {"$merge": "users"}]),
    "transaction": lambda db: in_transaction(db, commits=True),
    "aborted transaction": lambda db: in_transaction(db, commits=False),
    "many": many,
    "unusual ids": unusual_ids,
    "new collection": lambda db: (db.other.create_index("n"), db.other.insert_one({"n": 1})),
    "new collection, dropped": lambda db: (db.other.insert_one({"n": 1}), db.drop_collection("other")),
}
MADE_AGAIN: dict[str, Callable[[Db], object]] = {
    "delete": lambda db: db.users.delete_one({"_id": "c"}),
    "delete and insert": lambda db: (db.users.delete_many({}), db.users.insert_one({"_id": "c"})),
    "swapped unique values": lambda db: (
        db.users.update_one({"_id": "a"}, {"$set": {"email": "x"}}),
        db.users.update_one({"_id": "b"}, {"$set": {"email": "a@example.org"}}),
        db.users.update_one({"_id": "a"}, {"$set": {"email": "b@example.org"}}),
    ),
    "capped collection": lambda db: db.recent.insert_one({}),
    "new index": lambda db: db.users.create_index("n"),
    "dropped index": lambda db: db.users.drop_indexes(),
    "dropped collection": lambda db: db.drop_collection("users"),
    "renamed collection": lambda db: db.users.rename("people"),
    "replaced collection": lambda db: db.logs.aggregate([{"$out": "users"}]),
    "new collection by a pipeline": lambda db: db.users.aggregate([{"$out": "other"}]),
    "other validator": lambda db: db.command("collMod", "logs", validator={}),
    "new view": lambda db: db.create_collection("children", viewOn="users", pipeline=[]),
    "dropped database": lambda db: db.client.drop_database(db.name),
}


def _after(databases: Databases, change: Callable[[Db], object]) -> tuple[Db, Db, dict[str, Any]]:
    """The database a test changed, the one that comes of it, and what the first held before the test."""
    used = databases.take(sow)
    before = content(used)
    change(used)
    databases.give_back(used)
    databases.take(sow)  # the other one of the two that take turns
    return used, databases.take(sow), before


@pytest.mark.parametrize("change", MENDED.values(), ids=MENDED)
def test_database_that_was_written_to_is_mended(databases: Databases, change: Callable[[Db], object]) -> None:
    """The same database comes again, and nothing in it tells what the test did."""
    used, again, before = _after(databases, change)
    assert again.name == used.name
    assert content(again) == before


@pytest.mark.parametrize("change", MADE_AGAIN.values(), ids=MADE_AGAIN)
def test_database_that_cannot_be_mended_is_made_again(
    databases: Databases, client: Client, change: Callable[[Db], object]
) -> None:
    """Another database comes in its place and holds the same; the old one goes."""
    used, again, before = _after(databases, change)
    assert again.name != used.name
    assert content(again) == before
    databases.give_back(again)
    databases.take(sow)  # after what the background had to do before
    assert used.name not in client.list_database_names()


def steps(kinds: list[str]) -> st.SearchStrategy[list[tuple[str, str, str, int]]]:
    """Writes of these kinds."""
    names, ids = st.sampled_from(["users", "users", "empty", "other"]), st.sampled_from("abcde")
    return st.lists(st.tuples(st.sampled_from(kinds), names, ids, st.integers(0, 3)), max_size=12)


# With deletes a database is seldom mended.
MENDABLE = ["insert_one", "replace_one", "upsert", "update_one", "update_many"]
STEPS = steps(MENDABLE) | steps([*MENDABLE, "delete_one"])


def take_step(database: Db, step: tuple[str, str, str, int], session: ClientSession | None = None) -> None:
    """One write, whose value may collide with another document's."""
    what, name, _id, number = step
    collection = database[name]
    change = {"$set": {"n": number, "email": f"{_id if number else 'a'}@example.org"}}
    match what:
        case "insert_one":
            collection.insert_one({"_id": _id, "email": _id * 2, "n": number}, session=session)
        case "replace_one":
            collection.replace_one({"_id": _id}, {"email": number}, session=session)
        case "upsert":
            collection.update_one({"_id": _id}, change, upsert=True, session=session)
        case "update_one":
            collection.update_one({"n": number}, change, session=session)
        case "update_many":
            collection.update_many({"_id": {"$lte": _id}}, {"$inc": {"n": number}}, session=session)
        case "delete_one":
            collection.delete_one({"_id": _id}, session=session)


# PyMongo's own threads draw random numbers at any time, which Hypothesis takes for something that strategies do.
@pytest.mark.filterwarnings("ignore:Do not use the .random. module:hypothesis.errors.HypothesisDeprecationWarning")
@given(steps=STEPS, at_once=st.booleans())
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_writes_leave_a_trace(
    databases: Databases, steps: list[tuple[str, str, str, int]], at_once: bool
) -> None:
    """Whatever a test inserts, updates and deletes, alone or in a transaction, the next ones begin as it did."""
    database = databases.take(sow)
    before = content(database)
    if at_once:
        with suppress(PyMongoError), database.client.start_session() as session, session.start_transaction():
            for step in steps:
                take_step(database, step, session)
    else:
        for step in steps:
            with suppress(PyMongoError):
                take_step(database, step)
    databases.give_back(database)
    for _ in range(2):
        following = databases.take(sow)
        assert content(following) == before
        databases.give_back(following)


def test_server_of_the_user_keeps_nothing(client: Client) -> None:
    """There every test has a copy of its own, as the oplog need not be there to read, and all are dropped."""
    databases = Databases(client, "realdb_given{}".format, owned=False)
    names = set()
    for number in range(4):
        database = databases.take(sow)
        database.users.insert_one({"_id": number, "email": number})
        assert database.users.count_documents({}) == 4
        names.add(database.name)
        databases.give_back(database)
    databases.close()
    assert len(names) == 4
    assert not [name for name in client.list_database_names() if name.startswith("realdb_given")]


def test_seed_that_fails_is_the_error_of_the_test_and_leaves_nothing(client: Client) -> None:
    """The function's own exception comes through, and its database goes."""

    def fail(database: Db) -> None:
        database.users.insert_one({})
        raise ZeroDivisionError

    databases = Databases(client, "realdb_failed{}".format, owned=False)
    with pytest.raises(ZeroDivisionError):
        databases.take(fail)
    databases.close()
    assert not [name for name in client.list_database_names() if name.startswith("realdb_failed")]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a test module in a pytest process that has our plugin and those that are named."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def _run(test: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(test_it=test)
        return pytester.runpytest_subprocess(*ARGUMENTS, *arguments)

    return _run


SUITE = """
from pathlib import Path
import pytest

def create_indexes(db):
    with Path(__file__).with_name("calls.txt").open("a") as file:
        file.write("called\\n")
    db.users.create_index("email", unique=True)
    db.users.insert_one({"email": "root@example.org"})

@pytest.fixture(scope="session")
def mongo_seed():
    return create_indexes

@pytest.mark.parametrize("turn", range(6))
def test_seeded(mongo_db, turn):
    assert [user["email"] for user in mongo_db.users.find()] == ["root@example.org"]
    assert "email_1" in mongo_db.users.index_information()
    mongo_db.users.insert_one({"email": "ann@example.org"})

class TestOthers:
    @pytest.fixture
    def mongo_seed(self):
        return None

    def test_empty(self, mongo_db):
        assert mongo_db.list_collection_names() == []

def test_seeded_after_empty(mongo_db):
    assert mongo_db.users.count_documents({}) == 1
"""


ASYNC_SUITE = """
import pytest

calls = []

async def create_indexes(db):
    calls.append(db.name)
    await db.users.create_index("email", unique=True)
    await db.users.insert_one({"email": "root@example.org"})

@pytest.fixture(scope="session")
def mongo_seed():
    return create_indexes

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.parametrize("turn", range(3))
@pytest.mark.anyio
async def test_async(async_mongo_db, turn):
    assert await async_mongo_db.users.count_documents({}) == 1
    await async_mongo_db.users.insert_one({"email": "ann@example.org"})
    assert len(calls) == 1

def test_blocking(mongo_db):
    assert mongo_db.users.count_documents({}) == 1
"""


def test_seed_may_be_async(run: Run, server: Server) -> None:
    """An application's async function serves as it is, for async tests and others."""
    run(ASYNC_SUITE, "-p", "anyio", f"--realdb-engine={server.engine}").assert_outcomes(passed=4)


@pytest.mark.parametrize("arguments", [(), ("-p", "xdist", "-n", "2")], ids=["alone", "parallel"])
@pytest.mark.parametrize("is_given", [False, True], ids=["of ours", "given"])
def test_project_names_its_seed_in_a_fixture(
    run: Run, pytester: pytest.Pytester, server: Server, is_given: bool, arguments: tuple[str, ...]
) -> None:
    """``mongo_seed`` holds for where it is defined; its function runs once, on a given server in each process."""
    choice = f"--realdb-service=mongodb={server.url}" if is_given else f"--realdb-engine={server.engine}"
    run(SUITE, choice, *arguments).assert_outcomes(passed=8)
    calls = len((pytester.path / "calls.txt").read_text().splitlines())
    assert calls == (2 if is_given and arguments else 1)
