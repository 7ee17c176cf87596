"""Timings: how long each test takes, kept between runs, by which pytest-split shares a suite out.

All runners of a matrix must share out by the same numbers, or tests would run twice or nowhere. So the first
of them pins the numbers for the whole workflow run, with the cache service as the arbiter. Where no runner can have
that, all share out by the number of tests alone; one that fails to learn what the others use must not share at all.

Each runner saves what it has measured itself, as a part of its own, and the next workflow run puts them together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from realdb_ci.prepare.cache import CacheService, of_project
from realdb_ci.prepare.results_service import Denied, ServiceTrouble, Taken

KIND = "timings"
# What shares out: the name of its entry point.
SPLITTER = "pytest-split"
BYTES_LIMIT = 32 << 20
# What a job measured that ran the whole suite.
ALL = "all"
# Each part is a question to the service, which limits how many it answers in a minute.
MOST_PARTS = 32


@dataclass(frozen=True)
class Agreed:
    """The numbers to share out by.

    Attributes:
        seconds: by test id; empty means that all tests count the same.
        trouble: why the runners of a matrix may not have agreed, or nothing.
    """

    seconds: Mapping[str, float] = field(default_factory=dict)
    trouble: str = ""

    @property
    def digest(self) -> str:
        """The same for the same numbers: by it a report can tell whether all shards used them."""
        return hashlib.sha256(json.dumps(dict(sorted(self.seconds.items()))).encode()).hexdigest()[:12]


@dataclass
class Timings:
    """The timings of one project.

    Attributes:
        service: the cache service, or None.
        project: the project's name.
        run: the workflow run's id, the same for all jobs and attempts.
        scratch: a folder for files on their way.
        trouble: whether the service failed us.
    """

    service: CacheService | None
    project: str
    run: str
    scratch: Path
    trouble: bool = False

    def hurried(self) -> Timings:
        """The same, of a service that is asked once only."""
        if self.service is None:
            return self
        patience = replace(self.service.patience, pauses=())
        return replace(self, service=replace(self.service, patience=patience))

    def agree(self, total: int) -> Agreed:
        """The numbers that all shards of this workflow run use.

        Args:
            total: how many shards there are.
        """
        if self.service is None or not self.service.reads or not self.service.writes:
            return Agreed()
        try:
            pin = f"realdb-ci-pinned-{of_project(self.project)}-{self.run}-{total}"
            pinned = self._get(pin)
            if pinned is not None:
                return Agreed(pinned)
            newest = self._newest(total)
            try:
                self._put(pin, newest)
            except Taken:
                return self._of_the_first(pin)
        except Denied:
            return Agreed()
        except (ServiceTrouble, OSError) as problem:
            # This may have met this shard alone.
            self.trouble = isinstance(problem, ServiceTrouble)
            return Agreed(trouble=str(problem))
        return Agreed(newest)

    def keep(self, seconds: Mapping[str, float], part: str = ALL) -> None:
        """Save what was measured.

        Args:
            seconds: by test id.
            part: what part of the suite that was.

        Raises:
            ServiceTrouble: it could not be saved.
            OSError: likewise, for want of room on the disk.
        """
        if self.service is not None and self.service.writes and seconds:
            digest = hashlib.sha256(json.dumps(dict(seconds)).encode()).hexdigest()[:12]
            self._put(f"{self._prefix(part)}{self.run}-{digest}", seconds)

    def _prefix(self, part: str) -> str:
        return f"realdb-ci-timings-{of_project(self.project)}-{part}-"

    def _newest(self, total: int) -> dict[str, float]:
        """What was measured last, by jobs with the whole suite and by as many shards as there are now."""
        parts = (part_of(number, total) for number in range(1, min(total, MOST_PARTS) + 1))
        known: dict[str, float] = {}
        for part in (ALL, *parts):
            known |= self._get(self._prefix(part), prefix=True) or {}
        return known

    def _of_the_first(self, pin: str) -> Agreed:
        """The pin that another shard is just writing."""
        import time

        for pause in (0.5, 1.0, 2.0, 4.0):
            pinned = self._get(pin)
            if pinned is not None:
                return Agreed(pinned)
            time.sleep(pause)
        return Agreed(trouble="another shard began to pin the timings and did not end")

    def _get(self, key: str, *, prefix: bool = False) -> dict[str, float] | None:
        assert self.service is not None
        file = self.scratch / "timings.json"
        # The exact key is looked up as a prefix too, so what was matched decides.
        found = self.service.fetch(KIND, [f"{key}none", key] if prefix else [key], file)
        if found is None or (not prefix and found != key):
            return None
        return read(file)

    def _put(self, key: str, seconds: Mapping[str, float]) -> None:
        assert self.service is not None
        file = self.scratch / "timings.json"
        write(file, seconds)
        self.service.save(KIND, key, file)


def part_of(number: int, total: int) -> str:
    """What a shard has measured, in the name of an entry."""
    return f"{number}of{total}"


def read(file: Path) -> dict[str, float]:
    """The numbers in a file, empty where it holds anything else."""
    try:
        if file.stat().st_size > BYTES_LIMIT:
            return {}
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, MemoryError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 86400  # noqa: PLR2004
    }


def write(file: Path, seconds: Mapping[str, float]) -> None:
    """Write the numbers as pytest-split reads them."""
    file.write_text(json.dumps(dict(sorted(seconds.items()))), encoding="utf-8")
