"""Timings: how long each test takes, kept between runs, by which pytest-split shares a suite out.

All runners of a matrix must share out by the same numbers, or tests would run twice or nowhere. So the first
of them pins the numbers for the whole workflow run, with the cache service as the arbiter; where that cannot
be had, all share out by the number of tests alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from realdb_ci.prepare.cache import CacheService
from realdb_ci.prepare.results_service import ServiceTrouble, Taken

KIND = "timings"
# What shares out: the name of its entry point.
SPLITTER = "pytest-split"
BYTES_LIMIT = 32 << 20


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


@dataclass(frozen=True)
class Timings:
    """The timings of one project.

    Attributes:
        service: the cache service, or None.
        project: the project's name.
        run: the workflow run's id, the same for all jobs and attempts.
        scratch: a folder for files on their way.
    """

    service: CacheService | None
    project: str
    run: str
    scratch: Path

    def agree(self) -> Agreed:
        """The numbers that all shards of this workflow run use."""
        if self.service is None or not self.service.reads or not self.service.writes:
            return Agreed()
        try:
            pinned = self._get(self._pin)
            if pinned is not None:
                return Agreed(pinned)
            newest = self._get(f"{self._prefix}-", prefix=True) or {}
            try:
                self._put(self._pin, newest)
            except Taken:
                return self._of_the_first()
        except ServiceTrouble as problem:
            # Refused is refused for every shard alike; anything else may have met this one alone.
            return Agreed(trouble="" if "denied" in str(problem) else str(problem))
        return Agreed(newest)

    def keep(self, seconds: Mapping[str, float], known: Mapping[str, float]) -> None:
        """Save what was measured, over what was known before.

        Raises:
            ServiceTrouble: it could not be saved.
        """
        if self.service is not None and seconds:
            digest = hashlib.sha256(json.dumps(dict(seconds)).encode()).hexdigest()[:12]
            self._put(f"{self._prefix}-{self.run}-{digest}", {**known, **seconds})

    @property
    def _prefix(self) -> str:
        return f"realdb-ci-timings-{self.project}"

    @property
    def _pin(self) -> str:
        # Not below the prefix of the measurements, where it would be found as one.
        return f"realdb-ci-pinned-{self.run}-{self.project}"

    def _of_the_first(self) -> Agreed:
        """The pin that another shard is just writing."""
        assert self.service is not None
        import time

        for pause in (0.5, 1.0, 2.0, 4.0):
            pinned = self._get(self._pin)
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


def read(file: Path) -> dict[str, float]:
    """The numbers in a file, empty where it holds anything else."""
    try:
        if file.stat().st_size > BYTES_LIMIT:
            return {}
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
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
