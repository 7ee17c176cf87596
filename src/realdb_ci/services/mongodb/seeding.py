"""Seeds: what a project's databases hold before a test, and the undoing of what a test wrote into one.

Making a filled database anew costs tens of milliseconds whichever way it is done, most of them for its collections
and indexes. Undoing a test's writes costs a few, whatever the size of the seed (see benchmarks/mongo_isolation.py).
What it wrote stands in the server's oplog, with the ``_id`` of every document.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bson.codec_options import CodecOptions
    from bson.raw_bson import RawBSONDocument
    from bson.timestamp import Timestamp
    from pymongo.collection import Collection
    from pymongo.database import Database


@dataclass(frozen=True)
class Part:
    """One collection or view.

    Attributes:
        options: as the command ``create`` takes them.
        indexes: beside that of ``_id``, as the command ``createIndexes`` takes them.
        documents: in the collection's order, each under its ``_id`` as BSON.
    """

    options: dict[str, Any]
    indexes: list[dict[str, Any]]
    documents: dict[bytes, RawBSONDocument]


@dataclass
class Writes:
    """What a test did to a database.

    Attributes:
        changed: collection to the documents that are new or other: ``_id`` as BSON to ``_id``.
        created: collections that were not there.
        is_undoable: whether that is all. Deleted documents, for one, would come back in another place.
    """

    changed: dict[str, dict[bytes, Any]] = field(default_factory=dict)
    created: set[str] = field(default_factory=set)
    is_undoable: bool = True


@dataclass(frozen=True)
class Seed:
    """A database's content, in this process's memory.

    Attributes:
        parts: collection or view by name.
    """

    parts: dict[str, Part]

    @property
    def ages(self) -> bool:
        """Whether the server itself removes documents of it with time."""
        lifetime = "expireAfterSeconds"
        return any(
            lifetime in part.options or any(lifetime in index for index in part.indexes)
            for part in self.parts.values()
        )

    @classmethod
    def of(cls, database: Database[dict[str, Any]]) -> Seed:
        """Read all of it, indexes and options too."""
        found = sorted(database.list_collections(), key=lambda one: one["type"] == "view")
        return cls({one["name"]: _read(database, one) for one in found if not one["name"].startswith("system.")})

    def copy_to(self, database: Database[dict[str, Any]]) -> None:
        """Make an empty database hold the same."""
        for name, part in self.parts.items():
            database.command("create", name, **part.options)
            if part.indexes:
                database.command("createIndexes", name, indexes=part.indexes)
            if part.documents:
                database[name].insert_many(part.documents.values(), bypass_document_validation=True)

    def undo(self, database: Database[dict[str, Any]], since: Timestamp) -> bool:
        """Make a database as it was, if a test did no more than insert, update, and create collections.

        Args:
            database: on a replica set whose oplog may be read.
            since: the server's time when it was as it should be.

        Returns:
            Whether it is as it was.

        Raises:
            pymongo.errors.PyMongoError: it could not be done, and may be half done.
        """
        writes = self._writes(database, since)
        if not writes.is_undoable:
            return False
        for name in writes.created:
            database.drop_collection(name)
        for name, changed in writes.changed.items():
            self._restore(database, name, changed)
        return True

    def _writes(self, database: Database[dict[str, Any]], since: Timestamp) -> Writes:
        oplog: Collection[Any] = database.client.local.get_collection("oplog.rs", codec_options=_raw())
        own = {"ns": {"$regex": f"^{re.escape(database.name)}\\."}}
        transactions = {"ns": "admin.$cmd", "o.applyOps": {"$exists": True}}
        writes = Writes()
        with database.client.start_session() as session:
            # The session carries the server's time: the oplog is read as it is after the test's last write.
            database.client.admin.command("ping", session=session)
            for entry in _flat(oplog.find({"ts": {"$gt": since}, "$or": [own, transactions]}, session=session)):
                self._note(writes, database.name, entry)
        return writes

    def _note(self, writes: Writes, database: str, entry: RawBSONDocument) -> None:
        place, _, name = entry["ns"].partition(".")
        if place != database:
            return
        operation, what = entry["op"], entry["o"]
        if operation == "n":
            return
        if name == "$cmd":
            command, target = next(iter(what.items()))
            if command == "create" and target not in self.parts:
                writes.created.add(target)
            elif target not in writes.created:
                writes.is_undoable = False
        elif name not in writes.created:
            _id = (entry["o2"] if operation == "u" else what)["_id"]
            part, key = self.parts.get(name), _key(_id)
            if part is None or "capped" in part.options or (operation == "d" and key in part.documents):
                writes.is_undoable = False
            writes.changed.setdefault(name, {})[key] = _id

    def _restore(self, database: Database[dict[str, Any]], name: str, changed: dict[bytes, Any]) -> None:
        from pymongo import DeleteOne, ReplaceOne

        seeded = self.parts[name].documents
        # Deletes come first: a unique index may allow the old document only after the new one is gone.
        operations: list[DeleteOne | ReplaceOne[Any]] = [
            DeleteOne({"_id": _id}) for key, _id in changed.items() if key not in seeded
        ]
        operations += [ReplaceOne({"_id": _id}, seeded[key]) for key, _id in changed.items() if key in seeded]
        database[name].bulk_write(operations, bypass_document_validation=True)


def _read(database: Database[dict[str, Any]], found: Mapping[str, Any]) -> Part:
    if found["type"] == "view":
        return Part(found["options"], [], {})
    collection: Collection[Any] = database.get_collection(found["name"], codec_options=_raw())
    indexes = [
        {name: value for name, value in index.items() if name not in ("v", "ns")}
        for index in database[found["name"]].list_indexes()
        if index["name"] != "_id_" and not index.get("clustered")
    ]
    return Part(found["options"], indexes, {_key(one["_id"]): one for one in collection.find()})


def _flat(entries: Iterable[RawBSONDocument]) -> Iterator[RawBSONDocument]:
    """The entries of the oplog, those that a transaction holds one by one."""
    for entry in entries:
        if entry["op"] == "c" and "applyOps" in entry["o"]:
            yield from _flat(entry["o"]["applyOps"])
        else:
            yield entry


def _raw() -> CodecOptions[RawBSONDocument]:
    """Documents as the server sends them, so that nothing is lost on the way through Python's types."""
    from bson.codec_options import CodecOptions, DatetimeConversion
    from bson.raw_bson import RawBSONDocument

    return CodecOptions(RawBSONDocument, datetime_conversion=DatetimeConversion.DATETIME_AUTO)


def _key(_id: Any) -> bytes:
    from bson import encode

    return encode({"_id": _id})
