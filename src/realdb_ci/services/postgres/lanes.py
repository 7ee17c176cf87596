"""Lanes: connections that share one real connection and its one transaction, which is rolled back in the end.

Whatever opens a connection through the engine (the test's session, the application's own, a raw one) gets a lane.
A lane's transaction is a savepoint: its commit keeps the work for the other lanes to see, its rollback undoes it.
So application code runs as it is, and one rollback undoes all of it.

Savepoints are a stack, real transactions are not. Where two lanes' transactions overlap in a way a stack can hold,
they get what real ones would; where it cannot, the next statement raises an error that says what to do instead.
"""

from __future__ import annotations

import threading
import warnings
from contextlib import closing
from typing import Any

from realdb_ci.errors import IsolationError, IsolationWarning
from realdb_ci.services.postgres.hints import REMEDY
from realdb_ci.services.postgres.lane import Lane, two_phases_refused, unlike_savepoints
from realdb_ci.services.postgres.statements import Kind, Statement


class Lanes:
    """The lanes of one test.

    Args:
        connection: the real DB-API connection; from here on nobody else uses it.
        batches: whether its driver takes several statements in one call.
        deferred: whether the schema has constraints that only a commit checks.
    """

    def __init__(self, connection: Any, *, batches: bool, deferred: bool) -> None:
        self.real = connection
        self._batches = batches
        self._deferred = deferred
        # Those with a savepoint, the oldest first, as PostgreSQL stacks them.
        self._stack: list[Lane] = []
        self._checked_out: list[Lane] = []
        # What nobody has to wait for, sent together with the next statement: each trip to the server counts.
        self._pending: list[str] = []
        self._number = 0
        self._ready = ""
        self._broken: IsolationError | None = None
        self._lock = threading.RLock()

    def open(self) -> None:
        """Begin the real transaction, and in the same trip the savepoint of the first lane."""
        self._ready = "realdb_1"
        self._execute(f"SAVEPOINT {self._ready}")

    def connect(self) -> Lane:
        """A new lane; what a pool calls to get a connection."""
        lane = Lane(self)
        self._checked_out.append(lane)
        return lane

    @property
    def checked_out(self) -> int:
        """How many lanes nobody has given back."""
        return len(self._checked_out)

    def give_back(self, lane: Lane) -> None:
        """Undo what a lane has not committed; it is closed."""
        if lane in self._checked_out:
            self._checked_out.remove(lane)
            self.rollback(lane)

    def abandon(self, lane: Lane) -> None:
        """Count a lane as closed; what it has not committed is undone as soon as another one begins."""
        self._checked_out.remove(lane)
        lane.failed = bool(lane.savepoint)

    def run(self, lane: Lane, statement: Statement, call: Any) -> Any:
        """Run a statement in a lane's transaction, which begins with it."""
        with self._lock:
            refusal = self._broken or lane.refusal
            if refusal is not None:
                raise refusal
            if statement.kind in _TRANSACTIONS:
                _TRANSACTIONS[statement.kind](self, lane)
                lane.begun = statement.kind is Kind.BEGIN
                return None
            _refuse_or_warn(statement)
            self._begin(lane)
            if self._pending:
                self._execute()
            if statement.writes:
                self._wrote(lane)
            try:
                done = call()
            except Exception:
                lane.failed = True
                if lane.autocommit and not lane.begun:
                    self.rollback(lane)
                raise
            if lane.autocommit and not lane.begun:
                self.commit(lane)
            return done

    def commit(self, lane: Lane) -> None:
        """Keep what the lane has done, for all lanes to see.

        Raises:
            DB-API IntegrityError: a deferred constraint does not hold, as a real commit would say.
        """
        with self._lock:
            if not lane.savepoint:
                return
            if lane.failed:  # PostgreSQL, too, answers COMMIT with ROLLBACK here
                self.rollback(lane)
                return
            if self._deferred and lane.wrote:
                self._check_deferred(lane)
            if self._stack[-1] is lane:
                self._later(f"RELEASE SAVEPOINT {lane.savepoint}")
            # Below others it stays on PostgreSQL's stack, where nothing refers to it any more.
            self._forget(lane)

    def rollback(self, lane: Lane) -> None:
        """Undo what the lane has done since its last commit, unless another lane's later work would go with it."""
        with self._lock:
            if not lane.savepoint:
                return
            if self.lost:
                pass  # and the server has undone all of it
            elif not lane.disturbed and not (lane.wrote or lane.failed):
                self._later(*self._undoing(lane), f"RELEASE SAVEPOINT {lane.savepoint}")
            elif not lane.disturbed:
                self._execute(*self._undoing(lane), f"RELEASE SAVEPOINT {lane.savepoint}")
            elif lane.wrote or lane.failed:
                self._broken = _overlapping()
            self._forget(lane)

    @property
    def lost(self) -> bool:
        """Whether the server has ended the real connection, or it broke."""
        driver = getattr(self.real, "driver_connection", self.real)
        is_closed = getattr(driver, "is_closed", None)  # asyncpg asks it so
        return bool(is_closed() if is_closed else driver.closed)

    def finish(self) -> bool:
        """Undo what is not committed; whether the transaction can still answer questions."""
        for lane in reversed(self._stack.copy()):
            self.rollback(lane)
        return self._broken is None and not self.lost

    def _begin(self, lane: Lane) -> None:
        if lane.savepoint:
            return
        failed = next((one for one in self._stack if one.failed), None)
        if failed is not None:
            self._heal(failed)
        self._number += 1
        lane.savepoint, lane.wrote, lane.disturbed = f"realdb_{self._number}", False, False
        # First on our stack: of two tasks, the driver serves the one that asked first.
        self._stack.append(lane)
        if self._ready == lane.savepoint:
            self._ready = ""
        else:
            self._execute(f"SAVEPOINT {lane.savepoint}")

    def _heal(self, failed: Lane) -> None:
        """Let others work on, as they could beside a real transaction that failed and is still open."""
        if failed.disturbed:
            raise _overlapping()
        self._execute(*self._undoing(failed))

    def _undoing(self, lane: Lane) -> tuple[str, ...]:
        """How to go back to the lane's savepoint; lanes above it have done nothing that would be missed."""
        lane.failed = lane.wrote = False
        for above in self._stack[self._stack.index(lane) + 1 :]:
            self._forget(above)
        return (f"ROLLBACK TO SAVEPOINT {lane.savepoint}",)

    def _wrote(self, lane: Lane) -> None:
        lane.wrote = True
        for other in self._stack:
            other.disturbed |= other is not lane

    def _forget(self, lane: Lane) -> None:
        self._stack.remove(lane)
        lane.savepoint = ""
        lane.begun = lane.wrote = lane.failed = lane.disturbed = False

    def _check_deferred(self, lane: Lane) -> None:
        """Have deferred constraints checked now, and still deferred for what the test does next.

        Rolling back to a savepoint takes back that they were checked, and their mode.
        """
        try:
            self._execute("SAVEPOINT realdb_check", "SET CONSTRAINTS ALL IMMEDIATE")
        except Exception:
            lane.failed = True
            self.rollback(lane)
            raise
        self._execute("ROLLBACK TO SAVEPOINT realdb_check", "RELEASE SAVEPOINT realdb_check")

    def ask(self, *statements: str) -> list[Any]:
        """Run statements past all lanes, and return the rows of the last one."""
        with self._executed(*statements) as cursor:
            return list(cursor.fetchall())

    def _later(self, *statements: str) -> None:
        """Have statements run before the next one; at the end of the test they are not missed."""
        if self._batches:
            self._pending += statements
        else:  # one at a time, and another task's may come in between
            self._execute(*statements)

    def _execute(self, *statements: str) -> None:
        with self._executed(*statements):
            pass

    def _executed(self, *statements: str) -> closing[Any]:
        cursor = self.real.cursor()
        statements, self._pending = (*self._pending, *statements), []
        for statement in ("; ".join(statements),) if self._batches else statements:
            cursor.execute(statement)
        return closing(cursor)


_TRANSACTIONS = {
    Kind.BEGIN: Lanes._begin,  # noqa: SLF001  # the class's own
    Kind.COMMIT: Lanes.commit,
    Kind.ROLLBACK: Lanes.rollback,
}


def _refuse_or_warn(statement: Statement) -> None:
    if statement.kind is Kind.ISOLATION:
        raise unlike_savepoints("sets an isolation level", "one transaction has one level, and it has begun")
    if statement.kind is Kind.PREPARE:
        raise two_phases_refused()
    if statement.kind is Kind.NOTIFY:
        warnings.warn(
            IsolationWarning(
                "LISTEN and NOTIFY: PostgreSQL delivers at a real commit, and this test is rolled back. " + REMEDY
            ),
            stacklevel=2,
        )


def _overlapping() -> IsolationError:
    return IsolationError(
        "Two connections' transactions overlap in a way that savepoints cannot undo",
        why="one was rolled back after another one had written on top of it, and savepoints are a stack",
        remedy=REMEDY,
    )
