"""Backup: how the data of a PostgreSQL server are copied for the next run, and what of a copy is believed.

A copy may come from anywhere, so the files in it that configure a server are written anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from realdb_ci.services.postgres.connections import connect
from realdb_ci.services.recipes import Backup

# What the names of finished templates start with on a server of ours, whichever run has built them.
TEMPLATES = "realdb_template_"
# Templates that a snapshot holds on to, for whoever goes back and forth between branches.
TEMPLATES_KEPT = 3
# What initdb makes has a lower one (FirstNormalObjectId in PostgreSQL's access/transam.h).
FIRST_OID = 16384
# The image's entry point takes a folder with data as it is. Since version 18 there are folders above it, which are
# made by one account and passed through by another.
RESTORE = """
(umask 022; mkdir -p "$PGDATA")
tar -xf - -C "$PGDATA"
chmod 700 "$PGDATA"
if [ "$(id -u)" = 0 ]; then chown -R postgres "$PGDATA"; fi
"""
_COPY = ("-D", "-", "-F", "tar", "-X", "fetch", "-c", "fast", "-w")
# What initdb writes by the machine's language and zone: the same in a run from a snapshot as in one without.
LANGUAGE = (
    "datestyle",
    "default_text_search_config",
    "lc_messages",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "password_encryption",
    "timezone",
)
# What else it writes, or the image's sample file: our arguments say it, or it is the same in every new server.
_NEUTRAL = (
    "autovacuum_worker_slots",
    "dynamic_shared_memory_type",
    "listen_addresses",
    "log_timezone",
    "max_connections",
    "max_wal_size",
    "min_wal_size",
    "shared_buffers",
)
_LINE = re.compile(rf"^({'|'.join(LANGUAGE)})\s*=\s*'?([\w./:@+, -]*)'?\s*(?:#.*)?$", re.IGNORECASE)
# PostgreSQL takes "md5" for SCRAM, too, wherever the stored password is one.
_CONTAINER_ACCESS = """
local all all trust
local replication all trust
host all all 127.0.0.1/32 trust
host all all ::1/128 trust
host all all all md5
"""
_PROCESS_ACCESS = """
host all all 127.0.0.1/32 md5
host replication all 127.0.0.1/32 md5
"""
# All that would meet the next version of a schema that makes it again, and all that comes from a test.
_BEYOND = """
SELECT 'the schema makes the role ' || rolname FROM pg_roles WHERE oid >= %(first)s
UNION ALL SELECT 'the schema makes the tablespace ' || spcname FROM pg_tablespace WHERE oid >= %(first)s
UNION ALL SELECT 'the schema changes settings of roles or other databases' FROM pg_db_role_setting
    WHERE setdatabase NOT IN (SELECT oid FROM pg_database WHERE starts_with(datname, %(ours)s))
UNION ALL SELECT 'the schema changes the setting ' || name || ' of the server' FROM pg_file_settings
    WHERE sourcefile LIKE '%%postgresql.auto.conf'
UNION ALL SELECT 'the image sets ' || name || ' in a file' FROM pg_file_settings
    WHERE sourcefile NOT LIKE '%%postgresql.auto.conf' AND lower(name) <> ALL(%(known)s)
UNION ALL SELECT 'tests have begun on this server' FROM pg_database
    WHERE starts_with(datname, 'realdb_') AND NOT starts_with(datname, %(ours)s)
LIMIT 1
"""


def in_container(user: str) -> Backup:
    """The backup of a server in a container of the official image."""
    command = " ".join(("PGPASSWORD=$POSTGRES_PASSWORD exec pg_basebackup -U", user, *_COPY))
    return Backup(("sh", "-c", command), unfit, adopt, _own(_CONTAINER_ACCESS))


def of_process(program: Path, port: int, user: str) -> Backup | None:
    """The backup of a server of this machine, None where its installation lacks the program."""
    if not program.is_file():
        return None
    command = (str(program), "-h", "127.0.0.1", "-p", str(port), "-U", user, *_COPY)
    return Backup(command, unfit, adopt, _own(_PROCESS_ACCESS))


def unfit(url: str) -> str:
    """Why the data of this server may not be kept, empty where they may: all they hold is finished templates."""
    values = {"ours": TEMPLATES, "first": FIRST_OID, "known": [*LANGUAGE, *_NEUTRAL]}
    with closing(connect(url, 10)) as connection, connection.cursor() as cursor:
        cursor.execute(_BEYOND, values)
        (found,) = cursor.fetchone() or ("",)
    return str(found)


def adopt(url: str, secret: str) -> None:
    """Give the administrator of an earlier run's data a new password, and let go of its oldest templates."""
    from psycopg2.sql import SQL, Identifier

    with closing(connect(url, 10)) as connection, connection.cursor() as cursor:
        cursor.execute("ALTER ROLE CURRENT_USER PASSWORD %s", (secret,))
        cursor.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY oid DESC OFFSET %s",
            (TEMPLATES, TEMPLATES_KEPT),
        )
        for (name,) in cursor.fetchall():
            cursor.execute(SQL("DROP DATABASE {}").format(Identifier(name)))


def _own(access: str) -> Mapping[str, Callable[[bytes], bytes]]:
    return {
        "postgresql.conf": _configuration,
        "postgresql.auto.conf": lambda _: b"",
        "pg_hba.conf": lambda _: access.encode(),
        "pg_ident.conf": lambda _: b"",
        "tablespace_map": _empty,
        "standby.signal": _refused,
        "recovery.signal": _refused,
    }


def _configuration(theirs: bytes) -> bytes:
    """A configuration of ours, with the language and the zone of theirs."""
    found = (_LINE.match(line.strip()) for line in theirs.decode("utf-8", "replace").splitlines())
    told = {one[1].lower(): one[2] for one in found if one}
    lines = ["listen_addresses = '*'", *(f"{name} = '{value}'" for name, value in told.items())]
    return "\n".join((*lines, "")).encode()


def _empty(content: bytes) -> bytes:
    if content.strip():
        raise ValueError("it has tablespaces elsewhere")
    return b""


def _refused(_: bytes) -> bytes:
    raise ValueError("it is the copy of another server's standby")
