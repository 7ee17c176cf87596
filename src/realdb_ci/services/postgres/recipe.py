"""The PostgreSQL recipe: run it, greet it, and read back what we asked of it."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from realdb_ci.errors import EnvironmentProblem, ServerError
from realdb_ci.services.contract import Facts
from realdb_ci.services.postgres import backup, installations
from realdb_ci.services.postgres.connections import connect
from realdb_ci.services.recipes import ContainerRecipe, Installation, ProcessRecipe
from realdb_ci.services.urls import masked

USER = "realdb"
# A test database that is lost with its machine loses nothing: no write needs to reach a disk. jit only slows
# down queries as small as those of tests; the planner and the results stay the same.
DURABILITY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
TUNING = {**DURABILITY, "jit": "off", "max_connections": "200", "shared_buffers": "128MB", "max_wal_size": "1GB"}
# Segments of the log are written as a whole, by initdb and into every snapshot: small ones make both quicker. How
# much is logged between two checkpoints (max_wal_size) would shrink with them.
INITDB = ("--encoding=UTF8", "--no-sync", "--wal-segsize=1")
# The time in UTC, the process and the database, by which a test's lines are found among those of all tests.
LOG = {"log_line_prefix": "%m [%p] %d ", "log_timezone": "UTC"}
BUILTIN_LOCALE_SINCE = 17


class Postgres:
    """The service ``postgres``."""

    name = "postgres"
    title = "PostgreSQL"
    aliases = ("postgresql", "postgis", "pgvector", "timescaledb")
    schemes = ("postgresql", "postgres")
    default_image = "postgres:17-alpine"
    default_port = 5432
    refuses_root = True
    extra = "postgres"

    def require_driver(self) -> None:
        """Raise EnvironmentProblem where psycopg2 is not installed."""
        try:
            import psycopg2  # noqa: F401
        except ImportError as problem:
            raise EnvironmentProblem(
                "PostgreSQL needs the driver psycopg2",
                why=str(problem),
                remedy="pip install 'realdb-ci[postgres]'",
            ) from None

    def container(self, secret: str) -> ContainerRecipe:
        """The official image's variables; the server's settings come as its arguments."""
        settings = [word for name, value in (TUNING | LOG).items() for word in ("-c", f"{name}={value}")]
        env = {
            "POSTGRES_USER": USER,
            "POSTGRES_PASSWORD": secret,
            # Else it makes one of the user's name, which nobody would use.
            "POSTGRES_DB": "postgres",
            "POSTGRES_INITDB_ARGS": " ".join(INITDB),
        }
        return ContainerRecipe(
            env,
            ("postgres", *settings),
            5432,
            "/var/lib/postgresql/data",
            backup.RESTORE,
            backup.in_container(USER),
        )

    def installations(self, environ_path: str) -> Iterable[Installation]:
        """Full servers of the machine first, the wheel's last."""
        return installations.find(environ_path)

    def process(self, found: Installation, home: Path, port: int, secret: str) -> ProcessRecipe:
        """A cluster of its own in ``home``, with a password on the loopback address and no Unix socket."""
        data, programs = home / "data", found.binary.parent
        initdb = (
            str(programs / "initdb"),
            f"--pgdata={data}",
            f"--username={USER}",
            f"--pwfile={home / 'password'}",
            "--auth=scram-sha-256",
            *INITDB,
        )
        locales: tuple[tuple[str, ...], ...] = (("--locale=C.UTF-8",), ("--no-locale",))
        if found.major >= BUILTIN_LOCALE_SINCE:
            locales = (("--locale-provider=builtin", "--locale=C.UTF-8"), *locales)
        settings = {
            **TUNING,
            **LOG,
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
        }
        return ProcessRecipe(
            # libpq finds a password in its user's home, which this folder is to the server's programs.
            files={"password": secret, ".pgpass": f"*:*:*:{USER}:{secret}\n"},
            prepare=(tuple((*initdb, *locale) for locale in locales),),
            command=(
                str(found.binary),
                f"-D{data}",
                *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
            ),
            stop=signal.SIGINT,
            backup=backup.of_process(programs / "pg_basebackup", port, USER),
        )

    def url(self, host: str, port: int, secret: str) -> str:
        """A plain libpq URL; SQLAlchemy, psycopg and asyncpg read it too."""
        return f"postgresql://{USER}:{secret}@{host}:{port}/postgres"

    def handshake(self, url: str, seconds: float) -> None:
        """Log in and ask for one row."""
        with closing(connect(url, seconds)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    def settle(self, url: str, *, owned: bool) -> Facts:
        """Check the encoding, and on a server of ours that durability is really off.

        Raises:
            ServerError: a database that cannot hold Unicode, or a setting that did not take.
        """
        names = ("server_encoding", "lc_collate", "default_transaction_isolation", "TimeZone", *TUNING)
        with closing(connect(url, 10)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(%s)"
                " UNION ALL SELECT 'lc_collate', datcollate FROM pg_database"
                " WHERE datname = current_database()",
                (list(names),),
            )
            settings = dict(cursor.fetchall())
            version = f"PostgreSQL {connection.info.parameter_status('server_version')}"
        if settings["server_encoding"] != "UTF8":
            raise ServerError(
                f"The database at {masked(url)} has the encoding {settings['server_encoding']}",
                why="only UTF8 holds every text; drivers fail on bytes they cannot name",
                remedy="Make the cluster with initdb --encoding=UTF8, or give the URL of a UTF8 database.",
            )
        kept = {name: settings[name] for name in DURABILITY if owned and settings[name] != "off"}
        if kept:
            raise ServerError(
                f"The server at {masked(url)} did not take the settings for tests",
                why=", ".join(f"{name} is {value}" for name, value in kept.items()),
                remedy="Remove the configuration in the image that overrides the server's arguments.",
            )
        return Facts(version, settings)

    def sweep(self, url: str, prefix: str) -> None:
        """Drop every database whose name starts with ``prefix``, connections or not."""
        from realdb_ci.services.postgres.database import drop

        with closing(connect(url, 10)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (prefix,))
            names = [name for (name,) in cursor.fetchall()]
        for name in names:
            drop(url, name)
