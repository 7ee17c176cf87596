"""Hints: where PostgreSQL refuses what a rolled-back test cannot do, the failure says what to do instead."""

from __future__ import annotations

REMEDY = "Mark this test @pytest.mark.realdb(commit=True): it gets real commits in a database of its own."
# SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
_CAUSES = {
    "25001": "the statement cannot run inside a transaction, and this test is one",
    "2D000": "a procedure or DO block ends its transaction, and this test is one"
    " (with the mark, call it on a connection in autocommit mode)",
    "55P03": "another connection holds the lock, which may be the one this test will roll back",
    "55P04": "a new enum value can be used after a real commit only",
}
_OWN_TYPES = "psycopg2's helpers take objects of its own types only, and this test's connections are stand-ins"


def hint(problem: BaseException) -> str:
    """What to tell the reader of a failure in a test that is rolled back, empty where we know nothing better."""
    seen: set[int] = set()
    current: BaseException | None = problem
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if isinstance(current, TypeError) and "must be a connection" in str(current):
            return f"realdb-ci: {_OWN_TYPES}. {REMEDY}"
        # SQLAlchemy keeps the driver's error in ``orig``.
        for error in (current, getattr(current, "orig", None)):
            state = getattr(error, "pgcode", None) or getattr(error, "sqlstate", None)
            if state in _CAUSES:
                return f"realdb-ci: {_CAUSES[state]}. {REMEDY}"
        current = current.__cause__ or current.__context__
    return ""
