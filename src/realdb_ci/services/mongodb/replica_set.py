"""The replica set of one member that every server of ours is, so that transactions and change streams work."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from realdb_ci.errors import ServerError
from realdb_ci.services.mongodb import tuning

if TYPE_CHECKING:
    from pymongo import MongoClient

NAME = "realdb"
ELECTION_SECONDS = 20.0
ALREADY_INITIATED = 23


def client(url: str, seconds: float) -> MongoClient[dict[str, Any]]:
    """A client that gives up after ``seconds`` without a server."""
    from pymongo import MongoClient

    wait = int(seconds * 1000)
    return MongoClient(url, serverSelectionTimeoutMS=wait, connectTimeoutMS=wait)


def own_port(connected: MongoClient[dict[str, Any]]) -> int:
    """The port the server itself listens on, which a published port differs from."""
    options = connected.admin.command("getCmdLineOpts")["parsed"]
    return int(options.get("net", {}).get("port", 27017))


def initiate(connected: MongoClient[dict[str, Any]], port: int) -> None:
    """Make the server a replica set of one, unless it is one, and wait until it takes writes."""
    from pymongo.errors import OperationFailure

    members = [{"_id": 0, "host": _host(port)}]
    try:
        connected.admin.command("replSetInitiate", {"_id": NAME, "members": members, **tuning.REPLICA_SET})
    except OperationFailure as problem:
        if problem.code != ALREADY_INITIATED:
            raise
    _elected(connected)


def move(connected: MongoClient[dict[str, Any]], port: int) -> None:
    """Tell a server with another one's data that it is the member they speak of; wait until it takes writes.

    Raises:
        ServerError: they speak of others.
    """
    config: dict[str, Any] = connected.admin.command("replSetGetConfig")["config"]
    if len(config["members"]) != 1:
        raise ServerError("These data are of a replica set of several members", why="ours have one")
    if config["members"][0]["host"] != _host(port):
        config["members"][0]["host"] = _host(port)
        # The member is not in the old configuration, so it is no primary, whom others would have to ask.
        connected.admin.command("replSetReconfig", config | {"version": config["version"] + 1}, force=True)
    _elected(connected)


def tell_times(connected: MongoClient[dict[str, Any]]) -> None:
    """Wait until a server with another one's data tells the time of each write, which causal sessions live on.

    It tells none before it has read the keys to sign them with. It looks for those as it becomes primary, often a
    moment before they can be read, and by itself would look again after up to 600 ms. A time signed by a key that
    it has not seen makes it look at once; it does not believe that time.

    Args:
        connected: not earlier than the server was primary, as it has no sessions before.
    """
    from bson import Binary, Int64, Timestamp
    from pymongo.errors import OperationFailure

    deadline = time.monotonic() + ELECTION_SECONDS
    while "operationTime" not in (hello := connected.admin.command("hello")) and time.monotonic() < deadline:
        later = Timestamp(hello["lastWrite"]["opTime"]["ts"].time + 3600, 1)
        with connected.start_session() as session, contextlib.suppress(OperationFailure):
            session.advance_cluster_time(
                {"clusterTime": later, "signature": {"hash": Binary(bytes(20)), "keyId": Int64(1)}}
            )
            connected.admin.command("ping", session=session)


def _host(port: int) -> str:
    """The server's own view of its address; our URLs connect directly and never read it."""
    return f"127.0.0.1:{port}"


def _elected(connected: MongoClient[dict[str, Any]]) -> None:
    deadline = time.monotonic() + ELECTION_SECONDS
    while not connected.admin.command("hello").get("isWritablePrimary"):
        if time.monotonic() > deadline:
            raise ServerError(
                "MongoDB's replica set elected no primary",
                why=f"its only member was not writable after {ELECTION_SECONDS:g} s",
                remedy="Look at the server's log; a full disk is the usual cause.",
            )
        time.sleep(0.01)
