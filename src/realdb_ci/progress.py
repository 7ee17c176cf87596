"""Progress: what a person sees while images are pulled and servers boot.

On a terminal a bar for each service, gone when all are ready; elsewhere one plain line a step. The suite's own
output passes through the same object, so that the two never write over each other.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console

    from realdb_ci.engines.contract import Notice

WORDS = {"pull": "pulling", "pulled": "pulled", "start": "starting", "ready": "ready", "failed": "failed"}
ENDED = ("ready", "failed")
# Told while the suite runs or after it: no step on the server's way.
ASIDE = {"snapshot": "snapshot of", "left": "could not remove all of"}


class BootProgress:
    """The steps of every server that is on its way, on one console.

    Args:
        console: where to write; ``console.is_terminal`` decides between bars and lines.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._stages: dict[str, str] = {}
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._partial = ""

    def notify(self, notice: Notice) -> None:
        """Take one step of one server; called from the threads that boot them."""
        with self._lock:
            if notice.stage in ASIDE:
                console = self._console if self._bars is None else self._bars.console
                console.print(f"realdb-ci: {ASIDE[notice.stage]} {notice.service}: {notice.detail}", markup=False)
                return
            known = self._stages.get(notice.service)
            self._stages[notice.service] = notice.stage
            if self._console.is_terminal:
                self._show_bar(notice)
            elif known != notice.stage and notice.stage not in ENDED:
                # How it ended is part of the suite's own header, or of its failures.
                self._console.print(f"realdb-ci: {WORDS[notice.stage]} {notice.service}: {notice.detail}")

    def write(self, output: str) -> None:
        """Pass on what the suite printed: as it comes, or above the bars while there are some."""
        with self._lock:
            if self._bars is None:
                self._raw(self._partial + output)
                self._partial = ""
                return
            *lines, self._partial = (self._partial + output).split("\n")
            for line in lines:
                self._bars.console.print(Text.from_ansi(line))

    def close(self) -> None:
        """Take the bars away and pass on what is left."""
        with self._lock:
            self._hide_bars()

    def _show_bar(self, notice: Notice) -> None:
        if notice.stage in ENDED:
            if all(stage in ENDED for stage in self._stages.values()):
                self._hide_bars()
            elif self._bars is not None and notice.service in self._tasks:
                self._bars.update(self._tasks[notice.service], total=1, completed=1, words=WORDS[notice.stage])
            return
        if self._bars is None:
            self._bars = Progress(
                SpinnerColumn(),
                TextColumn("[bold]{task.description}"),
                TextColumn("{task.fields[words]}"),
                BarColumn(bar_width=24),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
            self._bars.start()
        if notice.service not in self._tasks:
            self._tasks[notice.service] = self._bars.add_task(notice.service, total=None, words="")
        self._bars.update(
            self._tasks[notice.service],
            words=f"{WORDS[notice.stage]} {notice.detail}",
            completed=notice.done,
            total=notice.total or None,
        )

    def _hide_bars(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
            self._tasks.clear()
        self._raw(self._partial)
        self._partial = ""

    def _raw(self, output: str) -> None:
        if output:
            self._console.file.write(output)
            self._console.file.flush()
