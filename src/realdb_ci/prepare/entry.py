"""Entry: a folder kept in the cache service, restored before a run and saved after it, never a reason to fail."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from realdb_ci import archive
from realdb_ci.prepare.cache import CacheService
from realdb_ci.prepare.results_service import ServiceTrouble, Taken

MEGABYTE = 1e6
DAY = 86_400.0


@dataclass
class Entry:
    """One entry of the cache service.

    Attributes:
        service: the cache service, or None for no cache.
        kind: what it holds; entries of another kind are never found.
        title: the same for people, with its article and verb.
        file: where its archive lies on its way.
        warn: told once of each trouble.
        found: the key of the entry that was restored, or nothing.
        seconds: what restoring took.
        size: bytes of the archive.
        note: what the entry says about itself.
        trouble: whether the service failed us.
        broken: whether restoring failed, for this reason or another.
    """

    service: CacheService | None
    kind: str
    title: str
    file: Path
    warn: Callable[[str], None]
    found: str = ""
    seconds: float = 0.0
    size: int = 0
    note: Mapping[str, Any] = field(default_factory=dict)
    trouble: bool = False
    broken: bool = False

    def restore(self, keys: Sequence[str], folder: Path) -> bool:
        """Put an entry in place of a folder; whether there was one.

        Args:
            keys: the exact key, then prefixes.
            folder: the folder, which need not be there.
        """
        if self.service is None:
            return False
        began = time.monotonic()
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            found = self.service.fetch(self.kind, keys, self.file)
            if found:
                self.note, self.size = archive.unpack(self.file, folder), self.file.stat().st_size
                self.found = found
        except (archive.BrokenArchive, ServiceTrouble, OSError) as problem:
            self.broken, self.trouble = True, isinstance(problem, ServiceTrouble)
            self.warn(f"{self.title} not used: {problem}")
        finally:
            self.file.unlink(missing_ok=True)
            self.seconds += time.monotonic() - began
        return bool(self.found)

    @property
    def cold(self) -> float:
        """Seconds that it took without the entry, as that says itself; 0 where it says nothing that can be."""
        said = self.note.get("seconds")
        return float(said) if isinstance(said, int | float) and 0 < said < DAY else 0.0

    def refuse(self, why: str) -> None:
        """Take back that something was restored, as it is of no use."""
        self.found, self.broken = "", True
        self.warn(f"{self.title} not used: {why}")

    def save(self, key: str, write: Callable[[Path], None]) -> str:
        """Make an entry.

        Args:
            key: its key.
            write: writes the archive.

        Returns:
            What was done, for the record; empty for nothing.
        """
        if self.service is None or not self.service.writes:
            return ""
        began = time.monotonic()
        try:
            write(self.file)
            size = self.file.stat().st_size
            self.service.save(self.kind, key, self.file)
        except Taken:
            return ""
        except (ServiceTrouble, OSError) as problem:
            self.trouble = True
            self.warn(f"{self.title} not saved: {problem}")
            return ""
        finally:
            self.file.unlink(missing_ok=True)
        return f"{size / MEGABYTE:.0f} MB saved in {time.monotonic() - began:.1f} s"
