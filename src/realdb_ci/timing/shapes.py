"""Shapes: statements without their values, so that those that differ in nothing else are the same."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

LIMIT = 300
# Strings, with PostgreSQL's dollar quotes, and numbers that are no part of a name or of a placeholder.
_LITERAL = re.compile(r"'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$|(?<![\w$%])-?\d+(?:\.\d+)?\b", re.DOTALL)
# A placeholder as drivers and SQLAlchemy spell it, and a list of them of any length.
_VALUE = r"(?:\?|%s|\$\d+(?:::\w+)?|%\(\w+\)s)"
_LIST = re.compile(rf"\(\s*{_VALUE}(?:\s*,\s*{_VALUE})+\s*\)")
# What makes a command what it is; the rest is how it is carried out.
_PARTS = ("filter", "query", "q", "pipeline", "sort", "update", "updates", "deletes", "key")


# The same statements come again in every test, and an ORM's hold no values.
@functools.lru_cache(maxsize=1024)
def shape(text: str) -> str:
    """One line of a statement, with ``?`` for every value and ``(...)`` for every list of values."""
    plain = _LITERAL.sub("?", text)
    return _cut(" ".join(_LIST.sub("(...)", plain).split()))


def command_shape(name: str, command: Mapping[str, Any]) -> str:
    """``find users {email: ?}``: a MongoDB command with the keys of its filter or pipeline.

    Args:
        name: the command's name.
        command: its document; the value of the name is the collection.
    """
    collection = command.get(name)
    words = [name, *([collection] if isinstance(collection, str) else [])]
    words += [_keys(command[part]) for part in _PARTS if part in command]
    return _cut(" ".join(words))


def _keys(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_keys(one)}" for key, one in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str | bytes) and value:
        told = dict.fromkeys(map(_keys, value))
        return "[...]" if list(told) == ["?"] else f"[{', '.join(told)}]"
    return "?"


def _cut(text: str) -> str:
    return text if len(text) <= LIMIT else f"{text[: LIMIT - 3]}..."
