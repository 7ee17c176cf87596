"""Ready: wait until a server answers its own protocol, and stop waiting the moment it is dead."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realdb_ci.errors import ServerError
from realdb_ci.services.contract import Service
from realdb_ci.services.urls import address_of

if TYPE_CHECKING:
    from realdb_ci.engines.contract import Run

POLL_SECONDS = 0.02
HANDSHAKE_SECONDS = 5.0
_SILENT = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT}


class Silence(Exception):
    """Packets to this address go nowhere, although the server lives: another way to it may work."""


@dataclass(frozen=True)
class Starting:
    """A server that is starting, seen from outside.

    Attributes:
        service: whose handshake to make.
        url: the administrator's URL.
        dead: says how the server ended if it has, else None.
        log: its last log lines.
    """

    service: Service
    url: str
    dead: Callable[[], str | None]
    log: Callable[[], str]


def wait(starting: Starting, run: Run, *, timeout: float, silence: float | None = None) -> None:
    """Return when the server completes a handshake.

    Args:
        starting: the server.
        run: checked for cancellation between two attempts.
        timeout: seconds to wait in all.
        silence: seconds without even a refused connection after which another way should be tried.

    Raises:
        ServerError: it ended, never answered, or refuses us for good; the message holds its last log lines.
        Silence: nothing came back for ``silence`` seconds.
    """
    service, began = starting.service, time.monotonic()
    host, port = address_of(starting.url, service.default_port)
    silent_since: float | None = began
    while True:
        _check_alive(starting, run)
        try:
            # A plain socket first: drivers that come too early retry in steps of half a second.
            socket.create_connection((host, port), timeout=1.0).close()
            service.handshake(starting.url, HANDSHAKE_SECONDS)
        except OSError as problem:  # ConnectionError and time-outs are OSErrors
            quiet = isinstance(problem, TimeoutError) or problem.errno in _SILENT
            silent_since = silent_since if quiet else None
            last = str(problem)
        else:
            return
        now = time.monotonic()
        if silence is not None and silent_since is not None and now - silent_since > silence:
            raise Silence(f"no packet came back from {host}:{port} within {silence:g} s")
        if now - began > timeout:
            raise ServerError(
                f"{service.title} did not answer on {host}:{port} within {timeout:g} s",
                why=f"last attempt: {' '.join(last.split())}",
                remedy="Raise startup_timeout if the machine is slow; its log may say what it waits for.",
                log=starting.log(),
            )
        time.sleep(POLL_SECONDS)


def _check_alive(starting: Starting, run: Run) -> None:
    title = starting.service.title
    ended = starting.dead()
    if ended:
        raise ServerError(
            f"{title} ended while it was starting: {ended}",
            why="its last log lines say why",
            remedy="Mend the image, its settings or the machine; realdb-ci doctor shows what would be used.",
            log=starting.log(),
        )
    if run.cancelled.is_set():
        raise ServerError(f"{title} was not waited for", why="the run was interrupted")
