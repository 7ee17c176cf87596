"""Broker: one process owns the servers, others ask it for them.

``realdb-ci run`` owns them for the suites it starts, and an xdist controller for its workers. Requests and
answers are JSON on a loopback connection that both sides authenticate with a key handed down by the owner:
never pickles, because the tested code on the other side is not to be trusted.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener, answer_challenge, deliver_challenge
from typing import Any, Self

from realdb_ci.errors import RealdbError, ServerError, SettingError
from realdb_ci.servers import Source
from realdb_ci.services.contract import Server, Wish

BACKLOG = 128
Record = Callable[[str, Mapping[str, Any]], None]


class Broker:
    """Answers requests for servers from a source this process has.

    Args:
        source: where the servers come from.
        record: given the events that the other processes want recorded.
    """

    def __init__(self, source: Source, record: Record) -> None:
        self._source = source
        self._record = record
        self._key = secrets.token_bytes(16)
        # No key here: each asker is challenged in its own thread, and a silent one keeps no other waiting. The
        # queue holds all workers at once: one that finds no room in it would wait for our challenge for ever.
        self._listener = Listener(("127.0.0.1", 0), backlog=BACKLOG)
        self._port = int(self._listener.address[1])
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="realdb-ci-broker", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> str:
        """What another process needs to ask: port and key, as one word for an environment variable."""
        return f"{self._port}:{self._key.hex()}"

    def close(self) -> None:
        """Take no more requests; safe to call twice."""
        self._closing.set()
        # Closing a socket does not wake the thread that waits in accept; a last visitor does.
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        self._thread.join()
        self._listener.close()

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                connection = self._listener.accept()
            except OSError:
                continue  # somebody who went away
            threading.Thread(target=self._serve, args=(connection,), name="realdb-ci-request", daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        with connection:
            try:
                deliver_challenge(connection, self._key)
                answer_challenge(connection, self._key)
                answer = self._answer(json.loads(connection.recv_bytes()))
            except AuthenticationError:
                return  # a stranger
            except RealdbError as problem:
                answer = {"problem": problem.to_dict()}
            except (EOFError, OSError, ValueError, KeyError, TypeError) as problem:
                answer = {"problem": {"what": f"The request could not be read: {problem!r}"}}
            try:
                connection.send_bytes(json.dumps(answer).encode())
            except OSError:
                return  # the asker is gone

    def _answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        match request["ask"]:
            case "prefix":
                return {"prefix": self._source.prefix}
            case "begin":
                self._source.begin(Wish.from_dict(request["wish"]))
                return {}
            case "get":
                return {"server": self._source.get(Wish.from_dict(request["wish"])).to_dict()}
            case "log":
                return {"log": self._source.log(Wish.from_dict(request["wish"]), request["since"])}
            case "built":
                self._source.built(Wish.from_dict(request["wish"]))
                return {}
            case "record":
                self._record(request["event"], request["fields"])
                return {}
        raise ValueError(request["ask"])


class RemoteServers:
    """The servers another process owns, behind a Broker's address."""

    def __init__(self, address: str) -> None:
        port, _, key = address.partition(":")
        self._address = ("127.0.0.1", int(port))
        self._key = bytes.fromhex(key)
        self.prefix: str = self._ask(ask="prefix")["prefix"]

    def begin(self, wish: Wish) -> None:
        """Ask the owner to start that server."""
        self._ask(ask="begin", wish=wish.to_dict())

    def get(self, wish: Wish) -> Server:
        """The owner's server, once it is ready."""
        return Server.from_dict(self._ask(ask="get", wish=wish.to_dict())["server"])

    def log(self, wish: Wish, since: float | None = None) -> str:
        """Log lines of the owner's server; see ``Source``."""
        return str(self._ask(ask="log", wish=wish.to_dict(), since=since)["log"])

    def built(self, wish: Wish) -> None:
        """Tell the owner that a template has been finished on that server."""
        self._ask(ask="built", wish=wish.to_dict())

    def record(self, event: str, fields: Mapping[str, Any]) -> None:
        """Have the owner record an event."""
        self._ask(ask="record", event=event, fields=dict(fields))

    def _ask(self, **request: Any) -> dict[str, Any]:
        try:
            with Client(self._address, authkey=self._key) as connection:
                connection.send_bytes(json.dumps(request).encode())
                answer: dict[str, Any] = json.loads(connection.recv_bytes())
        except (OSError, EOFError, AuthenticationError) as problem:
            raise ServerError(
                "The process that owns the servers does not answer",
                why=f"{type(problem).__name__}: {problem}",
                remedy="It was probably interrupted; run again.",
            ) from None
        if "problem" in answer:
            raise _raised(answer["problem"])
        return answer


def _raised(problem: Mapping[str, Any]) -> RealdbError:
    """The problem another process had, as an error here: of the class that ends with the same exit code."""
    kind = SettingError if problem.get("exit_code") == SettingError.exit_code else ServerError
    return kind(
        problem["what"],
        why=problem.get("why", ""),
        remedy=problem.get("remedy", ""),
        log=problem.get("log", ""),
    )
