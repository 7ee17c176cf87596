"""Backup: how the data of a MongoDB server are copied for the next run, and what of a copy is believed.

A copy is what WiredTiger calls a backup: while ``fsyncLock`` holds the server still, ``WiredTiger.backup`` tells in
plain text of all files that belong to it (https://source.wiredtiger.com/develop/backup.html). The journal is left
out: behind the checkpoint of the lock there is nothing in it, and it takes hundreds of megabytes however empty.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from realdb_ci.services.mongodb import replica_set
from realdb_ci.services.recipes import Backup

# What the names of databases with finished seeds start with, and the database that lists them.
TEMPLATES = "realdb_template_"
REGISTRY = "realdb_templates"
# Seeds that a snapshot holds on to, for whoever goes back and forth between branches.
TEMPLATES_KEPT = 6
SYSTEM = ("admin", "config", "local")
DESCRIPTION = "WiredTiger.backup"
_DATA = r"[A-Za-z0-9_-]+\.wt"
_FILES = re.compile(rf"WiredTiger|{re.escape(DESCRIPTION)}|storage\.bson|{_DATA}")
# The lock has described it in the text above.
_METADATA = "WiredTiger.wt"
_SPECIAL = re.compile(rb"[/\\]|\.\.")


def of(folder: str, user: str) -> Backup:
    """The backup of a server of ours.

    Args:
        folder: its data folder.
        user: its administrator.
    """
    # Linux and macOS have tar; the official image, too.
    chosen = f"tar -cf - --exclude={_METADATA} WiredTiger {DESCRIPTION} storage.bson *.wt"
    command = ("sh", "-c", f"cd {shlex.quote(folder)} && exec {chosen}")

    def adopt(url: str, secret: str) -> None:
        _adopt(url, user, secret)

    def unfit(url: str) -> str:
        return _unfit(url, user)

    return Backup(command, unfit, adopt, {DESCRIPTION: _description}, _is_known, still)


def restore(folder: str) -> str:
    """Shell words for a container; the image's own entry point takes a folder with data as it is."""
    return f"""
mkdir -p {folder}
tar -xf - -C {folder}
if [ "$(id -u)" = 0 ]; then chown -R mongodb {folder}; fi
"""


@contextlib.contextmanager
def still(url: str) -> Iterator[None]:
    """Have the server write down all it knows, and nothing more until the end of the body."""
    from pymongo.errors import OperationFailure

    with replica_set.client(url, 10) as connected:
        try:
            connected.admin.command("fsync", lock=True)
            yield
        finally:
            with contextlib.suppress(OperationFailure):  # it was not locked
                connected.admin.command("fsyncUnlock")


def _unfit(url: str, user: str) -> str:
    """Why the data of this server may not be kept, empty where they may: all they hold is seeds."""
    with replica_set.client(url, 10) as connected:
        users = connected.admin.command({"usersInfo": {"forAllDBs": True}})["users"]
        others = [f"the seed makes the user {one['user']}" for one in users if one["_id"] != f"admin.{user}"]
        others += [f"the seed makes the role {one}" for one in _roles(connected)]
        names = connected.list_database_names()
        if any(name not in (*SYSTEM, REGISTRY) and not name.startswith(TEMPLATES) for name in names):
            others.append("tests have begun on this server")
    return "".join(others[:1])


def _roles(connected: Any) -> list[str]:
    found = connected.admin["system.roles"].find({}, {"role": 1})
    return [str(one["role"]) for one in found]


def _adopt(url: str, user: str, secret: str) -> None:
    """Make an earlier run's server this one's: its address, its only user and password, its latest whole seeds."""
    with replica_set.client(url, 10) as early:
        replica_set.move(early, replica_set.own_port(early))
    with replica_set.client(url, 10) as connected:
        replica_set.tell_times(connected)
        for one in connected.admin.command({"usersInfo": {"forAllDBs": True}})["users"]:
            if one["_id"] != f"admin.{user}":
                connected[one["db"]].command("dropUser", one["user"])
        registry = connected[REGISTRY]["seeds"]
        registry.delete_many({"finished": {"$ne": True}})
        registry.update_many({}, {"$unset": {"until": ""}})
        seeds = [*registry.find({"name": {"$exists": True}}).sort("used", -1)]
        registry.delete_many({"_id": {"$in": [one["_id"] for one in seeds[TEMPLATES_KEPT:]]}})
        whole = {one["name"] for one in seeds[:TEMPLATES_KEPT]}
        for name in connected.list_database_names():
            if name not in {*SYSTEM, REGISTRY, *whole}:
                connected.drop_database(name)
        # The last of all: our connection is the old password's.
        connected.admin.command("updateUser", urlsplit(url).username, pwd=secret)


def _is_known(name: str) -> bool:
    """Whether a copy has such a file: none of those that configure WiredTiger, which could load libraries."""
    return bool(_FILES.fullmatch(name)) and name != _METADATA


def _description(text: bytes) -> bytes:
    """The same text, if no file that it names is elsewhere; a legitimate one has no path in it at all."""
    if _SPECIAL.search(text):
        raise ValueError("it speaks of files elsewhere")
    return text
