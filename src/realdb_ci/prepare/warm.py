"""Warm: the snapshots of servers, kept between the runs of a job where it has a cache service."""

from __future__ import annotations

import hashlib
import platform
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from realdb_ci import __version__, archive
from realdb_ci.prepare.cache import CacheService, of_project
from realdb_ci.prepare.entry import Entry
from realdb_ci.prepare.results_service import Patience

# The server waits for it, and can do without: a service that takes longer than building a schema is no help.
PATIENCE = Patience(connect=3.0, transfer=15.0, pauses=())


@dataclass
class Warm:
    """The snapshots of one job.

    Attributes:
        entry: what is kept.
        project: the project's name.
        folder: the folder of snapshots.
        began: when restoring began, in seconds since the epoch, 0 where nobody asked.
    """

    entry: Entry
    project: str
    folder: Path
    began: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, service: CacheService | None, project: str, folder: Path, warn: Callable[[str], None]) -> Warm:
        """Those of a job.

        Args:
            service: the cache service, or None for no cache.
            project: the project's name.
            folder: the folder of snapshots.
            warn: told once of each trouble, which never fails a run.
        """
        file = folder.with_name("snapshots.tar.gz")
        return cls(Entry(service, "snapshots", "The snapshots are", file, warn), project, folder)

    @property
    def service(self) -> CacheService | None:
        """The cache service, or None for no cache."""
        return self.entry.service

    @property
    def trouble(self) -> bool:
        """Whether the service failed us."""
        return self.entry.trouble

    @property
    def seconds(self) -> float:
        """What restoring took."""
        return self.entry.seconds

    def restore(self) -> None:
        """Put the newest entry of this project in place, once; whoever asks meanwhile waits.

        Snapshots that are there already, as on a runner that is not thrown away, are newer than any entry.
        """
        with self._lock:
            if self.began or self.service is None or self._files():
                return
            self.began = time.time()
            hurried = replace(self.entry, service=replace(self.service, patience=PATIENCE))
            # No key is exact: which snapshot fits, only the server's digest tells.
            if hurried.restore([self._prefix], self.folder):
                self.folder.chmod(0o700)
            self.entry = replace(hurried, service=self.service)

    def told(self, ready: float) -> str:
        """What the cache was worth, for the record; empty where nobody asked, and where a warning has said it.

        Args:
            ready: seconds that server and schema took together, 0 where there was none.
        """
        if not self.began or self.entry.broken:
            return ""
        if not self.entry.found:
            return f"nothing found in {self.seconds:.1f} s"
        text = f"restored in {self.seconds:.1f} s"
        cold = self.entry.cold
        if cold and ready:
            # Restoring is part of what the server took.
            saved = cold - ready
            text += f", server and schema in {ready:.1f} s instead of {cold:.1f} s: {abs(saved):.1f} s "
            text += "saved" if saved >= 0 else "lost"
        return text

    def save(self, ready: float) -> str:
        """Make an entry of what is there now, unless it is what was restored.

        Args:
            ready: seconds that server and schema took together; the cold figure of later runs.

        Returns:
            What was done, for the record; empty for nothing.
        """
        files = self._files()
        key = self._prefix + _digest(files)
        if self.trouble or not files or key == self.entry.found:
            return ""
        return self.entry.save(key, lambda file: archive.pack(self.folder, file, {"seconds": round(ready, 3)}))

    @property
    def _prefix(self) -> str:
        kind = f"{platform.system().lower()}-{platform.machine()}"
        return f"realdb-ci-snapshots-{__version__}-{kind}-{of_project(self.project)}-"

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.tar.gz")) if self.folder.is_dir() else []


def _digest(files: list[Path]) -> str:
    hashed = hashlib.sha256()
    for file in files:
        hashed.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return hashed.hexdigest()[:32]
