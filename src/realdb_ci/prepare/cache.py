"""Cache: the cache service of GitHub Actions, version 2, spoken from inside a container.

The protocol is that of ``packages/cache`` in actions/toolkit: three calls of Twirp in JSON, and blobs of Azure
behind signed addresses. It is internal to GitHub, so whatever goes wrong means: no cache.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

PREFIX = "/twirp/github.actions.results.api.v1.CacheService/"
# Part of every entry's version: what an older realdb-ci wrote is not found by a newer one.
FORMAT = 1
KEY_LIMIT = 512
PASSING = (500, 502, 503, 504)
CHUNK = 1 << 20
# The service takes a blob in one request up to 5000 MiB; the toolkit cuts from 128 MiB on.
BLOCK = 64 << 20


class CacheTrouble(Exception):
    """The service did not do it. Never more than a warning."""


class Taken(CacheTrouble):
    """An entry of this key is there already, or is being written by another job."""


@dataclass(frozen=True)
class Patience:
    """How long to wait.

    Attributes:
        connect: seconds for a connection.
        transfer: seconds for a whole download or upload.
        pauses: seconds before each further attempt after an answer that may pass.
    """

    connect: float = 5.0
    transfer: float = 90.0
    pauses: tuple[float, ...] = (1.0, 3.0)


@dataclass(frozen=True)
class CacheService:
    """The service of this job.

    Attributes:
        url: its address.
        token: the job's runtime token.
        mode: what the job may do with it; empty or unknown means both.
        patience: how long to wait for it.
    """

    url: str
    token: str = field(repr=False)
    mode: str = ""
    patience: Patience = Patience()

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> CacheService | None:
        """The service the runner told us of, or None: there is none of version 2 on GitHub Enterprise Server."""
        host = urlsplit(environ.get("GITHUB_SERVER_URL") or "https://github.com").hostname or ""
        url, token = environ.get("ACTIONS_RESULTS_URL", ""), environ.get("ACTIONS_RUNTIME_TOKEN", "")
        if not url or not token or not (host == "github.com" or host.endswith(".ghe.com")):
            return None
        mode = environ.get("ACTIONS_CACHE_MODE", "").lower()
        return None if mode == "none" else cls(url, token, mode)

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
            CacheTrouble: the service failed, or took too long.
        """
        if not self.reads:
            return None
        wanted = [_key(key) for key in keys]
        answer = self._call(
            "GetCacheEntryDownloadURL",
            {"key": wanted[0], "restore_keys": wanted[1:], "version": version(kind)},
        )
        if not answer.get("ok"):
            return None
        self._download(_either(answer, "signed_download_url"), file)
        return _either(answer, "matched_key") or wanted[0]

    def save(self, kind: str, key: str, file: Path) -> None:
        """Make an entry of a file.

        Raises:
            Taken: there is one of this key.
            CacheTrouble: the service failed, refused, or took too long.
        """
        if not self.writes:
            raise CacheTrouble("cache write denied: this job may only read")
        named = {"key": _key(key), "version": version(kind)}
        answer = self._call("CreateCacheEntry", named)
        if not answer.get("ok"):
            message = str(answer.get("message") or "")
            raise (CacheTrouble if "denied" in message else Taken)(message or "the entry is there already")
        self._upload(_either(answer, "signed_upload_url"), file)
        size = str(file.stat().st_size)
        done = self._call("FinalizeCacheEntryUpload", {**named, "size_bytes": size})
        if not done.get("ok"):
            raise CacheTrouble(str(done.get("message") or "the upload was not accepted"))

    def _call(self, method: str, request: Mapping[str, Any]) -> dict[str, Any]:
        parts = urlsplit(self.url)
        response = self._ask(
            "POST",
            f"{parts.scheme}://{parts.netloc}{PREFIX}{method}",
            body=json.dumps({name: value for name, value in request.items() if value}).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        try:
            answer = json.loads(response.data)
        except ValueError:
            answer = None
        if response.status == 409:  # noqa: PLR2004  # Twirp's already_exists
            raise Taken(_message(answer) or "the entry is there already")
        if response.status != 200:  # noqa: PLR2004
            raise CacheTrouble(f"{method}: HTTP {response.status} {_message(answer)}".strip())
        if not isinstance(answer, dict):
            raise CacheTrouble(f"{method}: the answer cannot be read")
        return answer

    def _ask(self, method: str, url: str, *, body: bytes, headers: Mapping[str, str]) -> BaseHTTPResponse:
        """One request, again after an answer that may pass; being limited is no such answer."""
        from urllib3.exceptions import HTTPError

        problem = ""
        for pause in (*self.patience.pauses, None):
            try:
                with _pool(self.patience) as pool:
                    response = pool.request(method, url, body=body, headers=dict(headers))
            except HTTPError as failed:
                problem = type(failed).__name__
            else:
                if response.status not in PASSING:
                    return response
                problem = f"HTTP {response.status}"
            if pause is not None:
                time.sleep(pause)
        raise CacheTrouble(f"the service does not answer ({problem})")

    def _download(self, url: str, file: Path) -> None:
        from urllib3.exceptions import HTTPError

        deadline = time.monotonic() + self.patience.transfer
        try:
            with (
                _pool(self.patience) as pool,
                contextlib.closing(pool.request("GET", url, preload_content=False)) as response,
                file.open("wb") as out,
            ):
                if response.status != 200:  # noqa: PLR2004
                    raise CacheTrouble(f"the download failed with HTTP {response.status}")
                # What has come so far: waiting for a full chunk would wait for a trickle without end.
                while chunk := response.read1(CHUNK):
                    out.write(chunk)
                    if time.monotonic() > deadline:
                        raise CacheTrouble(f"the download took longer than {self.patience.transfer:g} s")
        except HTTPError as problem:
            raise CacheTrouble(f"the download broke off ({type(problem).__name__})") from None

    def _upload(self, url: str, file: Path) -> None:
        deadline = time.monotonic() + self.patience.transfer
        size = file.stat().st_size
        if size <= BLOCK:
            self._put(url, file.read_bytes(), {"x-ms-blob-type": "BlockBlob"})
            return
        names = []
        for number, block in enumerate(_blocks(file)):
            names.append(base64.b64encode(f"{number:032}".encode()).decode())
            self._put(f"{url}&comp=block&blockid={quote(names[-1], safe='')}", block, {})
            if time.monotonic() > deadline:
                raise CacheTrouble(f"the upload took longer than {self.patience.transfer:g} s")
        listed = "".join(f"<Latest>{name}</Latest>" for name in names)
        body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>'
        self._put(f"{url}&comp=blocklist", body.encode(), {"Content-Type": "application/xml"})

    def _put(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        response = self._ask("PUT", url, body=body, headers={**headers, "x-ms-version": "2021-12-02"})
        if response.status != 201:  # noqa: PLR2004
            raise CacheTrouble(f"the upload failed with HTTP {response.status}")


def version(kind: str) -> str:
    """What separates entries of one kind and format from all others."""
    return hashlib.sha256(f"realdb-ci {FORMAT} {kind}".encode()).hexdigest()


def _key(key: str) -> str:
    """A key as the service takes it: no comma, at most 512 characters."""
    return key.replace(",", "_")[:KEY_LIMIT]


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while block := opened.read(BLOCK):
            yield block


def _either(answer: Mapping[str, Any], name: str) -> str:
    """A field under its own name or in JSON's usual spelling of it."""
    first, *others = name.split("_")
    camel = first + "".join(word.capitalize() for word in others)
    return str(answer.get(name) or answer.get(camel) or "")


def _message(answer: Any) -> str:
    return str(answer.get("msg") or "")[:300] if isinstance(answer, dict) else ""


def _pool(patience: Patience) -> PoolManager:
    from urllib3 import PoolManager, Retry, Timeout

    return PoolManager(
        timeout=Timeout(connect=patience.connect, read=patience.transfer),
        retries=Retry(0, redirect=3, raise_on_status=False),
    )
