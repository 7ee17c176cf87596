"""What an engine promises, and what it is handed: the run it works for."""

from __future__ import annotations

import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from realdb_ci.engines.guard import Guard
from realdb_ci.engines.snapshots import Finish, Snapshots
from realdb_ci.services.contract import Server, Service, Wish

if TYPE_CHECKING:
    from docker import DockerClient

RUN_LABEL = "realdb-ci.run"


@dataclass(frozen=True)
class Notice:
    """One step of getting a server, for whoever shows progress.

    Attributes:
        service: the service's name.
        stage: pull, pulled, start, ready, failed, snapshot, or left for what could not be removed.
        detail: a few words for a person.
        done, total: bytes of a pull, 0 where there is nothing to count.

    """

    service: str
    stage: str
    detail: str
    done: int = 0
    total: int = 0


Notify = Callable[[Notice], None]


class Stock(Protocol):
    """Images that are kept between runs; used by several threads at once."""

    def load(self, client: DockerClient, name: str) -> bool:
        """Have the daemon hold the image of that full name; whether it does now."""

    def pulled(self, name: str, seconds: float, limited: bool) -> None:
        """Take notice of a pull: what it took, and whether the registry limited us."""


class Run:
    """One run of ours on this machine: its id, its private folders and what has to go at its end.

    Threads of several services share one Run; its methods may be called from any of them.

    Args:
        notify: told of every step.
        patience: seconds to wait before each further attempt to pull an image.
        snapshots: where data are kept between runs, None to keep none.
        stock: where images are kept between runs, None to pull all that are missing.
    """

    def __init__(
        self,
        notify: Notify = lambda _: None,
        patience: tuple[float, ...] = (),
        snapshots: Snapshots | None = None,
        stock: Stock | None = None,
    ) -> None:
        self.id = uuid.uuid4().hex[:12]
        self.patience = patience
        self.snapshots = snapshots
        self.stock = stock
        self.notify = notify
        self.guard = Guard()
        self.cancelled = threading.Event()
        self.hurried = False
        """Whether there is no time left to wait for anything."""
        self.lock = threading.RLock()
        self._cleanups: list[Callable[[], object]] = []

    @property
    def prefix(self) -> str:
        """What the name of every database of this run starts with."""
        return f"realdb_{self.id}"

    def folder(self, purpose: str, parent: Path | None = None) -> Path:
        """A private folder of this run (mode 0700), removed at the run's end even if we are killed."""
        made = Path(tempfile.mkdtemp(prefix=f"realdb-ci-{self.id}-{purpose}-", dir=parent))
        self.guard.directory(made)
        self.at_end(lambda: shutil.rmtree(made, ignore_errors=True))
        return made

    def at_end(self, cleanup: Callable[[], object]) -> None:
        """Call ``cleanup`` when the run ends; the last registered goes first."""
        with self.lock:
            self._cleanups.append(cleanup)

    def close(self, *, orderly: bool = True) -> None:
        """End the run: every clean-up is tried, whatever the others raise; the next call tries an interrupted one.

        Args:
            orderly: False where something is still starting and cannot be stopped; the guard then waits
                for our end and removes what is left.
        """
        self.cancelled.set()
        while self._cleanups:
            cleanup = self._cleanups[-1]
            try:
                cleanup()
            except Exception as problem:  # noqa: BLE001  # the others are tried, and the guard tries this one again
                orderly = False
                self.notify(Notice("the run", "left", " ".join(str(problem).split())))
            self._cleanups.remove(cleanup)
        if orderly:
            self.guard.dismiss()


@dataclass(frozen=True)
class Running:
    """A server that an engine started or was given, and how to be rid of it.

    Attributes:
        server: the server.
        stop: ends it.
        log: its last lines.
        log_since: the lines it wrote since then, in seconds since the epoch; none of a server that was given.
        keep: copies its data as they are now; what it returns keeps them for the next run, and may be called later.
        dead: says how it ended if it has, else None.
    """

    server: Server
    stop: Callable[[], None] = field(default=lambda: None)
    log: Callable[[], str] = field(default=lambda: "")
    log_since: Callable[[float], str] = field(default=lambda _: "")
    keep: Callable[[], Finish] = field(default=lambda: lambda: None)
    dead: Callable[[], str | None] = field(default=lambda: None)


@dataclass(frozen=True)
class Offer:
    """How an engine would serve a wish, in words for ``realdb-ci doctor``."""

    engine: str
    detail: str


class Engine(Protocol):
    """A way to get a server. Each engine is a module with these three names."""

    NAME: str

    def offer(self, service: Service, wish: Wish) -> Offer:
        """Say how the wish would be served, without starting anything.

        Raises:
            Refusal: this engine cannot serve it here, and why.

        """

    def start(self, service: Service, wish: Wish, run: Run) -> Running:
        """Get the server and wait until it answers.

        Raises:
            Refusal: this engine cannot serve it here; another one may.
            ServerError: it should have worked, and did not; no other engine is to hide that.

        """
