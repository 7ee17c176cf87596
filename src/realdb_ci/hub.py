"""Hub: what one pytest process knows of the run: its settings, the way to its servers, the way to its events."""

from __future__ import annotations

import contextlib
import functools
import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from realdb_ci import services
from realdb_ci.config import Config
from realdb_ci.errors import RealdbError, SettingError
from realdb_ci.kept import Kept
from realdb_ci.needs import Needs, check_marks, is_marked
from realdb_ci.services.active import active

if TYPE_CHECKING:
    from realdb_ci.broker import Broker, RemoteServers
    from realdb_ci.engines.contract import Notice
    from realdb_ci.recorder import Recorder
    from realdb_ci.servers import Source
    from realdb_ci.services.contract import Server, Wish


class Hub:
    """A pytest plugin object, and what fixtures find in the stash (see ``services.access``).

    Args:
        config: the settings of the run.
        root: the folder they come from.
        pytest_config: pytest's own configuration.
        owner: address of the process that owns the servers, empty where that is this one.
        recorder: the events file, on the process that writes it.
    """

    def __init__(
        self, config: Config, root: Path, pytest_config: pytest.Config, owner: str, recorder: Recorder | None
    ) -> None:
        self.config = config
        self.root = root
        self._pytest = pytest_config
        self._owner = owner
        self._recorder = recorder
        self._wishes = services.wishes(config)
        self._worker: str = getattr(pytest_config, "workerinput", {}).get("workerid", "")
        self._process = f"{self._worker or 'main'}_{secrets.token_hex(2)}"
        self._needs = Needs(self._wishes, pytest_config.option)
        self._said: set[str] = set()
        self._late: list[str] = []
        self._kept = Kept(pytest_config)
        self._doubted: set[str] = set()
        self.working = 0
        """How many of our own steps are under way; then no code of the project is."""
        self._lock = threading.Lock()

    # What fixtures ask.

    def server(self, service: str) -> Server:
        """The run's server of that service; an error of ours fails the test that asked."""
        with self.step("server", service):
            return self.get(self._wishes[service])

    def database_name(self, suffix: str = "") -> str:
        """A database name of this run and this process alone."""
        return f"{self._source.prefix}_{self._process}{suffix}"

    def is_marked(self, item: pytest.Item, word: str) -> bool:
        """Whether the test carries ``@pytest.mark.realdb(<word>=True)``; the nearest mark decides."""
        return is_marked(item, word)

    def marked(self, word: str) -> int:
        """How many of this process's tests carry it."""
        return self._needs.marked(word)

    def keep(self, server: Server, what: str) -> None:
        """Have the end of the run tell of a database that stays."""
        self.record("kept", {"what": what, "owned": server.owned})

    def finished(self, service: str) -> None:
        """Say that a template has just been finished on the run's server of that service."""
        self.built(self._wishes[service])

    @contextlib.contextmanager
    def step(self, name: str, detail: str = "") -> Iterator[None]:
        """Record the body's time as a span; turn an error of ours into a plain failure."""
        began, problem = time.time(), None
        self.working += 1
        try:
            yield
        except RealdbError as raised:
            problem = raised
        finally:
            self.working -= 1
            self.record("span", {"name": name, "detail": detail, "start": began, "stop": time.time()})
        if problem is not None:
            self._report(problem)
            # pytest would show causes, too, of which the message holds all a reader needs.
            raise pytest.fail.Exception(str(problem), pytrace=False) from None

    def needs(self, service: str) -> bool:
        """Whether a collected test needs that service."""
        return service in self._needs.services

    # What a broker asks in the name of other processes (see ``servers.Source``).

    @property
    def prefix(self) -> str:
        """What the name of every database of this run starts with."""
        return self._source.prefix

    def begin(self, wish: Wish) -> None:
        """Start to get a server."""
        self._source.begin(wish)

    def get(self, wish: Wish) -> Server:
        """A server, once it is ready; the first time it is said and recorded."""
        server = self._source.get(wish)
        # A worker's controller has said it already.
        if not self._worker and self._first(f"server {wish.service}"):
            self.record("server", _facts(server))
            if self._is_controller:
                self._say(server.headline)
        return server

    def log(self, wish: Wish, since: float | None = None) -> str:
        """Log lines of a server; see ``servers.Source``."""
        return self._source.log(wish, since)

    def log_of_test(self, service: str, since: float) -> str:
        """What a server logged of this test process's databases since then."""
        if not self.needs(service):
            return ""
        ours = re.compile(rf"{re.escape(self.database_name())}(?![0-9])")
        lines = self.log(self._wishes[service], since).splitlines()
        return "\n".join(line for line in lines if ours.search(line))

    def built(self, wish: Wish) -> None:
        """Take notice of a finished template."""
        self._source.built(wish)

    def record(self, event: str, fields: Mapping[str, Any]) -> None:
        """Record an event here, or have the process do it that writes the events file."""
        if event == "kept" and not self._worker:
            self._kept.add(fields["what"], owned=fields["owned"])
        if self._recorder is not None:
            self._recorder.write(event, **{"worker": self._worker or None, **fields})
        elif self._worker:
            self._remote.record(event, {"worker": self._worker, **fields})

    # What pytest tells.

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Start a server as soon as one collected test needs it."""
        if self._needs.early:
            self._begin(item)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Start what the selected tests need; in a worker also wait, so that no test's clock does."""
        if self._needs.nothing_runs:
            return
        for item in session.items:
            self._begin(item)
            self._needs.count(item)
        if self._worker:
            self._wait()

    def pytest_report_collectionfinish(self) -> list[str]:
        """Wait for the servers and say which engine serves what, before the first test."""
        return self._wait()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Tell the factories which test runs; a mark that cannot be read fails it, and a server that has ended."""
        try:
            check_marks(item)
        except SettingError as problem:
            raise pytest.fail.Exception(str(problem), pytrace=False) from None
        active.begin_test(item.nodeid)
        for service in self._doubted.intersection(self._needs.of(item)):
            self.server(service)
            self._doubted.remove(service)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """After a failure doubt that the servers live: one that has ended is named, and no test waits for it."""
        if report.failed:
            self._doubted.update(self._needs.services)

    def pytest_runtest_logfinish(self) -> None:
        """Tell the factories that it is over."""
        active.end_test()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Under xdist, tell a new worker where to ask for servers."""
        node.workerinput["realdb_broker"] = self._broker.address

    def pytest_terminal_summary(self) -> None:
        """Say which databases were kept, and keep their servers until the reader is done."""
        settle = getattr(self.__dict__.get("_source"), "settle", None)
        if settle is not None:
            settle()
        for line in self._late:
            self._say(line)
        self._kept.tell()

    def pytest_unconfigure(self) -> None:
        """Stop what this process owns."""
        for name in ("_broker", "_source"):
            owned = self.__dict__.pop(name, None)
            if hasattr(owned, "close"):
                owned.close()

    # How it is done.

    @functools.cached_property
    def _source(self) -> Source:
        if self._owner:
            return self._remote
        from realdb_ci.engines.snapshots import Snapshots
        from realdb_ci.servers import Servers

        snapshots = Snapshots.of(self.config.snapshots, self.config.cache, self.root)
        return Servers(self._notice, snapshots=snapshots)

    def _notice(self, notice: Notice) -> None:
        """Remember what no header and no failure would say: while tests run, their output is captured."""
        if notice.stage == "snapshot":
            self._late.append(f"{notice.service}: snapshot {notice.detail}")

    @functools.cached_property
    def _remote(self) -> RemoteServers:
        from realdb_ci.broker import RemoteServers

        return RemoteServers(self._owner)

    @functools.cached_property
    def _broker(self) -> Broker:
        from realdb_ci.broker import Broker

        return Broker(self, self.record)

    @property
    def _is_controller(self) -> bool:
        return "_broker" in self.__dict__

    def _begin(self, item: pytest.Item) -> None:
        for service in self._needs.add(item):
            with contextlib.suppress(RealdbError):  # whoever waits for the server hears of it
                self.begin(self._wishes[service])

    def _wait(self) -> list[str]:
        lines, began = [], time.time()
        for service in self._needs.services:
            try:
                lines.append(self.get(self._wishes[service]).headline)
            except RealdbError as problem:
                self._report(problem)
                lines.append(f"{service}: {problem}")
        if lines:
            self.record("span", {"name": "wait for servers", "start": began, "stop": time.time()})
        return lines

    def _report(self, problem: RealdbError) -> None:
        """Record a problem once, however many tests meet it."""
        if self._first(str(problem)):
            with contextlib.suppress(RealdbError):  # the owner is gone: the failure itself still shows
                self.record("problem", problem.to_dict())

    def _first(self, what: str) -> bool:
        with self._lock:
            known = what in self._said
            self._said.add(what)
            return not known

    def _say(self, line: str) -> None:
        reporter = self._pytest.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(line)


def _facts(server: Server) -> dict[str, Any]:
    """What the events file may hold of a server: everything but the way in."""
    return {name: value for name, value in server.to_dict().items() if name != "url"}
