"""What the running test writes to: the fixtures say it, the factories ask for it.

A light module, so that a fixture can say it without importing factory_boy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from realdb_ci.errors import SettingError

if TYPE_CHECKING:
    from pymongo.database import Database
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session


@dataclass(frozen=True, eq=False)
class _Binding:
    """What one fixture lends; compared by identity, as two fixtures may lend the same session."""

    session: Session | None
    async_session: AsyncSession | None
    mongo: Database[dict[str, Any]] | None


@dataclass(frozen=True)
class _Kind:
    """One thing a factory can write to, and how a test comes by it."""

    fixture: str
    base: str


_KINDS = {
    "session": _Kind("db_session", "SQLModelFactory"),
    "async_session": _Kind("async_db_session", "AsyncSQLModelFactory"),
    "mongo": _Kind("mongo_db", "MongoFactory"),
}


class Active:
    """The sessions and databases of the running test, the latest first.

    One for the whole process, and not a context variable: application code under FastAPI's ``TestClient``
    runs in a thread of its own, and fixtures of an async plugin run in another task than the test; both would
    see an empty context. A process runs one test at a time, so there is nothing to keep apart.
    """

    def __init__(self) -> None:
        self._bindings: list[_Binding] = []
        self._test = ""
        self._turn = 0

    @property
    def turn(self) -> int:
        """A number that is another one in every test, and in every further attempt at a test."""
        return self._turn

    def begin_test(self, name: str) -> None:
        """A test, or another attempt at it, is about to be set up.

        Args:
            name: its node id.
        """
        self._test = name
        self._turn += 1

    def end_test(self) -> None:
        """The test and its fixtures are done."""
        self._test = ""

    @contextmanager
    def bind(
        self,
        *,
        session: Session | None = None,
        async_session: AsyncSession | None = None,
        mongo: Database[dict[str, Any]] | None = None,
    ) -> Iterator[None]:
        """Let factories write here while the body runs; a fixture of your own wraps its ``yield`` in it.

        Args:
            session: where a ``SQLModelFactory`` adds its rows.
            async_session: where an ``AsyncSQLModelFactory`` adds its rows.
            mongo: where a ``MongoFactory`` inserts its documents.
        """
        binding = _Binding(session, async_session, mongo)
        self._bindings.append(binding)
        try:
            yield
        finally:
            # Not pop(): async plugins do not promise to end fixtures in the reverse order.
            self._bindings.remove(binding)

    def session(self, asker: str) -> Session:
        """The session of the running test.

        Args:
            asker: the factory's name, for the error.

        Raises:
            SettingError: no test runs, or the one that runs has no session.
        """
        found: Session = self._latest("session", asker)
        return found

    def async_session(self, asker: str) -> AsyncSession:
        """The async session of the running test; see ``session``."""
        found: AsyncSession = self._latest("async_session", asker)
        return found

    def mongo(self, asker: str) -> Database[dict[str, Any]]:
        """The MongoDB database of the running test; see ``session``."""
        found: Database[dict[str, Any]] = self._latest("mongo", asker)
        return found

    def _latest(self, kind: str, asker: str) -> Any:
        for binding in reversed(self._bindings):
            found = getattr(binding, kind)
            if found is not None:
                return found
        raise self._unbound(kind, asker)

    def _unbound(self, kind: str, asker: str) -> SettingError:
        fixture = _KINDS[kind].fixture
        own = f"a fixture of your own under that name wraps its yield in `with active.bind({kind}=...)`"
        if not self._test:
            return SettingError(
                f"{asker} was asked to create outside a test",
                why=f"it writes to the {fixture} of the running test, and no test is running",
                remedy=f"create inside a test or a fixture that asks for {fixture}; build() needs no database",
            )
        bound = [one for one in _KINDS if any(getattr(binding, one) is not None for binding in self._bindings)]
        if kind != "mongo" and (other := {"session", "async_session"}.intersection(bound)):
            given = _KINDS[other.pop()]
            return SettingError(
                f"{asker} has no {fixture} to write to in {self._test}",
                why=f"the test asked for {given.fixture}",
                remedy=f"derive the factory from {given.base}, or ask for {fixture} instead",
            )
        return SettingError(
            f"{asker} has no {fixture} to write to in {self._test}",
            why=f"neither the test nor a fixture before it asked for {fixture}",
            remedy=f"add {fixture} to the arguments of the test or of the fixture that creates; {own}",
        )


active = Active()
