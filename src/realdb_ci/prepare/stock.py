"""Stock: images of databases in the cache service, for registries that are slow or limit how often one may pull.

Most registries are faster than a cache, so only an image is kept whose pull took long or was limited; and where
loading it then took longer than pulling had, a mark says so, and later runs pull.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import platform
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from realdb_ci.engines import daemon
from realdb_ci.prepare.cache import CacheService
from realdb_ci.prepare.image_archive import MEGABYTE, Foreign, check, export
from realdb_ci.prepare.results_service import Patience, ServiceTrouble, Taken

if TYPE_CHECKING:
    from docker import DockerClient

KIND = "images"
# Beyond this a pull is called slow: loading an image of a few hundred megabytes takes some seconds itself.
SLOW_SECONDS = 10.0
# A server waits for it, and its image can be pulled instead.
PATIENCE = Patience(connect=3.0, transfer=60.0, pauses=())
SLOWER = "slower"


@dataclass(frozen=True)
class Pulled:
    """An image that this run has pulled.

    Attributes:
        name: its full name.
        seconds: what that took.
        limited: whether the registry limited us.
    """

    name: str
    seconds: float
    limited: bool

    @property
    def worth_keeping(self) -> bool:
        """Whether loading it may beat pulling it."""
        return self.limited or self.seconds >= SLOW_SECONDS


@dataclass
class Stock:
    """The images of one job; loaded by several threads at once.

    Attributes:
        service: the cache service, or None for no cache.
        home: a folder for archives on their way.
        warn: told of trouble, in a sentence.
        line: writes a line to the log.
        span: records a span: name, detail, start and stop in seconds since the epoch.
        pulls: what this run has pulled.
        slower: images whose loading took longer than pulling them had.
        trouble: whether the service failed us.
    """

    service: CacheService | None
    home: Path
    warn: Callable[[str], None]
    line: Callable[[str], None]
    span: Callable[[str, str, float, float], None]
    pulls: list[Pulled] = field(default_factory=list)
    slower: list[str] = field(default_factory=list)
    trouble: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def load(self, client: DockerClient, name: str) -> bool:
        """Have the daemon hold an image; whether it does now.

        Args:
            client: of the daemon.
            name: the image's full name.
        """
        from docker.errors import DockerException

        if self.service is None or self.trouble or "@" in name:
            return False
        service = replace(self.service, patience=PATIENCE)
        file = self.home / f"{_digest(name)}.tar.gz"
        began = time.time()
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            prefix = _prefix(name)
            found = service.fetch(KIND, [f"{prefix}{SLOWER}", prefix], file)
            if not found or found.endswith(SLOWER):
                return False
            check(file, name)
            with file.open("rb") as archive:
                client.images.load(archive)
        except Foreign as problem:
            self.warn(f"The kept image {name} is not used: {problem}")
            return False
        except (ServiceTrouble, DockerException, OSError) as problem:
            self.trouble = isinstance(problem, ServiceTrouble)
            self.warn(f"The kept image {name} is not used: {problem}")
            return False
        finally:
            file.unlink(missing_ok=True)
        self._tell(name, found.removeprefix(prefix), began, time.time())
        return True

    def pulled(self, name: str, seconds: float, limited: bool) -> None:
        """Take notice of a pull.

        Args:
            name: the image's full name.
            seconds: what it took.
            limited: whether the registry limited us.
        """
        with self._lock:
            self.pulls.append(Pulled(name, seconds, limited))

    def save(self) -> str:
        """Keep the images that this run has pulled and that are worth it, and the marks of those that are not.

        Returns:
            What was done, for the record; empty for nothing.
        """
        if self.service is None or not self.service.writes or self.trouble:
            return ""
        told = [self._keep(self.service, one) for one in self.pulls if one.worth_keeping and "@" not in one.name]
        for name in self.slower:
            file = self.home / SLOWER
            file.write_text(name, encoding="utf-8")
            self._send(self.service, f"{_prefix(name)}{SLOWER}", file)
        return "; ".join(filter(None, told))

    def _tell(self, name: str, noted: str, began: float, ended: float) -> None:
        """Say what loading was worth, by the seconds in the entry's key."""
        took, (pull, _, limited) = ended - began, noted.partition("-")
        told = f"{name} loaded in {took:.1f} s"
        if pull.isdecimal():
            saved = int(pull) / 10 - took
            told += f" instead of {int(pull) / 10:.1f} s: {abs(saved):.1f} s {'saved' if saved >= 0 else 'lost'}"
            if saved < 0 and not limited:
                with self._lock:
                    self.slower.append(name)
        self.line(f"Image cache: {told}")
        self.span("cache images", told, began, ended)

    def _keep(self, service: CacheService, pulled: Pulled) -> str:
        began, file = time.monotonic(), self.home / f"{_digest(pulled.name)}.tar.gz"
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            with daemon.connection() as client:
                export(client, pulled.name, file)
            size = file.stat().st_size
            key = f"{_prefix(pulled.name)}{pulled.seconds * 10:.0f}{'-limited' if pulled.limited else ''}"
            if not self._send(service, key, file):
                return ""
        except Exception as problem:  # noqa: BLE001  # the daemon's, the disk's: the suite has run
            self.warn(f"The image {pulled.name} is not kept: {problem}")
            return ""
        finally:
            file.unlink(missing_ok=True)
        return f"{pulled.name}, {size / MEGABYTE:.0f} MB saved in {time.monotonic() - began:.1f} s"

    def _send(self, service: CacheService, key: str, file: Path) -> bool:
        try:
            service.save(KIND, key, file)
        except Taken:
            return False
        except ServiceTrouble as problem:
            self.trouble = True
            self.warn(f"An image is not kept: {problem}")
            return False
        return True


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:24]


def _prefix(name: str) -> str:
    """What the keys of an image start with in this week: its tag may be of another one by the next."""
    year, week, _ = dt.datetime.now(dt.UTC).isocalendar()
    return f"realdb-ci-images-{platform.machine()}-{year}w{week}-{_digest(name)}-"
