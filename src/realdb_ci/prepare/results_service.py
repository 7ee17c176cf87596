"""Results service: the runner's service for caches and artifacts, spoken to from inside a container.

Its protocol is that of ``packages/cache`` and ``packages/artifact`` in actions/toolkit: calls of Twirp in JSON, and
blobs of Azure behind signed addresses. It is internal to GitHub, so whatever goes wrong means: do without.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

PREFIX = "/twirp/github.actions.results.api.v1."
DENIED = re.compile(r"\bcache (read|write) denied:")
PASSING = (500, 502, 503, 504)
CHUNK = 1 << 20
# The service takes a blob in one request up to 5000 MiB; the toolkit cuts from 128 MiB on.
BLOCK = 64 << 20


class ServiceTrouble(Exception):
    """The service did not do it. Never more than a warning."""


class Taken(ServiceTrouble):
    """There is something of this name already, or another job is just writing it."""


class Denied(ServiceTrouble):
    """The workflow run may not do that, so none of its jobs may."""


@dataclass(frozen=True)
class Patience:
    """How long to wait.

    Attributes:
        connect: seconds for a connection.
        transfer: seconds for a whole download or upload.
        pauses: seconds before each further attempt after an answer that may pass.
        answer: seconds for the answer to a call, and for the next bytes of a download.
    """

    connect: float = 5.0
    transfer: float = 90.0
    pauses: tuple[float, ...] = (1.0, 3.0)
    answer: float = 10.0


@dataclass(frozen=True)
class ResultsService:
    """The service of this job.

    Attributes:
        url: its address.
        token: the job's runtime token.
        patience: how long to wait for it.
    """

    url: str
    token: str = field(repr=False)
    patience: Patience = Patience()

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self | None:
        """The service the runner told us of, or None."""
        url, token = environ.get("ACTIONS_RESULTS_URL", ""), environ.get("ACTIONS_RUNTIME_TOKEN", "")
        return cls(url, token) if url and token and _is_hosted(environ) else None

    def call(self, method: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """One call of Twirp.

        Args:
            method: the service's name and the method's: ``CacheService/CreateCacheEntry``.
            request: its fields; empty ones are left out.

        Raises:
            Taken: there is something of this name already.
            Denied: no job of this workflow run may do it.
            ServiceTrouble: it failed, refused, or took too long.
        """
        parts, name = urlsplit(self.url), method.rpartition("/")[2]
        response = self._ask(
            "POST",
            f"{parts.scheme}://{parts.netloc}{PREFIX}{method}",
            body=json.dumps({one: value for one, value in request.items() if value}).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
            seconds=self.patience.answer,
        )
        try:
            answer = json.loads(response.data)
        except (ValueError, RecursionError):
            answer = None
        if response.status == 409:  # noqa: PLR2004  # Twirp's already_exists
            raise Taken(_message(answer) or "it is there already")
        if response.status != 200:  # noqa: PLR2004
            raise refusal(f"{name}: HTTP {response.status} {_message(answer)}".strip())
        if not isinstance(answer, dict):
            raise ServiceTrouble(f"{name}: the answer cannot be read")
        return answer

    def _ask(
        self, method: str, url: str, *, body: bytes, headers: Mapping[str, str], seconds: float
    ) -> BaseHTTPResponse:
        """One request, again after an answer that may pass; being limited is no such answer."""
        from urllib3.exceptions import HTTPError

        problem = ""
        for pause in (*self.patience.pauses, None):
            try:
                with _pool(self.patience.connect, seconds) as pool:
                    response = pool.request(method, url, body=body, headers=dict(headers))
            except HTTPError as failed:
                problem = type(failed).__name__
            else:
                if response.status not in PASSING:
                    return response
                problem = f"HTTP {response.status}"
            if pause is not None:
                time.sleep(pause)
        raise ServiceTrouble(f"the service does not answer ({problem})")

    def download(self, url: str, file: Path) -> None:
        """Write what stands behind a signed address into a file.

        Raises:
            ServiceTrouble: it could not be had, or took too long.
        """
        from urllib3.exceptions import HTTPError

        deadline = time.monotonic() + self.patience.transfer
        try:
            with (
                _pool(self.patience.connect, self.patience.answer) as pool,
                contextlib.closing(pool.request("GET", url, preload_content=False)) as response,
                file.open("wb") as out,
            ):
                if response.status != 200:  # noqa: PLR2004
                    raise ServiceTrouble(f"the download failed with HTTP {response.status}")
                # What has come so far: waiting for a full chunk would wait for a trickle without end.
                while chunk := response.read1(CHUNK):
                    out.write(chunk)
                    if time.monotonic() > deadline:
                        raise ServiceTrouble(f"the download took longer than {self.patience.transfer:g} s")
        except HTTPError as problem:
            raise ServiceTrouble(f"the download broke off ({type(problem).__name__})") from None

    def upload(self, url: str, file: Path) -> None:
        """Put a file behind a signed address.

        Raises:
            ServiceTrouble: it was not taken, or took too long.
        """
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
                raise ServiceTrouble(f"the upload took longer than {self.patience.transfer:g} s")
        listed = "".join(f"<Latest>{name}</Latest>" for name in names)
        body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>'
        self._put(f"{url}&comp=blocklist", body.encode(), {"Content-Type": "application/xml"})

    def _put(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        told = {**headers, "x-ms-version": "2021-12-02"}
        response = self._ask("PUT", url, body=body, headers=told, seconds=self.patience.transfer)
        if response.status != 201:  # noqa: PLR2004
            raise ServiceTrouble(f"the upload failed with HTTP {response.status}")


def _is_hosted(environ: Mapping[str, str]) -> bool:
    """Whether GitHub itself runs the server: GitHub Enterprise Server has neither service in this version."""
    host = urlsplit(environ.get("GITHUB_SERVER_URL") or "https://github.com").hostname or ""
    return host == "github.com" or host.endswith(".ghe.com")


def either(answer: Mapping[str, Any], name: str) -> str:
    """A field under its own name or in JSON's usual spelling of it."""
    first, *others = name.split("_")
    camel = first + "".join(word.capitalize() for word in others)
    return str(answer.get(name) or answer.get(camel) or "")


def refusal(message: str) -> ServiceTrouble:
    """What a refusal in these words is; the toolkit too knows the service's two by their beginning."""
    return Denied(message) if DENIED.search(message) else ServiceTrouble(message)


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while block := opened.read(BLOCK):
            yield block


def _message(answer: Any) -> str:
    return str(answer.get("msg") or "")[:300] if isinstance(answer, dict) else ""


def _pool(connect: float, read: float) -> PoolManager:
    from urllib3 import PoolManager, Retry, Timeout

    return PoolManager(
        timeout=Timeout(connect=connect, read=read),
        retries=Retry(0, redirect=3, raise_on_status=False),
    )
