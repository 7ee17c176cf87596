"""Stores: what is kept between runs, each on or off, none ever a reason to fail."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from realdb_ci.inputs import Shard
from realdb_ci.prepare import packages, timings, warm
from realdb_ci.prepare.baselines import Baselines, Fallback
from realdb_ci.prepare.cache import CacheService
from realdb_ci.prepare.results_service import ServiceTrouble, Taken
from realdb_ci.prepare.stock import Stock
from realdb_ci.prepare.timings import ALL, Agreed
from realdb_ci.prepare.uv import Uv
from realdb_ci.timing.history import History, Run

Span = Callable[[str, str, float, float], None]


@dataclass(frozen=True)
class Kept:
    """What stores keep, where, and whom they tell.

    Attributes:
        project: the project's name.
        run: the workflow run's id.
        home: a folder outside the workspace.
        uv: uv.
        warn: told of trouble, in a sentence.
        line: writes a line to the log.
        span: records a span: name, detail, start and stop in seconds since the epoch.
        event: records an event: its kind and its fields.
        job: the same for every run of this job with this matrix.
        branch: the base branch, or empty.
        attempt: counts the re-runs of the workflow run from 1.
    """

    project: str
    run: str
    home: Path
    uv: Uv
    warn: Callable[[str], None]
    line: Callable[[str], None]
    span: Span
    event: Callable[..., object]
    job: str = ""
    branch: str = ""
    attempt: str = "1"


@dataclass
class Stores:
    """What is kept between runs.

    Attributes:
        packages: what uv downloaded and built.
        warm: the data of servers whose schema is finished.
        stock: images of databases.
        timings: how long each test takes.
        baselines: the last runs of the base branch.
        kept: what they keep, where, and whom they tell.
        warn: tells of trouble, in a sentence, once in all.
        install: seconds it took to make the environment.
        part: what part of the suite this job runs.
    """

    packages: packages.Packages
    warm: warm.Warm
    stock: Stock
    timings: timings.Timings
    baselines: Baselines
    kept: Kept
    warn: Callable[[str], None]
    install: float = 0.0
    part: str = ALL

    @classmethod
    def of(
        cls, service: CacheService | None, chosen: Collection[str], kept: Kept, fallback: Fallback | None = None
    ) -> Stores:
        """The stores a job may use.

        Args:
            service: the cache service, or None.
            chosen: the stores that are on.
            kept: what they keep, where, and whom they tell.
            fallback: artifacts for the history that the cache does not have, or None.
        """
        told = threading.Event()

        def warn(text: str) -> None:
            if not told.is_set():  # a service that fails one store fails the others in the same way
                told.set()
                kept.warn(text)

        return cls(
            packages.Packages.of(service if "packages" in chosen else None, kept.uv, warn),
            warm.Warm.of(service if "snapshots" in chosen else None, kept.project, kept.home / "snapshots", warn),
            Stock(service if "images" in chosen else None, kept.home / "images", warn, kept.line, kept.span),
            timings.Timings(service if "timings" in chosen else None, kept.project, kept.run, kept.home),
            Baselines(
                service if "timings" in chosen else None,
                kept.project,
                kept.job,
                kept.branch,
                f"{kept.run}-{kept.attempt}",
                kept.home,
                warn,
                fallback if "timings" in chosen else None,
            ),
            kept,
            warn,
        )

    def split_flags(self, shard: Shard | None, folder: Path) -> list[str]:
        """pytest-split's options for a shard, none where the job runs the whole suite.

        Args:
            shard: the job's shard.
            folder: the project's folder, whose own ``.test_durations`` counts before anything else.
        """
        if shard is None:
            return []
        began = time.time()
        agreed = self._agreed(shard, folder)
        told = f"{shard} by the timings of {len(agreed.seconds)} tests ({agreed.digest})"
        if agreed.trouble:
            told = f"{shard} is the whole suite, as timings could not be agreed on: {agreed.trouble}"
            self.warn(f"Shard {told}")
        self.kept.line(f"Shard: {told}")
        self.kept.span("shard", told, began, time.time())
        which = {"number": shard.number, "total": shard.total, "digest": agreed.digest}
        self.kept.event("shard", **which, whole=bool(agreed.trouble))
        if agreed.trouble:
            return []
        self.part = timings.part_of(shard.number, shard.total)
        durations = self.kept.home / "durations.json"
        timings.write(durations, agreed.seconds)
        part = (f"--splits={shard.total}", f"--group={shard.number}", f"--durations-path={durations}")
        return ["-p", timings.SPLITTER, *part]

    def _agreed(self, shard: Shard, folder: Path) -> Agreed:
        committed = folder / ".test_durations"
        if committed.is_file():
            return Agreed(timings.read(committed))
        if self._trouble:
            # A service that failed is asked no more, but here the price would be the whole suite.
            self.timings = self.timings.hurried()
        return self.timings.agree(shard.total)

    def history(self) -> History:
        """The last runs of the base branch."""
        return self.baselines.history(cached=not self._trouble)

    def keep(self, measured: Mapping[str, float], ready: float, run: Run | None = None) -> None:
        """Save what the next run can use; trouble is told and changes nothing.

        Args:
            measured: seconds by test id.
            ready: seconds that server and schema took together, 0 where there was none.
            run: what later runs are to be compared with, or None.
        """
        if run is not None:
            self.baselines.leave(run)
        stores: tuple[tuple[str, Callable[[], str]], ...] = (
            ("packages", lambda: self.packages.save(self.install)),
            ("snapshots", lambda: self.warm.save(ready)),
            ("images", self.stock.save),
            ("timings", lambda: self._keep(measured, run)),
        )
        for name, save in stores:
            if self._trouble:
                return  # once is enough: a service that failed is not asked to take anything
            began = time.time()
            try:
                told = save()
            except (ServiceTrouble, OSError) as problem:
                self.warn(f"The {name} are not saved: {problem}")
                return
            if told:
                self.kept.span(f"cache {name} saved", told, began, time.time())

    @property
    def _trouble(self) -> bool:
        """Whether the service has failed us."""
        stores = (self.packages, self.warm, self.stock, self.timings, self.baselines)
        return any(store.trouble for store in stores)

    def _keep(self, measured: Mapping[str, float], run: Run | None) -> str:
        with contextlib.suppress(Taken):
            self.timings.keep(measured, self.part)
        if run is not None:
            with contextlib.suppress(Taken):
                self.baselines.keep(run)
        return ""
