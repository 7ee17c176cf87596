"""Recycling: a clone as it was before its test, where the test changed nothing but rows.

A new clone costs some 30 ms of the server's time, with its first connection and its drop; this takes 2 (see
``benchmarks/recycling.py``). Nothing of it can be seen from within a test.
"""

from __future__ import annotations

from typing import Any

from realdb_ci.services.postgres.connections import OTHERS, connect

FIRST_OWN_OID = 16384  # https://www.postgresql.org/docs/current/system-catalog-initial-data.html
# Every DDL adds, removes or rewrites a row in one of these.
CATALOGS = {
    "pg_attrdef": "oid",
    "pg_attribute": "attrelid",
    "pg_class": "oid",
    "pg_constraint": "oid",
    "pg_description": "objoid",
    "pg_enum": "oid",
    "pg_extension": "oid",
    "pg_index": "indexrelid",
    "pg_namespace": "oid",
    "pg_policy": "oid",
    "pg_proc": "oid",
    "pg_rewrite": "oid",
    "pg_trigger": "oid",
    "pg_type": "oid",
}
_TABLES = """
    SELECT format('%%I.%%I', nspname, relname), relkind = 'm'
    FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'm') AND pg_class.oid >= %s AND relpersistence <> 't' ORDER BY pg_class.oid
"""
_SEQUENCES = (
    "CREATE TEMP TABLE kept AS SELECT seqrelid, seqstart, pg_sequence_last_value(seqrelid) AS last FROM pg_sequence"
)
_RESET = """
    PERFORM setval(seqrelid, coalesce(last, seqstart), last IS NOT NULL) FROM pg_temp.kept
    WHERE pg_sequence_last_value(seqrelid) IS DISTINCT FROM last;
"""


class Keeper:
    """Our own connection to one clone, which can tell and undo what a test did to it.

    Args:
        url: of a clone that no test has had yet.

    Raises:
        psycopg2.errors.InsufficientPrivilege: the account is no superuser, who alone may delete past foreign keys
            and triggers.
    """

    def __init__(self, url: str) -> None:
        self._connection = connect(url, 10)
        self._ask("SET session_replication_role = replica")
        self._ask("SET lock_timeout = '50ms'")
        tables = self._ask(_TABLES, FIRST_OWN_OID)
        filled = [name for name, is_view in tables if is_view or self._holds_rows(name)]
        empty = [name for name, _ in tables if name not in filled]
        self._prepare(filled, empty)
        self._before = self._ask("EXECUTE state")
        self.clean()  # its plans are made now and not on a test's clock

    def is_as_before(self) -> bool:
        """Whether only rows of tables that were empty, and sequences, have changed, and nobody is connected."""
        return not self._ask(OTHERS) and self._ask("EXECUTE state") == self._before

    def clean(self) -> None:
        """Delete those rows and set sequences back.

        Raises:
            psycopg2.Error: something still holds a lock.
        """
        self._ask("SELECT pg_temp.clean()")

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _holds_rows(self, table: str) -> bool:
        return bool(self._ask(f"SELECT EXISTS (SELECT FROM {table})")[0][0])  # noqa: S608  # quoted by format()

    def _prepare(self, filled: list[str], empty: list[str]) -> None:
        self._ask(_SEQUENCES)
        deletes = "".join(f"DELETE FROM ONLY {name};\n" for name in empty)  # noqa: S608  # quoted by format()
        self._ask(
            f"CREATE FUNCTION pg_temp.clean() RETURNS void LANGUAGE plpgsql AS $$BEGIN\n{deletes}{_RESET}END$$"
        )
        newest = "SELECT count(*), max(xmin::text::bigint)"
        catalogs = [
            # The schema that a session gets for its temporary tables stays, empty.
            f"{newest} FROM {name} WHERE {oid} >= {FIRST_OWN_OID}"
            + (" AND nspname !~ '^pg_(toast_)?temp_'" if name == "pg_namespace" else "")
            for name, oid in CATALOGS.items()
        ]
        seeded = [f"{newest} FROM ONLY {name}" for name in filled]
        # A large object may have any number.
        objects = f"{newest} FROM pg_largeobject_metadata"
        pending = "SELECT count(*), 0 FROM pg_prepared_xacts WHERE database = current_database()"
        self._ask("PREPARE state AS " + " UNION ALL ".join((*catalogs, *seeded, objects, pending)))
        self._ask("EXECUTE state")

    def _ask(self, statement: str, *values: Any) -> list[Any]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return list(cursor.fetchall()) if cursor.description else []
