"""Packages: the finished environment of a project, kept between runs where the job has a cache service.

An environment whose key fits is put in place as it stood, with what Python compiled of it. Where none fits,
packages are installed anew, which is quicker from an index than from a cache, but for those that uv would have to
build: these are kept beside it: https://docs.astral.sh/uv/concepts/cache/#caching-in-continuous-integration
"""

from __future__ import annotations

import datetime as dt
import hashlib
import platform
import shutil
import subprocess
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from realdb_ci import archive
from realdb_ci.prepare.cache import CacheService
from realdb_ci.prepare.entry import MEGABYTE, Entry
from realdb_ci.prepare.environment import Environment
from realdb_ci.prepare.installed import Installed, can_run, links, put
from realdb_ci.prepare.installing import Order
from realdb_ci.prepare.uv import Uv

# Below uv's cache folder: what it built, each with the digest of its source.
_BUILT = "sdists-v*/**/*.whl"


@dataclass
class Packages:
    """The packages of one job.

    Attributes:
        environment: the entry of the finished environment.
        built: the entry of what uv built.
        uv: uv.
        key: the environment's key, once it was looked for.
        said: whether the key covers all that decides what is in it.
        installed: what stood in it when it was finished, None where it is not to be kept.
        before: what uv had built before.
        links: those that stood in the environment while it was empty: to its interpreter.
    """

    environment: Entry
    built: Entry
    uv: Uv
    key: str = ""
    said: bool = False
    installed: Installed | None = None
    before: frozenset[str] = frozenset()
    links: frozenset[str] = frozenset()

    @classmethod
    def of(cls, service: CacheService | None, uv: Uv, warn: Callable[[str], None]) -> Packages:
        """Those of a job.

        Args:
            service: the cache service, or None for no cache.
            uv: uv.
            warn: told of trouble, in a sentence.
        """
        return cls(
            Entry(service, "environment", "The kept environment is", uv.home / "environment.tar.gz", warn),
            Entry(service, "packages", "The package cache is", uv.home / "packages.tar.gz", warn),
            uv,
        )

    @property
    def service(self) -> CacheService | None:
        """The cache service, or None for no cache."""
        return self.environment.service

    @property
    def trouble(self) -> bool:
        """Whether the service failed us."""
        return self.environment.trouble or self.built.trouble

    @property
    def seconds(self) -> float:
        """What restoring took."""
        return self.environment.seconds + self.built.seconds

    def restore(self, order: Order, made: Environment, wheel: Path) -> bool:
        """Fill an empty environment; where it is not kept, put what uv built before into its cache.

        Args:
            order: what environment.
            made: the empty one.
            wheel: our plugin's wheel.

        Returns:
            Whether the environment is finished by that.
        """
        self.key, self.said = (
            _prefix("environment") + key(order, made, wheel, self.uv.visible),
            order.plan.said,
        )
        self.links = links(made.root)
        restored = made.root.with_name("restored")
        if self.environment.restore([self.key], restored):
            if can_run(restored):
                put(restored, made.root)
                return self.environment.note.get("whole") is True
            shutil.rmtree(restored)
            self.environment.refuse("it lacks pytest or realdb-ci")
        if not self.trouble:
            self.built.restore([f"{_prefix('packages')}none", _prefix("packages")], self.uv.cache)
            self.before = _built(self.uv.cache)
        return False

    def told(self, install: float) -> str:
        """What the cache was worth, for the record.

        Args:
            install: seconds it took to make the environment after restoring.
        """
        if self.service is None:
            return "off"
        if not self.environment.found and not self.built.found:
            return f"nothing found in {self.seconds:.1f} s"
        size = self.environment.size + self.built.size
        text = f"{size / MEGABYTE:.0f} MB in {self.seconds:.1f} s"
        cold = self.environment.cold or self.built.cold
        if cold:
            saved = cold - install - self.seconds
            text += f", environment in {install:.1f} s instead of {cold:.1f} s: {abs(saved):.1f} s "
            text += "saved" if saved >= 0 else "lost"
        return text

    def finished(self, made: Environment) -> None:
        """Note what stands in an environment before a suite runs in it, where it is to be kept."""
        if self.service is None or not self.service.writes or self.environment.found:
            return
        # Links lead to files elsewhere, such as uv's cache, which are not kept.
        if links(made.root) <= self.links:
            self.installed = Installed.of(made.root)

    def save(self, install: float) -> str:
        """Keep what is there now, unless it was restored.

        Args:
            install: seconds it took to make the environment; the cold figure of later runs.

        Returns:
            What was done, for the record; empty for nothing.
        """
        names = self.installed and self.installed.to_keep()
        if self.installed is None or not names:
            return ""
        note = {"seconds": round(install, 3), "whole": self.said and self.installed.is_of_indexes()}
        pack = partial(_pack, folder=self.installed.root, note=note, only=names)
        told = [self.environment.save(self.key, pack)]
        if not self.trouble:
            told.append(self._save_built())
        return "; ".join(filter(None, told))

    def _save_built(self) -> str:
        built = _built(self.uv.cache)
        if built <= self.before:
            return ""
        try:
            self.uv.ask("cache", "prune", "--ci", "--quiet")
        except subprocess.CalledProcessError as problem:
            self.built.warn(f"{self.built.title} not saved: {problem.stderr}")
            return ""
        digest = hashlib.sha256("\0".join(sorted(built)).encode()).hexdigest()[:32]
        return self.built.save(_prefix("packages") + digest, partial(_pack, folder=self.uv.cache))


def key(order: Order, made: Environment, wheel: Path, visible: Mapping[str, str]) -> str:
    """The key of an environment: it changes with whatever decides what is installed.

    Where no lock file pins the versions, newer ones count from the next day on.

    Args:
        order: what environment.
        made: the empty one; programs in it name its place.
        wheel: our plugin's wheel.
        visible: the variables uv may see.
    """
    plan = order.plan
    day = "" if plan.pinned else dt.datetime.now(dt.UTC).date().isoformat()
    settings = sorted((name, value) for name, value in visible.items() if name.startswith("UV_"))
    told = (plan.arguments, plan.itself, plan.constraints, plan.indexes, plan.bound, plan.sync)
    words = (*told, order.extras, order.splits, made.version, settings, day)
    digest = hashlib.sha256(repr((*words, str(made.root))).encode())
    for file in (wheel, *plan.files, order.project / "uv.toml"):
        digest.update(hashlib.sha256(file.read_bytes() if file.is_file() else b"").digest())
    return digest.hexdigest()[:32]


def _prefix(kind: str) -> str:
    """What all keys of this machine's kind start with."""
    return f"realdb-ci-{kind}-{platform.system().lower()}-{platform.machine()}-{''.join(platform.libc_ver())}-"


def _built(cache: Path) -> frozenset[str]:
    return frozenset(path.relative_to(cache).as_posix() for path in cache.glob(_BUILT))


def _pack(
    file: Path, *, folder: Path, note: Mapping[str, Any] | None = None, only: Collection[str] | None = None
) -> None:
    archive.pack(folder, file, note or {}, only)
