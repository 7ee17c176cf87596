"""SQL texts of several statements are cut where PostgreSQL would cut them."""

import pytest

from realdb_ci.services.postgres import scripts
from realdb_ci.services.postgres.statements import script


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("SELECT 1;", ["SELECT 1;"]),
        ("SELECT 1; SELECT 2;; \n;", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';' ; SELECT 'it''s; so'", ["SELECT ';'", "SELECT 'it''s; so'"]),
        (r"SELECT E'it\'s; so'; SELECT 2", [r"SELECT E'it\'s; so'", "SELECT 2"]),
        ('SELECT 1 AS "a;""b"; SELECT 2', ['SELECT 1 AS "a;""b"', "SELECT 2"]),
        ("SELECT 1 -- one; two\n; SELECT 2", ["SELECT 1 -- one; two", "SELECT 2"]),
        (
            "SELECT /* a; /* b; */ c; */ 1; SELECT 2 /* ; open",
            ["SELECT /* a; /* b; */ c; */ 1", "SELECT 2 /* ; open"],
        ),
        ("SELECT 1; -- that was all;\n/* indeed; */", ["SELECT 1"]),
        ("DO $$ BEGIN PERFORM 1; END $$; SELECT 2", ["DO $$ BEGIN PERFORM 1; END $$", "SELECT 2"]),
        ("SELECT $a$ ; $$ ; $a$; SELECT 2", ["SELECT $a$ ; $$ ; $a$", "SELECT 2"]),
        ("SELECT a$b$ ; SELECT $1", ["SELECT a$b$", "SELECT $1"]),
        (
            "CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT (2)); SELECT 3",
            ["CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT (2))", "SELECT 3"],
        ),
        (
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT 2; END; SELECT 3",
            [
                "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT 2; END",
                "SELECT 3",
            ],
        ),
    ],
)
def test_text_is_cut_between_its_statements(text: str, parts: list[str]) -> None:
    """Semicolons in strings, names, comments, bodies and rules end nothing."""
    assert [part.strip() for part in scripts.split(text)] == parts


@pytest.mark.parametrize(
    ("text", "controls"),
    [
        ("BEGIN; INSERT INTO t VALUES (1); COMMIT", True),
        ("INSERT INTO t VALUES (1); ROLLBACK", True),
        ("SELECT 1; PREPARE TRANSACTION 'two'", True),
        ("COMMIT; -- done", False),
        ("SAVEPOINT a; ROLLBACK TO SAVEPOINT a; RELEASE SAVEPOINT a", False),
        ("DO $$ BEGIN COMMIT; END $$; SELECT 2", False),
        ("INSERT INTO t VALUES ('; COMMIT;')", False),
    ],
)
def test_script_is_what_begins_or_ends_transactions_between_others(text: str, controls: bool) -> None:
    """The server gets any other text as it is."""
    assert bool(script(text)) is controls
