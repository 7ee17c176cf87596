"""Databases: one for each test, empty or with the project's seed, dropped while the next tests run."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from realdb_ci.errors import IsolationWarning
from realdb_ci.services.mongodb.copies import Copies, Sow
from realdb_ci.services.mongodb.templates import Templates

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.database import Database

# A drop keeps a replica set waiting for its journal: 100 ms by default, no time on a server of ours. Drops that
# wait together wait once (see benchmarks/mongo_isolation.py).
DROPS_AT_ONCE = 8
CLOSE_SECONDS = 60.0
# A transaction that a test left open holds up a drop, and those behind it. A server of ours takes all with it.
OWNED_SECONDS = 2.0
NAMES_SHOWN = 5


class Databases:
    """Lends each test a database that holds nothing of another test.

    Args:
        client: of the server they live on; it must outlive this.
        name: makes a name of this process's own from a suffix.
        owned: whether the server ends with the run, and all its databases with it.
        templates: the seeds that the server keeps, None where it keeps none.
    """

    def __init__(
        self,
        client: MongoClient[dict[str, Any]],
        name: Callable[[str], str],
        *,
        owned: bool,
        templates: Templates | None = None,
    ) -> None:
        self._client = client
        self._name = name
        self._owned = owned
        self._templates = templates
        self._numbers = itertools.count(1)
        self._background = ThreadPoolExecutor(1 if owned else DROPS_AT_ONCE, "realdb-ci-mongodb")
        self._drops: dict[str, Future[object]] = {}
        self._borrowers: dict[str, str] = {}
        self._copies: dict[Sow, Copies] = {}
        self._lenders: dict[str, Copies] = {}

    def take(self, sow: Sow | None = None) -> Database[dict[str, Any]]:
        """A database for one test.

        Args:
            sow: fills a database; it is called once at most, and every database taken with it holds the same.
                Without it a database is empty, and begins to exist with its first collection.
        """
        if sow is None:
            if self._templates is not None:
                self._templates.start()
            return self._new()
        if sow not in self._copies:
            seed = self._templates.seed(sow) if self._templates is not None else None
            self._copies[sow] = Copies(sow, self._new, self._drop, self._background, undoes=self._owned)
            if seed is not None:
                self._copies[sow].know(seed)
        database = self._copies[sow].take()
        self._lenders[database.name] = self._copies[sow]
        return database

    def give_back(self, database: Database[dict[str, Any]], test: str = "") -> None:
        """Have it dropped, or made what it was where it had a seed, without waiting for that.

        Args:
            database: what was taken.
            test: the name of the test that had it.
        """
        self._borrowers[database.name] = test and f"({test})"
        lender = self._lenders.pop(database.name, None)
        if lender is None:
            self._drop(database)
        else:
            lender.give_back(database)

    def close(self) -> None:
        """Wait for the drops and warn of those that failed; a server of ours takes what is left with it."""
        if not self._owned:
            for copies in self._copies.values():
                copies.close()
        self._background.shutdown(wait=False, cancel_futures=self._owned)
        begun = {name: drop for name, drop in self._drops.items() if not drop.cancelled()}
        wait(begun.values(), CLOSE_SECONDS)
        failed = {name: problem for name, drop in begun.items() if (problem := _problem(drop))}
        if failed:
            more = len(failed) - NAMES_SHOWN
            named = (f"{name} {self._borrowers.get(name, '')}".strip() for name in list(failed)[:NAMES_SHOWN])
            shown = ", ".join(named) + (f" and {more} more" if more > 0 else "")
            warnings.warn(
                IsolationWarning(f"MongoDB did not drop {shown}: {next(iter(failed.values()))}"), stacklevel=2
            )

    def _new(self) -> Database[dict[str, Any]]:
        return self._client[self._name(f"_{next(self._numbers)}")]

    def _drop(self, database: Database[dict[str, Any]]) -> None:
        limit = int((OWNED_SECONDS if self._owned else CLOSE_SECONDS) * 1000)
        self._drops[database.name] = self._background.submit(database.command, "dropDatabase", maxTimeMS=limit)


def _problem(drop: Future[object]) -> str:
    """Why a database is not dropped, or nothing."""
    if not drop.done():
        drop.cancel()
        return f"it took longer than {CLOSE_SECONDS:g} s"
    # PyMongo goes on to show the server's whole answer.
    return str(drop.exception() or "").partition(", full error:")[0]
