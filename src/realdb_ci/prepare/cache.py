"""Cache: the cache service of GitHub Actions, version 2, in three calls; trouble with it means: no cache."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from realdb_ci.prepare.results_service import Denied, ResultsService, ServiceTrouble, Taken, either, refusal

# Part of every entry's version: what an older realdb-ci wrote is not found by a newer one.
FORMAT = 1
KEY_LIMIT = 512
# Of a project's name, so that a list of entries can be read by people.
NAME_LIMIT = 100


@dataclass(frozen=True)
class CacheService(ResultsService):
    """The cache service of this job.

    Attributes:
        mode: what the job may do with it; empty or unknown means both.
    """

    mode: str = ""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self | None:
        """The service the runner told us of, or None: there is none of version 2 on GitHub Enterprise Server."""
        found, mode = super().of(environ), environ.get("ACTIONS_CACHE_MODE", "").lower()
        return None if found is None or mode == "none" else replace(found, mode=mode)

    @property
    def reads(self) -> bool:
        """Whether this job may look entries up."""
        return self.mode != "write-only"

    @property
    def writes(self) -> bool:
        """Whether this job may make entries."""
        return self.mode != "read"

    def fetch(self, kind: str, keys: Sequence[str], file: Path) -> str | None:
        """Download the entry of the first key, else the newest whose key starts with one of the others.

        Args:
            kind: what it holds; entries of another kind are never found.
            keys: the exact key, then prefixes.
            file: where to write it.

        Returns:
            The key that was found, or None.

        Raises:
            Denied: no job of this workflow run may read.
            ServiceTrouble: the service failed, or took too long.
            OSError: the file cannot be written.
        """
        if not self.reads:
            return None
        wanted = [_key(key) for key in keys]
        answer = self.call(
            "CacheService/GetCacheEntryDownloadURL",
            {"key": wanted[0], "restore_keys": wanted[1:], "version": version(kind)},
        )
        if not answer.get("ok"):
            problem = refusal(str(answer.get("message") or ""))
            if isinstance(problem, Denied):
                raise problem
            return None
        self.download(either(answer, "signed_download_url"), file)
        return either(answer, "matched_key") or wanted[0]

    def save(self, kind: str, key: str, file: Path) -> None:
        """Make an entry of a file.

        Raises:
            Taken: there is one of this key.
            Denied: no job of this workflow run may write.
            ServiceTrouble: the service failed, refused, or took too long.
            OSError: the file cannot be read.
        """
        if not self.writes:
            raise Denied("cache write denied: this job may only read")
        named = {"key": _key(key), "version": version(kind)}
        answer = self.call("CacheService/CreateCacheEntry", named)
        if not answer.get("ok"):
            message = str(answer.get("message") or "the entry is there already")
            problem = refusal(message)
            raise problem if isinstance(problem, Denied) else Taken(message)
        self.upload(either(answer, "signed_upload_url"), file)
        size = str(file.stat().st_size)
        done = self.call("CacheService/FinalizeCacheEntryUpload", {**named, "size_bytes": size})
        if not done.get("ok"):
            raise ServiceTrouble(str(done.get("message") or "the upload was not accepted"))


def version(kind: str) -> str:
    """What separates entries of one kind and format from all others."""
    return hashlib.sha256(f"realdb-ci {FORMAT} {kind}".encode()).hexdigest()


def of_project(project: str) -> str:
    """A project as a part of keys: readable, and never the beginning of another one, however alike their names."""
    return f"{project[:NAME_LIMIT]}-{hashlib.sha256(project.encode()).hexdigest()[:16]}"


def _key(key: str) -> str:
    """A key as the service takes it: no comma, at most 512 characters."""
    return key.replace(",", "_")[:KEY_LIMIT]
