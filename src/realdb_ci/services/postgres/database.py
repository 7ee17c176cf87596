"""Databases on a PostgreSQL server: make one, copy one, drop one, connect to one."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from realdb_ci.errors import ServerError
from realdb_ci.services.contract import Server
from realdb_ci.services.postgres.connections import APPLICATION, connect
from realdb_ci.services.urls import masked

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812
    from sqlalchemy import Engine

CONNECT_SECONDS = 10
# A second connection that waits for a row of the test's own open transaction would wait for ever.
LOCK_SECONDS = 10
DRIVER = "postgresql+psycopg2"


def url_of(server_url: str, name: str) -> str:
    """The URL of database ``name`` on the server."""
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


def create(server: Server, name: str, extensions: Sequence[str] = ()) -> str:
    """Make an empty UTF-8 database with these extensions; return its URL.

    Raises:
        ServerError: the account may not create databases, or the server lacks an extension.
    """
    import psycopg2
    from psycopg2.sql import SQL, Identifier

    with closing(connect(server.url, CONNECT_SECONDS)) as connection, connection.cursor() as cursor:
        try:
            cursor.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
            limit_waiting(cursor, name)
        except psycopg2.errors.InsufficientPrivilege as problem:
            raise ServerError(
                f"The account in {masked(server.url)} may not create databases",
                why=" ".join(str(problem).split()),
                remedy="Each test process works in a database of its own: ALTER ROLE <name> CREATEDB.",
            ) from None
    url = url_of(server.url, name)
    with closing(connect(url, CONNECT_SECONDS)) as connection, connection.cursor() as cursor:
        for extension in extensions:
            try:
                cursor.execute(SQL("CREATE EXTENSION IF NOT EXISTS {}").format(Identifier(extension)))
            except psycopg2.Error as problem:
                raise lacking(server, url, str(problem)) from None
    return url


def keep(server_url: str, name: str) -> str:
    """Save a database from the sweep at the end of the run, under another name; return its URL."""
    from psycopg2.sql import SQL, Identifier

    kept = f"realdb_kept_{secrets.token_hex(4)}"
    with closing(connect(server_url, CONNECT_SECONDS)) as connection, connection.cursor() as cursor:
        # Renaming needs a database without connections, and a failed test may have left some.
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        cursor.execute(SQL("ALTER DATABASE {} RENAME TO {}").format(Identifier(name), Identifier(kept)))
    return url_of(server_url, kept)


def limit_waiting(cursor: Cursor, name: str) -> None:
    """Let no connection to a database wait for a lock for ever, whoever opens it."""
    from psycopg2.sql import SQL, Identifier, Literal

    setting = SQL("ALTER DATABASE {} SET lock_timeout = {}").format(Identifier(name), Literal(f"{LOCK_SECONDS}s"))
    cursor.execute(setting)


def drop(server_url: str, name: str) -> None:
    """Drop a database, ending connections that tests left open."""
    from psycopg2.sql import SQL, Identifier

    with closing(connect(server_url, CONNECT_SECONDS)) as connection, connection.cursor() as cursor:
        cursor.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


def engine_of(url: str) -> Engine:
    """An engine of the database at ``url``.

    The driver is the one that our extra installs: which one a bare URL means differs between SQLAlchemy 2.0
    and 2.1.
    """
    from sqlalchemy import create_engine, make_url

    return create_engine(make_url(url).set(drivername=DRIVER), connect_args={"application_name": APPLICATION})


@contextmanager
def disposable(url: str) -> Iterator[Engine]:
    """An engine that leaves no connection behind."""
    engine = engine_of(url)
    try:
        yield engine
    finally:
        engine.dispose()


def lacking(server: Server, url: str, why: str) -> ServerError:
    """The error for a schema the server cannot hold, with what the server has to offer."""
    with closing(connect(url, CONNECT_SECONDS)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(name, ', ' ORDER BY name) FROM pg_available_extensions")
        (extensions,) = cursor.fetchone() or ("",)
        cursor.execute("SELECT count(*) FROM pg_collation WHERE collprovider = 'i'")
        (icu,) = cursor.fetchone() or (0,)
    return ServerError(
        f"The schema cannot be built on {server.version} ({server.engine}, {server.origin})",
        why=" ".join(why.split()),
        remedy="If the server lacks what the schema asks for, name what is needed under extensions, "
        "or use an image that has it. "
        f"This server has {'ICU collations' if icu else 'no ICU collations'} and the extensions {extensions}.",
    )
