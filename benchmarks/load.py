"""Load: what all processors of this machine have worked, told afterwards for any moment of a stretch."""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect
from pathlib import Path
from typing import Self

EVERY = 0.05
TICKS = os.sysconf("SC_CLK_TCK")


class Load:
    """A record of this machine's work, as Linux counts it; use it as a context manager."""

    def __init__(self) -> None:
        self._samples: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._samples.append(_now())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._samples.append(_now())

    def until(self, moment: float) -> float:
        """Seconds of work, of all processors together, from the start to then.

        Args:
            moment: seconds since the epoch.
        """
        place = min(bisect(self._samples, (moment,)), len(self._samples) - 1)
        return self._samples[place][1] - self._samples[0][1]

    def _watch(self) -> None:
        while not self._over.wait(EVERY):
            self._samples.append(_now())


def _now() -> tuple[float, float]:
    """The time, and all work since the machine was started: proc(5), all columns but idle and iowait."""
    first = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
    user, nice, system, _, _, *rest = map(int, first.split()[1:9])
    return time.time(), (user + nice + system + sum(rest[:2])) / TICKS
