"""Connections: ours to a server, those to a test's database that are not, and what a test leaves behind."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from realdb_ci.errors import IsolationWarning, ServerError
from realdb_ci.services.urls import masked, scrubbed

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

# What our own engines call themselves, to be told from the connections of others.
APPLICATION = "realdb-ci"
# Within a transaction the server shows the same picture again and again, unless told not to.
REFRESH = "SELECT pg_stat_clear_snapshot()"
OTHERS = """
    SELECT pid, coalesce(state, ''), coalesce(application_name, ''), left(query, 200)
    FROM pg_stat_get_activity(NULL)
    WHERE datid = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND application_name IS DISTINCT FROM 'realdb-ci' AND pid <> pg_backend_pid()
"""
# Within a transaction now() is when it began, and that of a test begins with it: a pool that the application keeps
# is no leak, a transaction that began on one of its connections since is one.
SINCE = f"{OTHERS} AND (backend_start > now() OR (state LIKE 'idle in transaction%' AND xact_start > now()))"
# A closed connection's process takes a moment to go.
PATIENCE_SECONDS = 0.5
PAUSE_SECONDS = 0.01
# SQLSTATE classes that no waiting mends: 28 invalid authorization, 3D no such database.
_FINAL_STATES = ("28", "3D")

Ask = Callable[..., Sequence[Any]]


@dataclass(frozen=True)
class Other:
    """A connection that somebody else opened, as the server sees it.

    Attributes:
        pid: of the server's process for it.
        state: idle, active, "idle in transaction" and the like.
        application: the name it gave itself, often empty.
        query: the start of its last statement.
    """

    pid: int
    state: str
    application: str
    query: str

    def __str__(self) -> str:
        named = f" of {self.application!r}" if self.application else ""
        last = f", last statement: {' '.join(self.query.split())}" if self.query else ""
        return f"connection {self.pid}{named}, {self.state or 'idle'}{last}"


def others(ask: Ask, *before: str, question: str = OTHERS) -> list[Other]:
    """The connections of others to the database that ``ask`` puts its question to.

    Args:
        ask: runs statements, and returns the rows of the last one.
        before: statements to run first.
        question: ``OTHERS`` for all, ``SINCE`` for those opened since the transaction of ``ask`` began.
    """
    return [Other(*row) for row in ask(*before, REFRESH, question)]


def warn_of_left(test: str, checked_out: int, ask: Ask, *last: str, question: str = OTHERS) -> None:
    """Warn of connections that a test opened and left, or left in a transaction.

    Args:
        test: its name.
        checked_out: how many connections of our engine it has not given back.
        ask: see ``others``.
        last: statements to run before the first look.
        question: see ``others``.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    left = others(ask, *last, question=question)
    while left and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
        left = others(ask, question=question)
    found = [str(one) for one in left]
    if checked_out:
        found.append(f"{checked_out} of postgres_engine, never closed")
    if found:
        warnings.warn(
            IsolationWarning(f"{test} leaves connections to PostgreSQL open: {'; '.join(found)}"), stacklevel=2
        )


def connect(url: str, seconds: float) -> Connection:
    """A connection in autocommit mode.

    Raises:
        ConnectionError: nobody answers yet.
        ServerError: somebody answered and refuses us for good.
    """
    import psycopg2

    try:
        connection = psycopg2.connect(url, connect_timeout=max(2, int(seconds)), application_name=APPLICATION)
    except psycopg2.ProgrammingError as problem:
        raise ServerError(
            f"The URL {masked(url)} cannot be read",
            why=scrubbed(str(problem), url),
            remedy="Correct it; its parameters are those of libpq.",
        ) from None
    except psycopg2.OperationalError as problem:
        text = scrubbed(str(problem), url)
        if (
            "authentication failed" in text
            or "does not exist" in text
            or (problem.pgcode or "")[:2] in _FINAL_STATES
        ):
            raise ServerError(
                f"PostgreSQL at {masked(url)} refuses us",
                why=text,
                remedy="Correct the user, the password or the database in the URL.",
            ) from None
        raise ConnectionError(text) from None
    connection.autocommit = True
    return connection
