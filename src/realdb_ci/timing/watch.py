"""Watch: the statements that each phase of a test sends to its databases, how long they took, and from which line.

SQLAlchemy's and PyMongo's own events tell of them, so nothing in the project changes. Listeners are put in place
once the suite has loaded the library itself. What realdb-ci does on its own account is not counted.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

import pytest

from realdb_ci.errors import SettingError
from realdb_ci.timing.shapes import command_shape
from realdb_ci.timing.tally import Place, Tally

if TYPE_CHECKING:
    from realdb_ci.hub import Hub

ATTRIBUTE = "realdb_queries"
BUDGET = "max_queries"
MAIN = threading.main_thread().ident
# Threads of ours, such as those that drop databases behind the tests' backs.
OURS = "realdb-ci"
# What PyMongo sends to keep its connections, sessions and cursors.
HOUSEKEEPING = frozenset({"hello", "ismaster", "ping", "endSessions", "killCursors", "saslStart", "saslContinue"})

# Statements whose way here is known.
MOST_KNOWN = 10_000

Locate = Callable[[str], str | None]


class Watch:
    """A pytest plugin object; in each process that runs tests.

    Args:
        hub: knows the settings and the marks.
        locate: the path of a source file inside the project, or None for anybody else's; see ``Anchors``.
    """

    def __init__(self, hub: Hub, locate: Locate) -> None:
        self._hub = hub
        self._locate = locate
        self._tally = Tally()
        self._watched: set[str] = set()
        self._came: dict[str, tuple[int, CodeType, str]] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self) -> None:
        """Listen to the clients that are made from now on; PyMongo asks for listeners when it makes one."""
        self._listen()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, None, None]:
        """Count what the fixtures send."""
        yield from self._phase()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        """Count what the test sends, and hold it against its budget."""
        yield from self._phase()
        limit = self._budget(item)
        if limit is not None and self._tally.count > limit:
            raise pytest.fail.Exception(self._over(limit), pytrace=False)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, None, None]:
        """Count what the fixtures' ends send."""
        yield from self._phase()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, Any]:
        """Put what was counted into the report."""
        report = yield
        tally = self._tally
        if tally.count and call.when == report.when and not hasattr(report, "context"):
            least = self._hub.config.n_plus_one
            told = {"queries": tally.count, "query_seconds": tally.seconds}
            setattr(report, ATTRIBUTE, {**told, "repeats": tally.repeats(least) if least else []})
            if report.failed:
                report.sections.append(("Statements, without their values", tally.shown()))
        return report

    def _phase(self) -> Iterator[None]:
        self._listen()
        self._tally = Tally()
        if len(self._came) > MOST_KNOWN:
            self._came.clear()
        yield

    def _budget(self, item: pytest.Item) -> int | None:
        mark = next((mark for mark in item.iter_markers("realdb") if BUDGET in mark.kwargs), None)
        if mark is None:
            return None
        limit = mark.kwargs[BUDGET]
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
            problem = SettingError(
                f"The mark realdb(max_queries={limit!r}) cannot be used",
                why="it is a number of statements",
                remedy="Write a whole number, such as @pytest.mark.realdb(max_queries=20).",
            )
            raise pytest.fail.Exception(str(problem), pytrace=False)
        return limit

    def _over(self, limit: int) -> str:
        head = f"{self._tally.count} statements, and realdb(max_queries={limit}) allows {limit}. Most often:"
        most = self._tally.repeats(1)[:5]
        lines = (f"  {one['count']} times from {one['path']}:{one['line']}: {one['shape']}" for one in most)
        return "\n".join((head, *lines))

    # Where statements come from.

    def _listen(self) -> None:
        libraries = (
            ("sqlalchemy", "postgres", self._listen_to_sqlalchemy),
            ("pymongo", "mongodb", self._listen_to_pymongo),
        )
        for library, service, install in libraries:
            if library not in self._watched and (library in sys.modules or self._hub.needs(service)):
                self._watched.add(library)
                with contextlib.suppress(ImportError):
                    install()

    def _listen_to_sqlalchemy(self) -> None:
        """Stand in for the dialect where it executes: one call a statement, where other events take several."""
        from sqlalchemy import Engine, event

        hub, clock, thread = self._hub, time.perf_counter, threading.get_ident

        def watched(name: str) -> Callable[..., bool]:
            # Each call in here is one more for every statement of the suite.
            def execute(cursor: Any, text: str, *rest: Any) -> bool:
                if hub.working or (thread() != MAIN and self._is_ours()):
                    return False
                dialect = rest[-1].dialect
                group = self._tally.begin(text, self._place(text))
                if len(getattr(dialect.dispatch, name)) > 1:
                    return False  # somebody else's listener may stand in too: it is counted, and not timed
                began = clock()
                try:
                    getattr(dialect, name)(cursor, text, *rest)
                finally:
                    group[1] += clock() - began
                return True

            return execute

        for name in ("do_execute", "do_executemany", "do_execute_no_params"):
            event.listen(Engine, name, watched(name))

    def _listen_to_pymongo(self) -> None:
        from pymongo import monitoring

        pending: dict[tuple[Any, int], list[float]] = {}

        class Listener(monitoring.CommandListener):
            def started(_, event: monitoring.CommandStartedEvent) -> None:  # noqa: N805 - self is the watch
                if event.command_name not in HOUSEKEEPING and not self._is_ours():
                    text = command_shape(event.command_name, event.command)
                    group = self._tally.begin(text, self._place(text))
                    pending[event.connection_id, event.request_id] = group

            def succeeded(_, event: monitoring.CommandSucceededEvent) -> None:  # noqa: N805
                ended(event)

            def failed(_, event: monitoring.CommandFailedEvent) -> None:  # noqa: N805
                ended(event)

        def ended(event: Any) -> None:
            group = pending.pop((event.connection_id, event.request_id), None)
            if group is not None:
                group[1] += event.duration_micros / 1e6

        monitoring.register(Listener())

    def _is_ours(self) -> bool:
        if self._hub.working:
            return True
        return threading.get_ident() != MAIN and threading.current_thread().name.startswith(OURS)

    def _place(self, text: str) -> Place:
        """The nearest line of the project on the stack."""
        # The same statement comes the same way again: most often this is the frame that it came from before.
        known = self._came.get(text)
        if known is not None:
            depth, code, path = known
            try:
                frame = sys._getframe(depth)  # noqa: SLF001 - a stack made of objects takes far longer
            except ValueError:  # the stack is not as deep
                frame = None
            if frame is not None and frame.f_code is code:
                return path, frame.f_lineno
        found = self._nearest(sys._getframe(1), text)  # noqa: SLF001
        if found is None and "greenlet" in sys.modules:
            # SQLAlchemy's asynchronous side runs its core on another stack; the test's is its parent's.
            from greenlet import getcurrent  # type: ignore[import-untyped]

            parent = getcurrent().parent
            found = self._nearest(parent.gr_frame) if parent is not None else None
        return found

    def _nearest(self, frame: FrameType | None, text: str | None = None) -> Place:
        depth = 1
        while frame is not None:
            path = self._locate(frame.f_code.co_filename)
            if path:
                if text is not None:
                    self._came[text] = depth, frame.f_code, path
                return path, frame.f_lineno
            frame, depth = frame.f_back, depth + 1
        return None
