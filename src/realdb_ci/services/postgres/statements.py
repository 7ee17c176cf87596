"""Statements: what a SQL text is about to do, as far as isolation has to know."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Any

from realdb_ci.services.postgres import scripts

_HEAD = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/|;)*(\w+)", re.DOTALL)
_READERS = {"select", "show", "explain", "values", "table", "fetch", "set", "savepoint", "release", "declare"}
# What they hold runs another time, if ever.
_DEFINING = {"create", "comment", "prepare"}
_WRITING = re.compile(r"\b(insert|update|delete|merge|nextval|setval|into)\b", re.IGNORECASE)
_NOTIFYING = re.compile(r"\bpg_notify\s*\(", re.IGNORECASE)
_LEVEL = re.compile(r"\bisolation\s+level\s+(?!read\s)", re.IGNORECASE)
_TWO_PHASES = re.compile(r"\bprepare\s+transaction\b", re.IGNORECASE)
_BACK_TO = re.compile(r"rollback\s+(?:work\s+|transaction\s+)?to\b", re.IGNORECASE)


class Kind(Enum):
    """What a statement means to the transaction it runs in."""

    PLAIN = auto()
    BEGIN = auto()
    COMMIT = auto()
    ROLLBACK = auto()
    PREPARE = auto()
    ISOLATION = auto()
    NOTIFY = auto()


CONTROLLING = (Kind.BEGIN, Kind.COMMIT, Kind.ROLLBACK, Kind.PREPARE)
_KINDS = {
    "begin": Kind.BEGIN,
    "start": Kind.BEGIN,
    "commit": Kind.COMMIT,
    "end": Kind.COMMIT,
    "rollback": Kind.ROLLBACK,
    "abort": Kind.ROLLBACK,
    "listen": Kind.NOTIFY,
    "notify": Kind.NOTIFY,
}


@dataclass(frozen=True)
class Statement:
    """One SQL statement, read as far as its first word and a few telling ones.

    Attributes:
        kind: what it means to the transaction.
        writes: whether it may change data; a function that a SELECT calls is taken to change none.
    """

    kind: Kind
    writes: bool

    @classmethod
    def of(cls, given: Any, method: str, cursor: Any) -> Statement:
        """The statement that a DB-API cursor's method was given.

        Args:
            given: its first argument: text, bytes or psycopg's composed SQL.
            method: the method's name; what is not execute moves data.
            cursor: the driver's cursor, which composed SQL needs to become text.
        """
        if method in ("copy_from", "copy_to", "callproc"):
            return ANY
        return _read(text_of(given, cursor))


ANY = Statement(Kind.PLAIN, writes=True)


@lru_cache(maxsize=512)
def script(text: str) -> tuple[str, ...]:
    """The statements of a text that begins or ends transactions between others; of any other text nothing."""
    parts = scripts.split(text)
    controls = len(parts) > 1 and any(_read(part).kind in CONTROLLING for part in parts)
    return parts if controls else ()


def text_of(given: Any, cursor: Any) -> str:
    """The text of what a DB-API cursor was given: text, bytes or psycopg's composed SQL."""
    if hasattr(given, "as_string"):
        given = given.as_string(cursor)
    return given.decode("utf-8", "replace") if isinstance(given, bytes) else str(given)


@lru_cache(maxsize=512)
def _read(text: str) -> Statement:
    found = _HEAD.match(text)
    word = found[1].lower() if found else ""
    kind = _KINDS.get(word, Kind.PLAIN)
    if kind is Kind.ROLLBACK and _BACK_TO.search(text):
        kind = Kind.PLAIN
    elif word == "prepare" and _TWO_PHASES.search(text):
        kind = Kind.PREPARE
    elif word in ("set", "begin", "start") and _LEVEL.search(text):
        kind = Kind.ISOLATION
    elif word not in _DEFINING and _NOTIFYING.search(text):
        kind = Kind.NOTIFY
    reads = word in _READERS or word in ("with", "rollback")
    return Statement(kind, writes=not reads or (word != "set" and bool(_WRITING.search(text))))
