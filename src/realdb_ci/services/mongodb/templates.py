"""Templates: the seeds that a server of ours keeps, made by one process of a run for all, and for the next run.

The server lists them in a database of its own. Who comes first makes a seed under a lease, all others wait for it.
Should the maker die, or take longer than the lease, the next one makes it again, in a database with another name.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realdb_ci import __version__
from realdb_ci.services import code
from realdb_ci.services.contract import Server
from realdb_ci.services.mongodb.backup import REGISTRY, TEMPLATES
from realdb_ci.services.mongodb.seeding import Seed

if TYPE_CHECKING:
    from pymongo import MongoClient

LEASE_SECONDS = 60.0
POLL_SECONDS = 0.02
# To the image, a new server is a matter of two starts with a shell client between; as a process it takes no longer
# to start from new data than from a copy (see benchmarks/snapshots.py).
SLOW_ENGINES = ("docker",)
# What the list says of the server itself.
SERVER = "server"
_FREE = {"$expr": {"$lte": ["$until", "$$NOW"]}}


class Templates:
    """The seeds of one server of ours, as one process of a run sees them.

    Args:
        client: of the server.
        server: the server.
        built: called when something worth keeping is complete, before a test of this process has written anything.
    """

    def __init__(self, client: MongoClient[dict[str, Any]], server: Server, built: Callable[[], None]) -> None:
        self._client = client
        self._server = server
        self._built = built
        self._list = client[REGISTRY]["seeds"]
        self._begun = False

    def start(self) -> None:
        """Have the server kept as it is, with its replica set and its user, where that spares the next run time."""
        if not self._begun and self._server.engine in SLOW_ENGINES and self._claim(SERVER, "") is None:
            self._finish(SERVER, "", {})
        self._begun = True

    def seed(self, sow: Callable[[Any], object]) -> Seed | None:
        """What the function fills in, from the server if that has it; None where the caller has to call it.

        Raises:
            Exception: what the function raises.
        """
        key = fingerprint(sow, self._server.version)
        if key is None:
            self.start()
            return None
        name = f"{TEMPLATES}{key}_{secrets.token_hex(4)}"
        found = self._claim(key, name)
        if found is None:
            return self._make(key, name, sow)
        self._begun = True
        return Seed.of(self._client[found]) if found else None

    def _make(self, key: str, name: str, sow: Callable[[Any], object]) -> Seed:
        database = self._client[name]
        try:
            sow(database)
            seed = Seed.of(database)
        except BaseException:
            self._client.drop_database(name)
            self._list.delete_one({"_id": key, "name": name})
            raise
        if seed.ages:
            self._client.drop_database(name)
        self._finish(key, name, {"name": ""} if seed.ages else {})
        self._begun = True
        return seed

    def _claim(self, key: str, name: str) -> str | None:
        """Wait until it is known who makes it.

        Returns:
            None where we do, the name of the database where it is made, empty for one that nobody is to copy.
        """
        from pymongo.errors import DuplicateKeyError

        lease = {"name": name, "until": {"$add": ["$$NOW", int(LEASE_SECONDS * 1000)]}}
        while True:
            used = [{"$set": {"used": "$$NOW"}}]
            done = self._list.find_one_and_update({"_id": key, "finished": True, **_FREE}, used)
            if done is not None:
                return str(done["name"])
            with contextlib.suppress(DuplicateKeyError):
                self._list.insert_one({"_id": key})
            free = {"_id": key, "finished": {"$ne": True}, **_FREE}
            if self._list.update_one(free, [{"$set": lease}]).matched_count:
                return None
            time.sleep(POLL_SECONDS)

    def _finish(self, key: str, name: str, other: dict[str, Any]) -> None:
        """Put it on the list, have all kept, and only then let others copy it: what they write is not kept."""
        ours = {"_id": key, "name": name}
        done = self._list.update_one(ours, [{"$set": {"finished": True, "used": "$$NOW", **other}}])
        if not done.matched_count:  # another process has made it meanwhile
            self._client.drop_database(name)
            return
        try:
            if not self._begun:
                self._built()
        finally:
            self._list.update_one({"_id": key}, {"$unset": {"until": ""}})


def fingerprint(sow: Callable[..., object], version: str) -> str | None:
    """The same for two processes, and two runs, in which this function fills in the same; None where nobody knows.

    That is so of a function that a module defines: it is its code, and what ``services.code`` finds that code to
    depend on. One that is made while tests run, such as within a fixture, holds on to values that no file tells.

    Args:
        sow: the function.
        version: of the server.
    """
    plain = inspect.unwrap(sow)
    if not inspect.isfunction(plain) or plain.__name__ != plain.__qualname__:
        return None
    if plain.__globals__.get(plain.__name__) not in (sow, getattr(sow, "__wrapped__", None)):
        return None
    if not Path(inspect.getsourcefile(plain) or "").is_file():
        return None
    parts = (__version__, version, plain.__module__, plain.__name__, code.digest(plain))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
