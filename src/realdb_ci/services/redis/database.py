"""A numbered database for each test process, and nobody's keys deleted but its own."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from realdb_ci.errors import SettingError
from realdb_ci.services.contract import Server
from realdb_ci.services.redis.recipe import DATABASES, connect
from realdb_ci.services.urls import masked

_COUNTER = "realdb-ci:processes"


def claim(server: Server, worker: int) -> str:
    """URL of a database that belongs to this process alone.

    Args:
        server: the run's server. On one of ours each process counts on; on a given one the database of the URL is
            the first worker's, the next one the second worker's.
        worker: this process's place among the workers, from 0.

    Raises:
        SettingError: the database of a given server holds keys, which are not ours to delete.
    """
    if server.owned:
        with connect(server.url, 10) as client:
            return numbered(server.url, 1 + (int(client.incr(_COUNTER)) - 1) % (DATABASES - 1))
    first = urlsplit(server.url).path.strip("/")
    url = numbered(server.url, int(first or 0) + worker)
    with connect(url, 10) as client:
        keys = client.dbsize()
    if keys:
        raise SettingError(
            f"The Redis database at {masked(url)} is not empty",
            why=f"it holds keys ({keys}), and each test would begin with deleting them",
            remedy="Give the URL of an empty database, or empty this one with FLUSHDB if nobody needs it.",
        )
    return url


def empty(url: str) -> None:
    """Delete every key of that database."""
    with connect(url, 10) as client:
        client.flushdb()


def numbered(url: str, number: int) -> str:
    """The URL with another database number."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{number}"))
