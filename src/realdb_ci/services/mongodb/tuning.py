"""Tuning: a server of ours waits for no disk, and soon forgets what was dropped.

The figures are those of benchmarks/mongo_isolation.py; the settings are described at
https://www.mongodb.com/docs/manual/reference/program/mongod/, .../reference/parameters/ and
.../reference/replica-configuration/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realdb_ci.errors import ServerError

if TYPE_CHECKING:
    from pymongo import MongoClient

ARGUMENTS = (
    *("--wiredTigerCacheSizeGB", "0.25"),
    # Seconds from one checkpoint to the next, see HISTORY; set later, it would begin with the 60 of the default.
    *("--syncdelay", "5"),
    # Every new client hashes the password so often; the least there is, for one that lives no longer than the run.
    *("--setParameter", "scramSHA256IterationCount=5000"),
)
# Neither a write with the default concern nor the drop of a database waits for a journal that nobody will replay.
REPLICA_SET = {"writeConcernMajorityJournalDefault": False}
# Seconds. A dropped collection keeps its files open until it is out of this window and a checkpoint has passed, by
# default 5 minutes and 1: a long suite has the server out of open files before that, and mongod ends itself.
# Servers older than 5.0 do not know the parameter.
HISTORY = "minSnapshotHistoryWindowInSeconds"
HISTORY_SECONDS = 10
# For a shell that becomes the server: as many open files as the system allows.
RAISE_LIMIT = 'ulimit -Sn "$(ulimit -Hn)"'


def apply(connected: MongoClient[dict[str, Any]]) -> dict[str, str]:
    """Set what no argument can, and read back all of it.

    Returns:
        The settings as the server has them, without those that its version does not know.

    Raises:
        ServerError: the replica set was not started by us.
    """
    admin = connected.admin
    if HISTORY in admin.command({"getParameter": "*"}):
        admin.command({"setParameter": 1, HISTORY: HISTORY_SECONDS})
    parameters = admin.command({"getParameter": "*"})
    config: dict[str, Any] = admin.command("replSetGetConfig")["config"]
    other = {name: config.get(name) for name, value in REPLICA_SET.items() if config.get(name) != value}
    if other:
        raise ServerError(
            "MongoDB did not take the settings for tests",
            why=", ".join(f"{name} is {value}" for name, value in other.items()),
            remedy="Use an image that leaves the start of the replica set to realdb-ci.",
        )
    values = {**parameters, **config}
    names = (HISTORY, "syncdelay", "scramSHA256IterationCount", *REPLICA_SET)
    return {name: str(values[name]).lower() for name in names if name in values}
