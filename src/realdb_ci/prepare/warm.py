"""Warm: the snapshots of servers, kept between the runs of a job where it has a cache service."""

from __future__ import annotations

import hashlib
import platform
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from realdb_ci import __version__, archive
from realdb_ci.prepare.cache import CacheService
from realdb_ci.prepare.results_service import Patience, ServiceTrouble, Taken

KIND = "snapshots"
MEGABYTE = 1e6
# The server waits for it, and can do without: a service that takes longer than building a schema is no help.
PATIENCE = Patience(connect=3.0, transfer=15.0, pauses=())


@dataclass
class Warm:
    """The snapshots of one job.

    Attributes:
        service: the cache service, or None for no cache.
        project: the project's name.
        folder: the folder of snapshots.
        warn: told once of each trouble, which never fails a run.
        found: the key of the entry that was restored, or nothing.
        began: when restoring began, in seconds since the epoch, 0 where nobody asked.
        seconds: what it took.
        note: what the entry says about itself.
        trouble: whether the service failed us.
        broken: whether restoring failed, for this reason or another.
    """

    service: CacheService | None
    project: str
    folder: Path
    warn: Callable[[str], None]
    found: str = ""
    began: float = 0.0
    seconds: float = 0.0
    note: dict[str, Any] = field(default_factory=dict)
    trouble: bool = False
    broken: bool = False
    _asked: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def restore(self) -> None:
        """Put the newest entry of this project in place, once; whoever asks meanwhile waits.

        Snapshots that are there already, as on a runner that is not thrown away, are newer than any entry.
        """
        with self._lock:
            if not self._asked and self.service is not None and not self._files():
                self._asked = True
                self._restore(replace(self.service, patience=PATIENCE))

    def told(self, ready: float) -> str:
        """What the cache was worth, for the record; empty where nobody asked, and where a warning has said it.

        Args:
            ready: seconds that server and schema took together, 0 where there was none.
        """
        if not self.began or self.broken:
            return ""
        if not self.found:
            return f"nothing found in {self.seconds:.1f} s"
        text = f"restored in {self.seconds:.1f} s"
        cold = self.note.get("seconds")
        if isinstance(cold, int | float) and cold and ready:
            # Restoring is part of what the server took.
            saved = float(cold) - ready
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
        if self.service is None or self.trouble or not files or not self.service.writes:
            return ""
        key = self._prefix + _digest(files)
        if key == self.found:
            return ""
        began = time.monotonic()
        file = self.folder.with_name("snapshots.tar.gz")
        try:
            archive.pack(self.folder, file, {"seconds": round(ready, 3)})
            size = file.stat().st_size
            self.service.save(KIND, key, file)
        except Taken:
            return ""
        except (ServiceTrouble, OSError) as problem:
            self.trouble = True
            self.warn(f"The snapshots are not saved: {problem}")
            return ""
        finally:
            file.unlink(missing_ok=True)
        return f"{size / MEGABYTE:.0f} MB saved in {time.monotonic() - began:.1f} s"

    def _restore(self, service: CacheService) -> None:
        self.began = time.time()
        file = self.folder.with_name("snapshots.tar.gz")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            # No key is exact: which snapshot fits, only the server's digest tells.
            found = service.fetch(KIND, [self._prefix], file)
            if found:
                self.note = archive.unpack(file, self.folder)
                self.folder.chmod(0o700)
                self.found = found
        except (archive.BrokenArchive, OSError) as problem:
            self.broken = True
            self.warn(f"The snapshots are not used: {problem}")
        except ServiceTrouble as problem:
            self.trouble = self.broken = True
            self.warn(f"The snapshots are not used: {problem}")
        finally:
            file.unlink(missing_ok=True)
            self.seconds = time.time() - self.began

    @property
    def _prefix(self) -> str:
        kind = f"{platform.system().lower()}-{platform.machine()}"
        return f"realdb-ci-snapshots-{__version__}-{kind}-{self.project}-"

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.tar.gz")) if self.folder.is_dir() else []


def _digest(files: list[Path]) -> str:
    hashed = hashlib.sha256()
    for file in files:
        hashed.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return hashed.hexdigest()[:32]
