"""Shapes: what tells one statement from another, and none of its values."""

import pytest

from realdb_ci.timing.shapes import LIMIT, command_shape, shape

STATEMENTS = {
    "SELECT *  FROM t\n WHERE id = %(id_1)s": "SELECT * FROM t WHERE id = %(id_1)s",
    "SELECT 1, -2.5 FROM t1 WHERE a = 'it''s'": "SELECT ?, ? FROM t1 WHERE a = ?",
    "SELECT $$secret$$, $x$more $$ of it$x$": "SELECT ?, ?",
    "SELECT * FROM t WHERE id IN (%(id_1_1)s, %(id_1_2)s)": "SELECT * FROM t WHERE id IN (...)",
    "SELECT * FROM t WHERE id IN ($1::INTEGER, $2::INTEGER)": "SELECT * FROM t WHERE id IN (...)",
    "SELECT * FROM t WHERE id IN (1, 2, 3)": "SELECT * FROM t WHERE id IN (...)",
    "INSERT INTO t (a, b) VALUES (%s, %s)": "INSERT INTO t (a, b) VALUES (...)",
    "SELECT a FROM t LIMIT $1": "SELECT a FROM t LIMIT $1",
}


@pytest.mark.parametrize(("text", "expected"), STATEMENTS.items(), ids=range(len(STATEMENTS)))
def test_statement_is_told_without_its_values(text: str, expected: str) -> None:
    """Placeholders stay, values do not, and a list of any length is the same list."""
    assert shape(text) == expected


COMMANDS = [
    (
        "find",
        {"find": "users", "filter": {"email": "a@b", "age": {"$gt": 3}}},
        "find users {email: ?, age: {$gt: ?}}",
    ),
    ("insert", {"insert": "users", "documents": [{"_id": 1}], "ordered": True}, "insert users"),
    (
        "aggregate",
        {"aggregate": "users", "pipeline": [{"$match": {"n": 1}}, {"$match": {"n": 2}}, {"$sort": {"n": 1}}]},
        "aggregate users [{$match: {n: ?}}, {$sort: {n: ?}}]",
    ),
    ("find", {"find": "users", "filter": {"_id": {"$in": [1, 2, 3]}}}, "find users {_id: {$in: [...]}}"),
    ("ping", {"ping": 1}, "ping"),
]


@pytest.mark.parametrize(("name", "command", "expected"), COMMANDS)
def test_command_is_told_by_its_keys(name: str, command: dict[str, object], expected: str) -> None:
    """The collection, and the keys of what it looks for."""
    assert command_shape(name, command) == expected


def test_long_statement_is_cut() -> None:
    """Nobody reads more."""
    assert len(shape("SELECT " + "column_of_it, " * 100)) == LIMIT
