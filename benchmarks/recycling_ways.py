"""Ways to undo what a test wrote to a clone, and to find out where it wrote; ``recycling.py`` measures them."""

# ruff: noqa: S608  # the names are ours

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from realdb_ci.services.postgres.connections import connect
from realdb_ci.services.postgres.database import url_of

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

TABLES = tuple(f"t{number}" for number in range(60))
# What one test writes to: a table, two of its children, and one that is related to none of them.
TOUCHED = ("t0", "t1", "t2", "t50")
USED = "FROM pg_sequence WHERE pg_sequence_last_value(seqrelid) IS NOT NULL"
RESTART = f"setval(seqrelid, seqstart, false) {USED}"
EXISTS = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})" for name in TABLES)
SIZES = (
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    " AND pg_relation_size(oid) > 0"
)
COUNTERS = "SELECT relname FROM pg_stat_user_tables WHERE n_tup_ins + n_tup_upd + n_tup_del > 0"
END_OTHERS = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
# Every DDL leaves a new row version in one of these.
CATALOGS = ("pg_class", "pg_attribute", "pg_constraint", "pg_proc", "pg_type", "pg_trigger", "pg_depend", "pg_enum")
FINGERPRINT = " UNION ALL ".join(f"SELECT count(*), max(xmin::text::bigint) FROM {name}" for name in CATALOGS)
SECONDS = 10.0
REPLICA = "SET session_replication_role = replica"


def execute(connection: Connection, statement: str) -> list[tuple[Any, ...]]:
    """Run it; return its rows, if it has any."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


class Clone:
    """One database, our connection to it, and the test's."""

    def __init__(self, server_url: str, name: str) -> None:
        self._url = url_of(server_url, name)
        self.ours, self.test = connect(self._url, SECONDS), connect(self._url, SECONDS)

    def write(self) -> None:
        """What a test does: three committed rows in each of its tables."""
        for name in TOUCHED:
            parent = "NULL" if name in ("t0", "t50") else "1"
            for number in range(3):
                execute(
                    self.test,
                    f"INSERT INTO {name} (label, content, parent) VALUES ('{number}', '[1, 2, 3]', {parent})",
                )

    def renew(self) -> None:
        """Undo everything slowly and surely, off the clock."""
        execute(self.ours, END_OTHERS)
        self.test.close()
        execute(self.ours, f"TRUNCATE {', '.join(TABLES)} RESTART IDENTITY; SELECT pg_stat_reset()")
        self.test = connect(self._url, SECONDS)


@dataclass
class Way:
    """One way, and what was seen of it.

    Attributes:
        label: the way in words.
        run: what is timed; it returns the tables it found, or nothing where it is to clean.
        prepare: done once, on the way's own clone.
        seconds: one number a round.
        writes: the same of what the test did before.
        wrong: rounds in which it overlooked a table or left something behind.
    """

    label: str
    run: Callable[[Clone], set[str] | None]
    prepare: Callable[[Clone], object] = lambda _: None
    seconds: list[float] = field(default_factory=list)
    writes: list[float] = field(default_factory=list)
    wrong: int = 0

    def go(self, clone: Clone) -> None:
        """One round: the test's writes, then the way on the clock, then a look at what it did."""
        self.writes.append(timed(clone.write))
        found: list[set[str] | None] = []
        self.seconds.append(timed(lambda: found.append(self.run(clone))))
        if found[0] is None:
            self.wrong += bool(execute(clone.ours, f"{EXISTS} UNION ALL SELECT seqrelid::text {USED}"))
        else:
            self.wrong += not set(TOUCHED) <= found[0]
            clone.renew()


def timed(what: Callable[[], object]) -> float:
    """Seconds it took."""
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def cleans(statement: str) -> Callable[[Clone], None]:
    """Run a statement; it returns nothing of interest."""

    def run(clone: Clone) -> None:
        execute(clone.ours, statement)

    return run


def finds(*statements: str) -> Callable[[Clone], set[str]]:
    """Run the statements; the last one's first column are tables."""

    def run(clone: Clone) -> set[str]:
        *others, last = statements
        for statement in others:
            execute(clone.ours, statement)
        return {name for (name,) in execute(clone.ours, last)}

    return run


def deletes(tables: tuple[str, ...]) -> str:
    """All rows of these tables and all sequences, in one round trip, without a look at foreign keys."""
    return "BEGIN;" + ";".join((*(f"DELETE FROM {name}" for name in tables), f"SELECT {RESTART}", "COMMIT"))


def function(statement: str) -> str:
    """The same as a function that only our connection sees; it keeps its plans."""
    body = " ".join(statement.format(name) for name in TABLES)
    return (
        f"{REPLICA}; CREATE FUNCTION pg_temp.recycle() RETURNS void LANGUAGE plpgsql"
        f" AS $$BEGIN {body} PERFORM {RESTART}; END$$"
    )


def triggers() -> str:
    """Have every statement that writes note its table."""
    return (
        "CREATE SCHEMA bench; CREATE UNLOGGED TABLE bench.notes (name text);"
        "CREATE FUNCTION bench.note() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN INSERT INTO bench.notes VALUES (TG_TABLE_NAME); RETURN NULL; END$$;"
    ) + ";".join(
        f"CREATE TRIGGER bench AFTER INSERT OR UPDATE OR DELETE ON {name}"
        " FOR EACH STATEMENT EXECUTE FUNCTION bench.note()"
        for name in TABLES
    )


def notices_ddl() -> Callable[[Clone], set[str]]:
    """Compare the catalogs with the last time; ``renew`` empties tables by DDL, so each round must differ."""
    last: list[tuple[Any, ...]] = []

    def run(clone: Clone) -> set[str]:
        found = execute(clone.ours, FINGERPRINT)
        changed = found != last
        last[:] = found
        return set(TOUCHED) if changed else set()

    return run


def on_a_clone() -> list[Way]:
    """Everything that works on a clone that stays."""
    recycle = cleans("SELECT pg_temp.recycle()")
    checked = "IF EXISTS (SELECT FROM {0}) THEN DELETE FROM {0}; END IF;"
    noted = "DELETE FROM bench.notes RETURNING name"
    return [
        Way("clean: TRUNCATE all", cleans(f"TRUNCATE {', '.join(TABLES)} RESTART IDENTITY")),
        Way("clean: DELETE from all in one round trip", cleans(deletes(TABLES)), cleans(REPLICA)),
        Way("clean: DELETE from all in a pg_temp function", recycle, cleans(function("DELETE FROM {};"))),
        Way("clean: the same, only where EXISTS", recycle, cleans(function(checked))),
        Way("clean: DELETE from the touched, if one knew them", cleans(deletes(TOUCHED)), cleans(REPLICA)),
        Way("find: pg_stat counters, at once", finds(COUNTERS)),
        Way("find: pg_stat counters, the test's connections ended", finds(END_OTHERS, COUNTERS)),
        Way("find: EXISTS over all", finds(EXISTS)),
        Way("find: EXISTS over all, prepared", finds("EXECUTE look"), cleans(f"PREPARE look AS {EXISTS}")),
        Way("find: pg_relation_size over all", finds(SIZES)),
        Way("find: notes of statement triggers", finds(noted), cleans(triggers())),
        Way("find: DDL, by the newest row of the catalogs", notices_ddl()),
    ]
