"""Images: what the log and the record say of pulls, of which all run at once beside the installation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from realdb_ci.engines.contract import Notice

# Seconds to wait before each further attempt at a pull: registries that limit their users ask for patience.
PATIENCE = (1.0, 4.0, 10.0)
LINE_SECONDS = 1.0
MEGABYTE = 1e6


class Pulls:
    """Takes the notices of servers on their way.

    Args:
        line: writes one line to the log.
        span: records a span: name, detail, start and stop in seconds since the epoch.
    """

    def __init__(self, line: Callable[[str], None], span: Callable[[str, str, float, float], None]) -> None:
        self._line = line
        self._span = span
        self._lock = threading.Lock()
        self._began: dict[str, float] = {}
        self._bytes: dict[str, tuple[int, int]] = {}
        self._told = 0.0
        self._suite_runs = False

    def suite_runs(self) -> None:
        """Leave servers that get ready to pytest, which says so itself, above its first test."""
        self._suite_runs = True

    def notify(self, notice: Notice) -> None:
        """Take one; called from the threads that get the servers."""
        with self._lock:
            match notice.stage:
                case "pull":
                    self._pull(notice)
                case "pulled":
                    self._bytes.pop(notice.service, None)
                    self._span(f"pull {notice.service}", notice.detail, self._began[notice.service], time.time())
                    self._line(f"{notice.service}: pulled {notice.detail}")
                case "start":
                    self._line(f"{notice.service}: starting {notice.detail}")
                case "ready":
                    if not self._suite_runs:
                        self._line(notice.detail)
                case _:
                    self._line(f"{notice.service}: {notice.stage}: {notice.detail}")

    def _pull(self, notice: Notice) -> None:
        if not notice.total:
            self._began.setdefault(notice.service, time.time())
            # The daemon's events begin without a size too; only the first one is news, or a failed attempt.
            if self._bytes.setdefault(notice.service, (-1, 0)) == (-1, 0) or "again in" in notice.detail:
                self._line(f"{notice.service}: pulling {notice.detail}")
                self._bytes[notice.service] = (0, 0)
            return
        self._bytes[notice.service] = (notice.done, notice.total)
        now = time.monotonic()
        if now - self._told >= LINE_SECONDS:
            self._told = now
            parts = (
                f"{service} {done / MEGABYTE:.0f} of {total / MEGABYTE:.0f} MB"
                for service, (done, total) in self._bytes.items()
                if total
            )
            self._line("pulling " + ", ".join(parts))
