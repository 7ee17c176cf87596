"""Packages: what uv downloaded and built, kept between runs where the job has a cache service."""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from realdb_ci import __version__, archive
from realdb_ci.prepare.cache import CacheService, CacheTrouble, Taken
from realdb_ci.prepare.dependencies import Plan

KIND = "packages"
MEGABYTE = 1e6


@dataclass
class Packages:
    """The package cache of one job.

    Attributes:
        service: the cache service, or None for no cache.
        key: the entry's key.
        folder: uv's cache folder.
        warn: told once of each trouble, which never fails a run.
        found: the key of the entry that was restored, or nothing.
        seconds: what restoring took.
        size: bytes of the archive.
        note: what the entry says about itself.
        trouble: whether the service failed us.
    """

    service: CacheService | None
    key: str
    folder: Path
    warn: Callable[[str], None]
    found: str = ""
    seconds: float = 0.0
    size: int = 0
    note: dict[str, Any] = field(default_factory=dict)
    trouble: bool = False

    def restore(self) -> None:
        """Put the entry of this key in place, else the newest of this machine's kind."""
        if self.service is None:
            return
        began = time.monotonic()
        file = self.folder.with_name("packages.tar.gz")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            found = self.service.fetch(KIND, [self.key, prefix()], file)
            if found:
                self.note, self.size = archive.unpack(file, self.folder), file.stat().st_size
                self.found = found
        except (archive.BrokenArchive, OSError) as problem:
            self.warn(f"The package cache is not used: {problem}")
        except CacheTrouble as problem:
            self.trouble = True
            self.warn(f"The package cache is not used: {problem}")
        finally:
            file.unlink(missing_ok=True)
            self.seconds = time.monotonic() - began

    def told(self, install: float) -> str:
        """What the cache was worth, for the record.

        Args:
            install: seconds it took to make the environment after restoring.
        """
        if self.service is None:
            return "off"
        if not self.found:
            return f"nothing found in {self.seconds:.1f} s"
        text = f"{self.size / MEGABYTE:.0f} MB in {self.seconds:.1f} s"
        cold = self.note.get("seconds")
        if isinstance(cold, int | float):
            saved = float(cold) - install - self.seconds
            text += f", environment in {install:.1f} s instead of {cold:.1f} s: {abs(saved):.1f} s "
            text += "saved" if saved >= 0 else "lost"
        return text

    def save(self, install: float) -> str:
        """Make an entry of what is there now, unless the one of this key was restored.

        Args:
            install: seconds it took to make the environment; the cold figure of later runs.

        Returns:
            What was done, for the record; empty for nothing.
        """
        if self.service is None or self.found == self.key or not self.service.writes or not self.folder.is_dir():
            return ""
        began = time.monotonic()
        file = self.folder.with_name("packages.tar.gz")
        try:
            # A figure measured on top of an older entry would flatter the cold run.
            note = {} if self.found else {"seconds": round(install, 3)}
            archive.pack(self.folder, file, note)
            size = file.stat().st_size
            self.service.save(KIND, self.key, file)
        except Taken:
            return ""
        except (CacheTrouble, OSError) as problem:
            self.trouble = True
            self.warn(f"The package cache is not saved: {problem}")
            return ""
        finally:
            file.unlink(missing_ok=True)
        return f"{size / MEGABYTE:.0f} MB saved in {time.monotonic() - began:.1f} s"


def prefix() -> str:
    """What all keys of this machine's kind start with."""
    return f"realdb-ci-packages-{platform.system().lower()}-{platform.machine()}-"


def key(plan: Plan, *words: str) -> str:
    """The key for a plan: it changes with every file and word that decides what is installed.

    Args:
        plan: the plan.
        words: what else decides, such as the version of Python.
    """
    digest = hashlib.sha256(repr((__version__, plan.arguments, plan.export, words)).encode())
    for file in plan.files:
        digest.update(file.read_bytes())
    return prefix() + digest.hexdigest()[:32]
