"""The Redis recipe: in memory alone, with a password, and with a numbered database for each test process."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from realdb_ci import processes
from realdb_ci.errors import EnvironmentProblem, ServerError
from realdb_ci.services.contract import Facts
from realdb_ci.services.recipes import ContainerRecipe, Installation, ProcessRecipe, ask_version
from realdb_ci.services.urls import masked, scrubbed

if TYPE_CHECKING:
    from redis import Redis as Client

# One for each process of a run, those of replaced workers included; an empty one costs next to nothing.
DATABASES = 1024
# Nothing of a test needs to reach a disk.
TUNING = {"save": "", "appendonly": "no"}


class Redis:
    """The service ``redis``."""

    name = "redis"
    title = "Redis"
    aliases = ("valkey",)
    schemes = ("redis", "rediss")
    default_image = "redis:7"
    default_port = 6379
    refuses_root = False
    extra = "redis"

    def require_driver(self) -> None:
        """Raise EnvironmentProblem where redis-py is not installed."""
        try:
            import redis  # noqa: F401
        except ImportError as problem:
            raise EnvironmentProblem(
                "Redis needs the driver redis", why=str(problem), remedy="pip install 'realdb-ci[redis]'"
            ) from None

    def container(self, secret: str) -> ContainerRecipe:
        """The official image takes the server's options as its arguments."""
        options = {**TUNING, "databases": str(DATABASES), "requirepass": secret}
        command = tuple(word for name, value in options.items() for word in (f"--{name}", value))
        return ContainerRecipe({}, command, 6379, "/data")

    def installations(self, environ_path: str) -> Iterable[Installation]:
        """``redis-server`` on PATH."""
        for entry in environ_path.split(os.pathsep):
            binary = Path(entry) / "redis-server"
            if entry and os.access(binary, os.X_OK):
                version, complaint = ask_version(binary)
                yield Installation(binary, "PATH", version, complaint=complaint)

    def process(self, found: Installation, home: Path, port: int, secret: str) -> ProcessRecipe:
        """A server of its own in ``home``; its password stands in a file that only it can read."""
        options = {
            **TUNING,
            "databases": str(DATABASES),
            "requirepass": secret,
            "bind": "127.0.0.1",
            "port": str(port),
            "dir": str(home),
        }
        lines = (f'{name} "{value}"\n' for name, value in options.items())
        # Nothing in it is worth an orderly end.
        return ProcessRecipe(
            {"redis.conf": "".join(lines)}, (), (str(found.binary), str(home / "redis.conf")), processes.KILL
        )

    def url(self, host: str, port: int, secret: str) -> str:
        """The URL of database 0."""
        return f"redis://:{secret}@{host}:{port}/0"

    def handshake(self, url: str, seconds: float) -> None:
        """Ping."""
        from redis.exceptions import AuthenticationError, RedisError, ResponseError

        try:
            with connect(url, seconds) as client:
                client.ping()
        except (AuthenticationError, ResponseError) as problem:
            raise ServerError(
                f"Redis at {masked(url)} refuses us",
                why=scrubbed(str(problem), url),
                remedy="Correct the user, the password or the database number in the URL.",
            ) from None
        except RedisError as problem:
            raise ConnectionError(str(problem)) from None

    def settle(self, url: str, *, owned: bool) -> Facts:
        """Read the version, and on a server of ours that it really writes nothing to a disk.

        Raises:
            ServerError: a setting that did not take.
        """
        with connect(url, 10) as client:
            version = f"Redis {client.info('server')['redis_version']}"
            # Hosted servers often forbid CONFIG.
            settings: dict[str, str] = {}
            if owned:
                for name in (*TUNING, "databases"):
                    settings.update(client.config_get(name))
        kept = {name: settings[name] for name, value in TUNING.items() if owned and settings[name] != value}
        if kept:
            raise ServerError(
                f"The server at {masked(url)} did not take the settings for tests",
                why=", ".join(f"{name} is {value}" for name, value in kept.items()),
                remedy="Remove the configuration in the image that overrides the server's arguments.",
            )
        return Facts(version, settings)

    def sweep(self, url: str, prefix: str) -> None:
        """Do nothing: databases of Redis have numbers, not names; each process empties its own."""


def connect(url: str, seconds: float) -> Client:
    """A client that gives up after ``seconds`` and does not try again, answering in text."""
    from redis import Redis as Client
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return Client.from_url(
        url,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        decode_responses=True,
        retry=Retry(NoBackoff(), 0),
    )
