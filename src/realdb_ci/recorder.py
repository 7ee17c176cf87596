"""Recorder: what happens inside pytest, written down as JSON lines while it happens.

One line is one event, ``{"event": ..., "at": epoch seconds, ...}``, on the disk before the next test starts: if
pytest dies, the file still says how far it came. Several projects append to one file, one after the other.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import platform
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from realdb_ci import __version__
from realdb_ci.anchors import ATTRIBUTE
from realdb_ci.errors import SettingError
from realdb_ci.timing.watch import ATTRIBUTE as QUERIES

VERSION = 1
# Characters kept of one traceback or one captured stream: enough for a person, bounded for the file.
TEXT_LIMIT = 200_000
# What says nothing in the event of a phase is left out of it: most tests have nothing more to tell.
SILENT: dict[str, object] = {
    "wasxfail": None,
    "strict_xpass": False,
    "worker": None,
    "anchor": None,
    "message": "",
    "longrepr": "",
    "sections": [],
    "subtest": None,
}
# On Windows a file that is not opened so gets other line ends.
BINARY: int = getattr(os, "O_BINARY", 0)
STRICT_XPASS = ("[XPASS(strict)]", "Unexpected success")


class Recorder:
    """A pytest plugin object for the process that owns the terminal.

    Args:
        path: the events file; it is appended to, and made where it does not exist.
        repo_root: the folder that recorded paths are relative to.
        project: the project's name in reports.

    Raises:
        SettingError: the file cannot be opened.
    """

    def __init__(self, path: Path, *, repo_root: Path, project: str) -> None:
        self._root = repo_root
        self._project = project
        self._lock = threading.Lock()
        self._attempts: Counter[str] = Counter()
        self._began = self._opened = time.time()
        self._rootpath = repo_root
        self._collected = False
        self._broken: OSError | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | BINARY, 0o644)
        except OSError as problem:
            raise SettingError(
                f"The events file {str(path)!r} cannot be written",
                why=str(problem),
                remedy="Name a file in a folder that can be written to.",
            ) from None

    def write(self, event: str, **fields: Any) -> None:
        """Append one event; any thread may. A disk that refuses is named at the end and never fails a test.

        Args:
            event: its name.
            fields: plain data; anything else is written as its repr.
        """
        # Only ASCII reaches the file, so text that has no encoding (lone surrogates) is harmless in it.
        line = json.dumps({"event": event, "at": time.time(), **fields}, default=repr) + "\n"
        with self._lock:
            if self._broken is None:
                try:
                    _write_all(self._file, line.encode("ascii"))
                except OSError as problem:
                    self._broken = problem

    # What pytest tells.

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Open the record of this project."""
        config = session.config
        self._rootpath = config.rootpath
        self._opened = time.time()
        self.write(
            "run",
            version=VERSION,
            project=self._project,
            rootdir=self._relative(""),
            python=platform.python_version(),
            pytest=pytest.__version__,
            plugin=__version__,
            args=list(config.invocation_params.args),
            workers=config.getoption("numprocesses", None) or 0,
        )

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note the tests that will run."""
        self._write_collected([self._case(item.nodeid, item.location) for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Note the tests that will run on workers: all have collected the same, and their ids is all they tell."""
        if not self._collected:
            self._write_collected([self._case(nodeid, None) for nodeid in ids])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that could not be collected, or that asked to be skipped as a whole."""
        place = self._case(report.nodeid, None)
        if report.failed:
            text = _longrepr(report)
            anchor, message = _mark(report, text)
            self.write("collect_error", **{**place, **(anchor or {})}, message=message, longrepr=text)
        elif report.skipped:
            self._write_phase(report, {**place, "when": "collect", "attempt": 1})

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note that a test begins: if pytest dies, this is the one that ran."""
        self._attempts[nodeid] += 1
        self.write("start", nodeid=nodeid, attempt=self._attempts[nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how a phase of a test ended."""
        again = getattr(report, "rerun", None)
        attempt = self._attempts[report.nodeid] if again is None else again + 1
        place = self._case(report.nodeid, report.location)
        self._write_phase(report, {**place, "when": report.when, "attempt": max(attempt, 1)})

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Close the record of this project."""
        self.write("end", exitstatus=int(session.exitstatus), duration=time.time() - self._began)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say so where the record is not complete."""
        if self._broken is not None:
            terminalreporter.write_line(f"realdb-ci: the record of this run is not complete: {self._broken}")

    def pytest_unconfigure(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._broken is None:
                self._broken = OSError("the run has ended")
                os.close(self._file)

    # How it is done.

    def _write_collected(self, cases: list[dict[str, Any]]) -> None:
        if not self._collected:
            self.write("span", name="collection", start=self._opened, stop=time.time())
        self._collected = True
        self.write("collected", count=len(cases), cases=cases)

    def _write_phase(self, report: Any, known: dict[str, Any]) -> None:
        # A test that passed has nothing to tell; most do, and the file stays small.
        tells = report.outcome != "passed"
        text = _longrepr(report) if tells else ""
        anchor, message = _mark(report, text)
        told = {
            "wasxfail": getattr(report, "wasxfail", None),
            "strict_xpass": report.failed and text.startswith(STRICT_XPASS),
            "worker": _worker(report),
            "anchor": anchor,
            "message": message,
            "longrepr": text,
            "sections": [[name, _bounded(section)] for name, section in report.sections] if tells else [],
            "subtest": _subtest(report),
        }
        self.write(
            "phase",
            **known,
            outcome=report.outcome,
            duration=getattr(report, "duration", 0.0),
            start=getattr(report, "start", 0.0),
            stop=getattr(report, "stop", 0.0),
            **{name: value for name, value in told.items() if value != SILENT[name]},
            **getattr(report, QUERIES, {}),  # only where there were any
        )

    def _case(self, nodeid: str, location: tuple[str, int | None, str] | None) -> dict[str, Any]:
        """Where a test stands: the path from the root of the repository, the line counted from 1."""
        path, line, _ = location or (nodeid.partition("::")[0], None, "")
        return {"nodeid": nodeid, "path": self._relative(path), "line": None if line is None else line + 1}

    def _relative(self, path: str) -> str:
        return Path(os.path.relpath(self._rootpath / path, self._root)).as_posix()


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _mark(report: Any, text: str) -> tuple[dict[str, Any] | None, str]:
    """What ``Anchors`` left on a report; the message comes from the report's text where it left nothing."""
    mark = getattr(report, ATTRIBUTE, None) or {}  # anchors.ATTRIBUTE
    if _is_skip(report.longrepr):
        # The reason of a skip tells something, the exception that carries it does not.
        return mark.get("anchor"), str(report.longrepr[2]).removeprefix("Skipped: ")
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return mark.get("anchor"), mark.get("message") or first


def _longrepr(report: Any) -> str:
    """The report's text, without the line on the worker's interpreter that xdist would put above it."""
    longrepr = report.longrepr
    if _is_skip(longrepr):
        return "{}:{}: {}".format(*longrepr)
    return _bounded("" if longrepr is None else str(longrepr))


def _is_skip(longrepr: object) -> bool:
    """Whether this is how pytest describes a skip: path, line, reason."""
    return isinstance(longrepr, tuple)


def _bounded(text: str) -> str:
    """The text's beginning and end, where it is longer than anybody reads."""
    if len(text) <= TEXT_LIMIT:
        return text
    half = TEXT_LIMIT // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"


def _worker(report: Any) -> str | None:
    """The xdist worker that ran it; a worker that crashed could not say so itself."""
    node = getattr(report, "node", None)
    return getattr(report, "worker_id", None) or (node.gateway.id if node is not None else None)


def _subtest(report: Any) -> str | None:
    """What tells one subtest from another, or None for a report of the test itself."""
    context = getattr(report, "context", None)
    if context is None or not hasattr(context, "kwargs"):
        return None
    values = {name: _once(str(value)) if _worker(report) else value for name, value in context.kwargs.items()}
    words = [context.msg or "", ", ".join(f"{name}={value}" for name, value in values.items())]
    return " ".join(filter(None, words)) or "subtest"


def _once(text: str) -> str:
    """A value whose repr was taken again on its way through xdist, as it was before."""
    with contextlib.suppress(ValueError, SyntaxError):
        return str(ast.literal_eval(text))
    return text
