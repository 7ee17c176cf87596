"""Template: the one database of a run that has the project's schema and seed, to be copied by all its processes."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from realdb_ci.services.contract import Server
from realdb_ci.services.postgres import database
from realdb_ci.services.postgres.backup import TEMPLATES
from realdb_ci.services.postgres.connections import connect

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

    from realdb_ci.services.postgres.schema import Schema

STRATEGIES_SINCE = 150000
STRATEGIES = ("FILE_COPY", "WAL_LOG")
KEY_LENGTH = 20


class Template:
    """A finished database that nobody may connect to.

    Its name ends in a key: a hash of what built it, the server's version and the settings. Who comes first builds
    it under a name of its own and renames it when all has succeeded, so a template that has the name is complete.
    A server of ours may have it from an earlier run.

    Args:
        server: where it lives.
        prefix: what its name starts with on a server that others use too; the same for all processes of a run.
        schema: what it is built from.
        built: called when it is complete, before anything is copied from it.
    """

    def __init__(self, server: Server, prefix: str, schema: Schema, built: Callable[[], None]) -> None:
        self._server = server
        self._schema = schema
        key = schema.fingerprint(server)
        self._built = built
        self._prefix = prefix
        self.name = f"{TEMPLATES if server.owned else f'{prefix}_template_'}{key[:KEY_LENGTH]}"
        self._lock_number = int(key[:15], 16)
        self._lock = threading.Lock()
        self._ready = False
        self._seconds: dict[str, float] = {}
        self._clones: set[str] = set()

    def fill(self, url: str) -> None:
        """Build what the template has in a database that is no copy of it."""
        if url not in self._clones:
            self._schema.build(url, self._server)

    def clone(self, name: str) -> str:
        """Make a database that starts as the template is; return its URL.

        Raises:
            RealdbError: the template could not be built, or the account may not create databases.
        """
        from psycopg2.sql import SQL, Identifier

        self._ensure()
        with (
            closing(connect(self._server.url, database.CONNECT_SECONDS)) as connection,
            connection.cursor() as cursor,
        ):
            strategy = self._strategy(cursor)
            began = time.perf_counter()
            cursor.execute(
                SQL("CREATE DATABASE {} TEMPLATE {}" + (f" STRATEGY {strategy}" if strategy else "")).format(
                    Identifier(name), Identifier(self.name)
                )
            )
            self._seconds[strategy] = time.perf_counter() - began
            database.limit_waiting(cursor, name)
        url = database.url_of(self._server.url, name)
        self._clones.add(url)
        return url

    def _strategy(self, cursor: Cursor) -> str:
        """How to copy: the first two clones try one way each, all others take the quicker one.

        Which it is depends on the size of the template and on the disk: FILE_COPY needs a checkpoint,
        WAL_LOG writes every page twice.
        """
        if cursor.connection.server_version < STRATEGIES_SINCE:
            return ""
        untried = [one for one in STRATEGIES if one not in self._seconds]
        return untried[0] if untried else min(self._seconds, key=lambda one: self._seconds[one])

    def _ensure(self) -> None:
        with self._lock:
            if self._ready:
                return
            with (
                closing(connect(self._server.url, database.CONNECT_SECONDS)) as connection,
                connection.cursor() as cursor,
            ):
                # Held by one builder at a time; PostgreSQL lets go of it should the builder die.
                cursor.execute("SELECT pg_advisory_lock(%s)", (self._lock_number,))
                cursor.execute("SELECT EXISTS (SELECT FROM pg_database WHERE datname = %s)", (self.name,))
                (finished,) = cursor.fetchone() or (False,)
                if not finished:
                    self._build(cursor)
            self._ready = True

    def _build(self, cursor: Cursor) -> None:
        from psycopg2.sql import SQL, Identifier

        private = f"{self._prefix}_building_{secrets.token_hex(6)}"
        try:
            self._schema.build(database.create(self._server, private, self._schema.extensions), self._server)
        except BaseException:
            database.drop(self._server.url, private)
            raise
        cursor.execute(SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false").format(Identifier(private)))
        cursor.execute(SQL("ALTER DATABASE {} RENAME TO {}").format(Identifier(private), Identifier(self.name)))
        if self._server.owned:
            self._built()
