"""What only MongoDB itself can answer, through the product's own fixtures, on both kinds of engine.

Where mongomock 4.3.0 is said to lie, it gives another answer without a complaint. What it is said to refuse raises
an error of its own, so that code which needs it cannot be tested with it at all.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from mongo_servers import Line, mongodb
from pymongo import AsyncMongoClient, MongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.client_session import ClientSession
from pymongo.collation import Collation
from pymongo.database import Database
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DuplicateKeyError,
    OperationFailure,
    WriteConcernError,
    WriteError,
)
from pymongo.write_concern import WriteConcern

Client = MongoClient[dict[str, Any]]
Db = Database[dict[str, Any]]
CASELESS = Collation("en", strength=2)


@pytest.fixture(scope="session", params=["embedded", pytest.param("docker", marks=pytest.mark.docker)])
def mongo_url(request: pytest.FixtureRequest, mirror: str) -> Iterator[str]:
    """A server of each engine in the place of the plugin's; its other fixtures build on this one."""
    with mongodb(request.param, mirror) as server:
        yield server.url


@pytest.fixture
def anyio_backend() -> str:
    """The event loop that PyMongo knows."""
    return "asyncio"


def test_transaction_commits_across_collections(mongo_client: Client, mongo_db: Db) -> None:
    """Nobody outside sees it before the commit, and all of it after. mongomock refuses sessions."""
    with mongo_client.start_session() as session:
        with session.start_transaction():
            mongo_db.orders.insert_one({"_id": 1}, session=session)
            mongo_db.stock.insert_one({"_id": "a", "left": 4}, session=session)
            assert mongo_db.orders.count_documents({}) == 0
            assert mongo_db.orders.count_documents({}, session=session) == 1
        assert mongo_db.orders.count_documents({}) == 1
        assert mongo_db.stock.find_one() == {"_id": "a", "left": 4}


def test_transaction_that_fails_leaves_nothing_in_any_collection(mongo_client: Client, mongo_db: Db) -> None:
    """An error inside aborts what came before it. mongomock refuses sessions."""
    mongo_db.stock.insert_one({"_id": "a", "left": 4})

    def order_twice(session: ClientSession) -> None:
        mongo_db.stock.update_one({"_id": "a"}, {"$inc": {"left": -1}}, session=session)
        mongo_db.orders.insert_many([{"_id": 1}, {"_id": 1}], session=session)

    with mongo_client.start_session() as session, pytest.raises(BulkWriteError, match="duplicate key"):
        session.with_transaction(order_twice)
    assert mongo_db.orders.count_documents({}) == 0
    assert mongo_db.stock.find_one() == {"_id": "a", "left": 4}


def test_second_transaction_on_a_document_conflicts(mongo_client: Client, mongo_db: Db) -> None:
    """The later writer is told to try again. mongomock refuses sessions."""
    mongo_db.stock.insert_one({"_id": "a", "left": 1})
    take = {"$inc": {"left": -1}}
    with mongo_client.start_session() as first, mongo_client.start_session() as second:
        first.start_transaction()
        second.start_transaction()
        mongo_db.stock.update_one({"_id": "a"}, take, session=first)
        with pytest.raises(OperationFailure, match="WriteConflict") as caught:
            mongo_db.stock.update_one({"_id": "a"}, take, session=second)
        assert caught.value.has_error_label("TransientTransactionError")
        first.commit_transaction()
    assert mongo_db.stock.find_one() == {"_id": "a", "left": 0}


def test_change_stream_tells_of_every_change(mongo_db: Db) -> None:
    """Insert, update and delete arrive in order with what they changed. mongomock has no watch()."""
    mongo_db.create_collection("chats")
    with mongo_db.chats.watch(full_document="updateLookup") as stream:
        mongo_db.chats.insert_one({"_id": 1, "state": "open"})
        mongo_db.chats.update_one({"_id": 1}, {"$set": {"state": "closed"}})
        mongo_db.chats.delete_one({"_id": 1})
        changes = [next(stream) for _ in range(3)]
    assert [change["operationType"] for change in changes] == ["insert", "update", "delete"]
    assert changes[0]["fullDocument"] == {"_id": 1, "state": "open"}
    assert changes[1]["updateDescription"]["updatedFields"] == {"state": "closed"}


@pytest.mark.parametrize("retries", [True, False])
def test_write_whose_answer_is_lost_is_done_once(mongo_url: str, mongo_db: Db, retries: bool) -> None:
    """The driver writes again, and the server knows that it has; without retries the caller gets the error."""
    client: Client
    with Line(mongo_url) as line, MongoClient(line.url, retryWrites=retries) as client:
        orders = client[mongo_db.name].orders
        orders.insert_one({"_id": "first"})
        line.break_after(b"paid")
        if retries:
            orders.insert_one({"state": "paid"})
        else:
            with pytest.raises(AutoReconnect):
                orders.insert_one({"state": "paid"})
    assert line.breaks == 1
    assert mongo_db.orders.count_documents({"state": "paid"}) == 1


def test_write_concern_that_nobody_can_meet_is_refused(mongo_db: Db) -> None:
    """Five copies cannot be had of one member. mongomock lies: the write is acknowledged."""
    orders = mongo_db.get_collection("orders", write_concern=WriteConcern(w=5, wtimeout=100))
    with pytest.raises(WriteConcernError, match="Not enough data-bearing nodes"):
        orders.insert_one({})


def test_lookup_joins_through_a_pipeline_of_its_own(mongo_db: Db) -> None:
    """``let`` carries fields into it. mongomock refuses ``let``."""
    mongo_db.orders.insert_many([{"_id": 1, "sku": "a", "amount": 9}, {"_id": 2, "sku": "b", "amount": 5}])
    mongo_db.stock.insert_many([{"_id": "a", "left": 4}, {"_id": "b", "left": 9}])
    enough = {"$and": [{"$eq": ["$_id", "$$sku"]}, {"$gte": ["$left", "$$amount"]}]}
    joined = mongo_db.orders.aggregate(
        [
            {
                "$lookup": {
                    "from": "stock",
                    "let": {"sku": "$sku", "amount": "$amount"},
                    "pipeline": [{"$match": {"$expr": enough}}],
                    "as": "served",
                }
            },
            {"$sort": {"_id": 1}},
        ]
    )
    assert [order["served"] for order in joined] == [[], [{"_id": "b", "left": 9}]]


def test_window_fields_run_along_a_partition(mongo_db: Db) -> None:
    """A running total for each room. mongomock does not know the stage."""
    mongo_db.chats.insert_many(
        [{"room": "a", "day": 1, "n": 2}, {"room": "b", "day": 1, "n": 10}, {"room": "a", "day": 2, "n": 5}]
    )
    window = {
        "partitionBy": "$room",
        "sortBy": {"day": 1},
        "output": {"total": {"$sum": "$n", "window": {"documents": ["unbounded", "current"]}}},
    }
    rows = mongo_db.chats.aggregate([{"$setWindowFields": window}, {"$sort": {"room": 1, "day": 1}}])
    assert [(row["room"], row["total"]) for row in rows] == [("a", 2), ("a", 7), ("b", 10)]


def test_merge_updates_what_is_there_and_inserts_the_rest(mongo_db: Db) -> None:
    """A pipeline that writes into another collection. mongomock refuses the stage."""
    mongo_db.totals.insert_one({"_id": "a", "n": 1, "note": "kept"})
    mongo_db.chats.insert_many([{"room": "a", "n": 2}, {"room": "a", "n": 3}, {"room": "b", "n": 7}])
    by_room = {"$group": {"_id": "$room", "n": {"$sum": "$n"}}}
    mongo_db.chats.aggregate([by_room, {"$merge": {"into": "totals", "whenMatched": "merge"}}])
    assert list(mongo_db.totals.find(sort={"_id": 1})) == [
        {"_id": "a", "n": 5, "note": "kept"},
        {"_id": "b", "n": 7},
    ]


def test_expressions_in_an_array_are_computed(mongo_db: Db) -> None:
    """Computed by the server. mongomock lies: it returns the expressions themselves."""
    mongo_db.chats.insert_one({"_id": 1, "n": 1})
    pipeline = [{"$project": {"pair": ["$n", {"$add": ["$n", 1]}]}}]
    assert list(mongo_db.chats.aggregate(pipeline)) == [{"_id": 1, "pair": [1, 2]}]


def test_text_index_finds_words_by_their_stem(mongo_db: Db) -> None:
    """The language of the index counts, and the score orders. mongomock refuses ``$text``."""
    mongo_db.chats.create_index({"text": "text"}, default_language="english")
    mongo_db.chats.insert_many(
        [
            {"_id": 1, "text": "the cat sleeps"},
            {"_id": 2, "text": "cats, cats and cats"},
            {"_id": 3, "text": "a dog"},
        ]
    )
    score = {"score": {"$meta": "textScore"}}
    found = mongo_db.chats.find({"$text": {"$search": "cat"}}, score).sort(score)
    assert [chat["_id"] for chat in found] == [2, 1]
    with pytest.raises(OperationFailure, match="text index required"):
        list(mongo_db.orders.find({"$text": {"$search": "cat"}}))


def test_geo_index_finds_what_is_near(mongo_db: Db) -> None:
    """Distances on the globe, in metres. mongomock refuses ``$near`` and ``$geoNear``."""
    mongo_db.shops.create_index({"place": "2dsphere"})
    places = {"Berlin": [13.40, 52.52], "Potsdam": [13.06, 52.40], "Paris": [2.35, 48.86]}
    mongo_db.shops.insert_many(
        {"_id": name, "place": {"type": "Point", "coordinates": place}} for name, place in places.items()
    )
    berlin = {"type": "Point", "coordinates": places["Berlin"]}
    near = mongo_db.shops.find({"place": {"$near": {"$geometry": berlin, "$maxDistance": 50_000}}})
    assert [shop["_id"] for shop in near] == ["Berlin", "Potsdam"]
    stage = {"$geoNear": {"near": berlin, "distanceField": "metres", "key": "place"}}
    metres = {shop["_id"]: shop["metres"] for shop in mongo_db.shops.aggregate([stage])}
    assert list(metres) == ["Berlin", "Potsdam", "Paris"]
    assert 870_000 < metres["Paris"] < 890_000


def test_unique_index_names_what_is_taken_twice(mongo_db: Db) -> None:
    """The error tells key and value. mongomock lies: its error has no details."""
    mongo_db.users.create_index("email", unique=True)
    mongo_db.users.insert_one({"email": "ann@example.org"})
    with pytest.raises(DuplicateKeyError) as caught:
        mongo_db.users.insert_one({"email": "ann@example.org"})
    assert caught.value.details is not None
    assert caught.value.details["keyValue"] == {"email": "ann@example.org"}


@pytest.mark.parametrize(
    ("options", "first", "second"),
    [({"collation": CASELESS}, "Ann", "ANN"), ({}, ["a", "b"], ["b", "c"])],
    ids=["another case", "one element in common"],
)
def test_unique_index_sees_more_than_equal_values(
    mongo_db: Db, options: dict[str, Any], first: object, second: object
) -> None:
    """Under a collation, and inside of arrays. mongomock lies: it takes both documents."""
    mongo_db.users.create_index("name", unique=True, **options)
    mongo_db.users.insert_one({"name": first})
    with pytest.raises(DuplicateKeyError):
        mongo_db.users.insert_one({"name": second})


def test_two_arrays_do_not_fit_into_one_index(mongo_db: Db) -> None:
    """The server refuses the document. mongomock lies: it takes it."""
    mongo_db.users.create_index({"roles": 1, "tags": 1})
    with pytest.raises(WriteError, match="cannot index parallel arrays"):
        mongo_db.users.insert_one({"roles": ["a"], "tags": ["b"]})


def test_expired_document_stays_until_the_server_comes_for_it(mongo_db: Db) -> None:
    """The TTL index is as declared, and works once a minute. mongomock lies: it hides such documents at once."""
    mongo_db.sessions.create_index("at", expireAfterSeconds=1)
    mongo_db.sessions.insert_one({"at": datetime(2020, 1, 1, tzinfo=UTC)})
    assert mongo_db.sessions.index_information()["at_1"]["expireAfterSeconds"] == 1
    assert mongo_db.sessions.count_documents({}) == 1


def test_collation_decides_what_is_equal_and_what_comes_first(mongo_db: Db) -> None:
    """By a language's rules. mongomock lies about equality, and fails to sort."""
    mongo_db.users.insert_many([{"_id": name} for name in ("b", "C", "a")])
    assert mongo_db.users.find_one({"_id": "B"}, collation=CASELESS) == {"_id": "b"}
    names = mongo_db.users.find().sort({"_id": 1}).collation(CASELESS)
    assert [user["_id"] for user in names] == ["a", "b", "C"]


def test_schema_is_enforced_by_the_server(mongo_db: Db) -> None:
    """A document against the ``$jsonSchema`` is refused with what is wrong. mongomock refuses validators."""
    schema = {"required": ["name"], "properties": {"age": {"bsonType": "int", "minimum": 0}}}
    mongo_db.create_collection("users", validator={"$jsonSchema": schema})
    mongo_db.users.insert_one({"name": "ann", "age": 7})
    with pytest.raises(WriteError, match="failed validation") as caught:
        mongo_db.users.insert_one({"name": "bob", "age": -1})
    assert caught.value.details is not None
    rules = caught.value.details["errInfo"]["details"]["schemaRulesNotSatisfied"]
    assert rules[0]["propertiesNotSatisfied"][0]["propertyName"] == "age"


def test_array_filters_change_the_elements_they_match(mongo_db: Db) -> None:
    """And leave the others as they are. mongomock refuses them."""
    mongo_db.chats.insert_one({"_id": 1, "messages": [{"n": 1}, {"n": 5}, {"n": 9}]})
    mongo_db.chats.update_one(
        {"_id": 1}, {"$set": {"messages.$[long].read": True}}, array_filters=[{"long.n": {"$gte": 5}}]
    )
    assert mongo_db.chats.find_one() == {
        "_id": 1,
        "messages": [{"n": 1}, {"n": 5, "read": True}, {"n": 9, "read": True}],
    }


def test_update_that_contradicts_itself_is_refused(mongo_db: Db) -> None:
    """Two operators on one path. mongomock lies: it applies both."""
    mongo_db.chats.insert_one({"_id": 1, "n": 1})
    with pytest.raises(WriteError, match="would create a conflict at 'n'"):
        mongo_db.chats.update_one({"_id": 1}, {"$set": {"n": 5}, "$inc": {"n": 1}})


@pytest.mark.anyio
async def test_async_client_has_transactions_and_change_streams(
    anyio_backend: str,
    async_mongo_client: AsyncMongoClient[dict[str, Any]],
    async_mongo_db: AsyncDatabase[dict[str, Any]],
) -> None:
    """PyMongo's own async API, against the same server. mongomock has none."""
    await async_mongo_db.create_collection("orders")
    async with await async_mongo_db.orders.watch() as stream:
        async with async_mongo_client.start_session() as session, await session.start_transaction():
            await async_mongo_db.orders.insert_one({"_id": 1}, session=session)
            await async_mongo_db.stock.insert_one({"_id": "a"}, session=session)
        async with async_mongo_client.start_session() as session:
            await session.start_transaction()
            await async_mongo_db.orders.insert_one({"_id": 2}, session=session)
            await session.abort_transaction()
        await async_mongo_db.orders.insert_one({"_id": 3})
        changes = [await stream.next() for _ in range(2)]
    assert [change["documentKey"]["_id"] for change in changes] == [1, 3]
    assert await async_mongo_db.stock.count_documents({}) == 1
