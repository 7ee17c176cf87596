"""Servers: those of one run. Each is started once, in a thread of its own, and given to all who ask."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol, Self

from realdb_ci import engines, services
from realdb_ci.engines.contract import Notice, Notify, Run, Running, Stock
from realdb_ci.engines.snapshots import Snapshots
from realdb_ci.errors import RealdbError, ServerError
from realdb_ci.services.contract import Server, Wish
from realdb_ci.services.urls import scrubbed

# For all that is still starting together, when the run ends; and where there is no time.
STOP_SECONDS = 30.0
HURRIED_SECONDS = 1.0


class Source(Protocol):
    """Where servers come from: this process, or another one that owns them."""

    @property
    def prefix(self) -> str:
        """What the name of every database of this run starts with."""

    def begin(self, wish: Wish) -> None:
        """Start to get that server, without waiting for it."""

    def get(self, wish: Wish) -> Server:
        """The server, once it is ready.

        Raises:
            RealdbError: it could not be had, and every later call raises the same; or it has ended since.
        """

    def log(self, wish: Wish, since: float | None = None) -> str:
        """Log lines of that server, empty where there are none to read.

        Args:
            wish: which server.
            since: seconds since the epoch, for the lines from then on; None for the last few lines.
        """

    def built(self, wish: Wish) -> None:
        """Take notice that a template has been finished on that server, and no test has run on it yet."""


class Servers:
    """The servers this process owns. Use it as a context manager: at its end nothing of them is left.

    Args:
        notify: told of every step, from the threads that take them.
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
        self._run = Run(notify, patience, snapshots, stock)
        self._lock = threading.Lock()
        self._pending: dict[Wish, Future[Running]] = {}
        self._threads: list[threading.Thread] = []
        self._finishing = ThreadPoolExecutor(1, "realdb-ci-snapshots")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.close(hurried=kind is not None)
        except KeyboardInterrupt:
            self.close(hurried=True)
            raise

    @property
    def id(self) -> str:
        """The run's id, which labels what it makes."""
        return self._run.id

    @property
    def prefix(self) -> str:
        """What the name of every database of this run starts with."""
        return self._run.prefix

    def begin(self, wish: Wish) -> None:
        """Start to get that server, in a thread, unless somebody has."""
        self._future(wish)

    def get(self, wish: Wish) -> Server:
        """The server, once it is ready; see ``Source``."""
        running = self._future(wish).result()
        ended = running.dead()
        if ended:
            title = services.get(wish.service).title
            raise ServerError(
                f"{title} ended while tests ran: {ended}",
                why="its last log lines say why, unless something killed it",
                remedy="Give it more memory where it had too little, and look at the first test that failed.",
                log=running.log(),
            )
        return running.server

    def log(self, wish: Wish, since: float | None = None) -> str:
        """Log lines of that server; see ``Source``."""
        future = self._pending.get(wish)
        if future is None or not future.done() or future.exception():
            return ""
        running = future.result()
        return running.log() if since is None else running.log_since(since)

    def built(self, wish: Wish) -> None:
        """Copy that server's data, and keep them for the next run while tests run; trouble changes nothing."""
        with self._told(wish):
            finish = self._future(wish).result().keep()
            self._finishing.submit(self._finish, wish, finish)

    def settle(self) -> None:
        """Wait until what was copied is kept for the next run, or until its trouble has been told."""
        self._finishing.submit(lambda: None).result()  # one thread takes them in their order

    def _finish(self, wish: Wish, finish: Callable[[], None]) -> None:
        with self._told(wish):
            finish()

    @contextlib.contextmanager
    def _told(self, wish: Wish) -> Iterator[None]:
        try:
            yield
        except Exception as problem:  # noqa: BLE001  # whatever it is, the tests can run
            self._run.notify(Notice(wish.service, "snapshot", f"not kept: {problem}"))

    def end_if_killed(self, pid: int) -> None:
        """Have that process of ours interrupted, then killed, should this one be killed."""
        self._run.guard.process(pid, signal.SIGINT)

    def close(self, *, hurried: bool = False) -> None:
        """Stop every server and remove what the run left; safe to call twice, and again where it was interrupted.

        Args:
            hurried: True where there is no time to keep anything for the next run, nor to wait for a server that
                is still being had.
        """
        self._run.hurried = hurried
        self._run.cancelled.set()
        deadline = time.monotonic() + (HURRIED_SECONDS if hurried else STOP_SECONDS)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        orderly = False
        try:
            stopped = self._stop_all()
            self._finishing.shutdown(wait=not hurried, cancel_futures=hurried)
            orderly = stopped and not any(thread.is_alive() for thread in self._threads)
        finally:
            self._run.close(orderly=orderly)

    def _stop_all(self) -> bool:
        """Stop all that came to run, side by side; whether each could be."""
        running = {
            wish: future.result()
            for wish, future in self._pending.items()
            if future.done() and not future.exception()
        }
        with ThreadPoolExecutor(max(1, len(running)), "realdb-ci-stop") as beside:
            stopped = list(beside.map(self._stop, running, running.values()))
        for wish in running:
            del self._pending[wish]
        return all(stopped)

    def _stop(self, wish: Wish, running: Running) -> bool:
        try:
            if not running.server.owned:
                services.get(wish.service).sweep(running.server.url, self.prefix)
            running.stop()
        except Exception as problem:  # noqa: BLE001  # the tests have run, and the others are to be stopped too
            why = " ".join(scrubbed(str(problem), running.server.url).split())
            self._run.notify(Notice(wish.service, "left", why))
            return False
        return True

    def _future(self, wish: Wish) -> Future[Running]:
        with self._lock:
            if wish not in self._pending:
                future: Future[Running] = Future()
                self._pending[wish] = future
                thread = threading.Thread(
                    target=_settle,
                    args=(future, lambda: self._start(wish)),
                    name=f"realdb-ci-{wish.service}",
                    daemon=True,
                )
                self._threads.append(thread)
                thread.start()
            return self._pending[wish]

    def _start(self, wish: Wish) -> Running:
        try:
            running = engines.start(services.get(wish.service), wish, self._run)
            return replace(running, server=replace(running.server, ready=time.time()))
        except RealdbError as problem:
            self._run.notify(Notice(wish.service, "failed", str(problem)))
            raise
        except Exception as problem:
            why = scrubbed(f"{type(problem).__name__}: {problem}", wish.url or "")
            self._run.notify(Notice(wish.service, "failed", why))
            raise ServerError(
                f"Getting {wish.service} failed in a way realdb-ci did not foresee",
                why=why,
                remedy="Please report this with the output of realdb-ci doctor.",
            ) from problem


def _settle(future: Future[Running], start: Callable[[], Running]) -> None:
    try:
        future.set_result(start())
    except BaseException as problem:  # noqa: BLE001  # whoever waits for the future gets it
        future.set_exception(problem)
