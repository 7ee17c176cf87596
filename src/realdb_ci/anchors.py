"""Anchors: the line of the project that a failure points at, found where the exception still lives.

A report that has crossed from an xdist worker holds text only, so this plugin object runs in every process and
leaves its finding on the report as plain data, under ``ATTRIBUTE``.
"""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
import traceback
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

ATTRIBUTE = "realdb_anchor"
# Folders of other people's code that often lie inside a checkout.
FOREIGN_FOLDERS = frozenset({"site-packages", "dist-packages", ".venv", "venv", ".tox", ".nox", "__pypackages__"})


class Anchors:
    """A pytest plugin object that marks failed reports with ``{"anchor": {path, line} | None, "message": str}``.

    Attributes:
        path: given a source file's name, its path inside the repository; None for foreign and generated code.

    Args:
        repo_root: the folder that paths are relative to; lines outside it are nobody's to fix.
    """

    def __init__(self, repo_root: Path) -> None:
        self._root = os.path.realpath(repo_root)
        self._foreign = tuple(_foreign_prefixes(self._root))
        self.path = functools.cache(self._look_up)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Mark the report of a phase, or of a subtest, that raised."""
        report = yield
        if call.excinfo is not None:
            setattr(report, ATTRIBUTE, self.mark(call.excinfo.value))
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Mark the report of a module that could not be collected."""
        report = yield
        call = getattr(report, "call", None)
        if call is not None and call.excinfo is not None:
            raised = call.excinfo.value
            # pytest wraps what went wrong while a module was imported; people want to read the cause.
            wrapped = isinstance(raised, pytest.Collector.CollectError) and raised.__cause__ is not None
            setattr(report, ATTRIBUTE, self.mark(raised.__cause__ if wrapped else raised))
        return report

    def mark(self, raised: BaseException) -> dict[str, Any]:
        """The anchor of an exception and its first line, as plain data."""
        anchors = (self._anchor(one) for one in _causes(raised))
        return {"anchor": next(filter(None, anchors), None), "message": _first_line(raised)}

    def _anchor(self, raised: BaseException) -> dict[str, Any] | None:
        """The deepest frame inside the repository, or the line that Python could not parse."""
        if isinstance(raised, SyntaxError) and raised.filename and (path := self.path(raised.filename)):
            return {"path": path, "line": raised.lineno or 1}
        found = None
        for frame, line in traceback.walk_tb(raised.__traceback__):
            path = self.path(frame.f_code.co_filename)
            # A helper that asks pytest to hide it is not where its author wants people to look.
            if path and frame.f_locals.get("__tracebackhide__") is not True:
                found = {"path": path, "line": line}
        return found

    def _look_up(self, filename: str) -> str | None:
        """The path inside the repository, with slashes; None for foreign and generated code."""
        real = os.path.realpath(filename)
        if not real.startswith(self._root + os.sep) or real.startswith(self._foreign):
            return None
        inside = Path(real).relative_to(self._root)
        if FOREIGN_FOLDERS.intersection(inside.parts) or not Path(real).is_file():
            return None
        return inside.as_posix()


def _foreign_prefixes(root: str) -> Iterator[str]:
    """Folders whose code is not the project's even where they lie inside the checkout."""
    # A virtual environment may have any name. One that holds the checkout tells nothing about it.
    folders = [sys.prefix, *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))]
    # Our own fixtures are never where a test of the project fails.
    folders.append(str(Path(__file__).parent))
    for folder in folders:
        real = os.path.realpath(folder)
        if not (root + os.sep).startswith(real + os.sep):
            yield real + os.sep


def _causes(raised: BaseException) -> Iterator[BaseException]:
    """The exception, then what it grew from, nearest first; each once."""
    waiting, seen = [raised], set()
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += getattr(one, "exceptions", ())
        cause = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
        waiting += [cause] if cause else []


def _first_line(raised: BaseException) -> str:
    """``AssertionError: assert 1 == 2``: what was raised, on one line that any channel can carry."""
    if isinstance(raised, pytest.FixtureLookupError):
        return raised.msg or f"fixture {raised.argname!r} not found"
    text = "".join(traceback.format_exception_only(raised)[-1:])
    name = type(raised).__name__
    line = next((line.strip() for line in text.splitlines() if line.strip()), name)
    return line.encode("utf-8", "backslashreplace").decode()
