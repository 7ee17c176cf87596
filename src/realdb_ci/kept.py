"""Kept: the databases of failed tests that stay to be looked into, told at the end of the run."""

from __future__ import annotations

import sys
from typing import Any

import pytest

GONE = (
    "Their server ends with this run. Run pytest in a terminal, which then waits for you, or let the tests use a "
    "server of yours: --realdb-service postgres=<url>."
)


class Kept:
    """What was kept in one run.

    Args:
        config: pytest's own configuration, for its terminal.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._lines: list[str] = []
        self._must_wait = False

    def add(self, line: str, *, owned: bool) -> None:
        """Remember one.

        Args:
            line: what the reader is to see.
            owned: whether its server ends with the run.
        """
        self._lines.append(line)
        self._must_wait |= owned

    def tell(self) -> None:
        """Show them; where their server is ours, wait for the reader, if there is one."""
        terminal: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        if not self._lines or terminal is None:
            return
        terminal.section("kept databases")
        for line in self._lines:
            terminal.write_line(line)
        if not self._must_wait:
            return
        # By the time of the summary output is shown anyway; it is the input that pytest holds.
        capture: Any = self._config.pluginmanager.get_plugin("capturemanager")
        capture.suspend_global_capture(in_=True)
        try:
            if sys.stdin is not None and sys.stdin.isatty():
                terminal.write_line("Their server runs until you press Enter.")
                sys.stdin.readline()
            else:
                terminal.write_line(GONE)
        finally:
            capture.resume_global_capture()
