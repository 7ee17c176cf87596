"""Connections: those to a test's database that are not ours, and the ones that a test leaves behind."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from realdb_ci.errors import IsolationWarning

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
# A closed connection's process takes a moment to go.
PATIENCE_SECONDS = 0.5
PAUSE_SECONDS = 0.01

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

    @property
    def holds(self) -> bool:
        """Whether it is inside a transaction, where it keeps locks."""
        return self.state.startswith("idle in transaction")


def others(ask: Ask, *before: str) -> list[Other]:
    """The connections of others to the database that ``ask`` puts its question to.

    Args:
        ask: runs statements, and returns the rows of the last one.
        before: statements to run first.
    """
    return [Other(*row) for row in ask(*before, REFRESH, OTHERS)]


def warn_of_left(
    test: str,
    checked_out: int,
    before: Iterable[Other],
    now: Sequence[Other],
    ask: Ask,
) -> None:
    """Warn of connections that a test opened and left, or left in a transaction.

    Args:
        test: its name.
        checked_out: how many connections of our engine it has not given back.
        before: the connections of others when the test began; a pool that the application keeps is no leak.
        now: those when it ended.
        ask: see ``others``.
    """
    old = {one.pid for one in before}
    held = {one.pid for one in before if one.holds}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while left := [one for one in now if one.pid not in old or (one.holds and one.pid not in held)]:
        if time.monotonic() > deadline:
            break
        time.sleep(PAUSE_SECONDS)
        now = others(ask)
    found = [str(one) for one in left]
    if checked_out:
        found.append(f"{checked_out} of postgres_engine, never closed")
    if found:
        warnings.warn(
            IsolationWarning(f"{test} leaves connections to PostgreSQL open: {'; '.join(found)}"), stacklevel=2
        )
