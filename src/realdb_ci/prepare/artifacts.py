"""Artifacts: the artifact service of GitHub Actions, version 4, for one small file a run.

The requests are those of ``packages/artifact/src`` in actions/toolkit: an artifact is a zip file, whose name is
unique in its workflow run and cannot be used again there.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from realdb_ci.prepare.results_service import Patience, ResultsService, ServiceTrouble, either

MEMBER = "baseline.json"
# By then a branch has usually been pushed to again; what takes room is not kept for ever.
MOST_DAYS = 30
# It comes at the very end of a step, and nothing waits for it but the next run.
PATIENCE = Patience(transfer=10.0, pauses=(1.0,))
# The toolkit's own numbers.
VERSION = 7
TYPE = "application/zip"


@dataclass(frozen=True)
class ArtifactService(ResultsService):
    """The artifact service of this job.

    Attributes:
        days: how long the repository lets artifacts be kept; 0 where nobody said.
    """

    days: int = 0

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self | None:
        """The service the runner told us of, or None: there is none of version 4 on GitHub Enterprise Server."""
        found, days = super().of(environ), environ.get("GITHUB_RETENTION_DAYS", "")
        if found is None:
            return None
        return replace(found, patience=PATIENCE, days=int(days) if days.isdecimal() else 0)

    def save(self, name: str, file: Path) -> None:
        """Make an artifact of a zip file.

        Raises:
            Taken: the workflow run has one of this name.
            ServiceTrouble: the service failed, refused, or took too long.
        """
        content = file.read_bytes()
        named = {**_ids(self.token), "name": name}
        wanted = {**named, "expires_at": self._expires(), "mime_type": TYPE, "version": VERSION}
        answer = self.call("ArtifactService/CreateArtifact", wanted)
        if not answer.get("ok"):
            raise ServiceTrouble("the artifact was refused")
        self.upload(either(answer, "signed_upload_url"), file)
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        told = {**named, "size": str(len(content)), "hash": digest}
        if not self.call("ArtifactService/FinalizeArtifact", told).get("ok"):
            raise ServiceTrouble("the artifact's upload was not accepted")

    def _expires(self) -> str:
        """When the artifact may go, in RFC 3339; empty to leave it to the repository's setting."""
        if not self.days:
            return ""
        day = datetime.now(UTC) + timedelta(days=min(self.days, MOST_DAYS))
        return day.strftime("%Y-%m-%dT%H:%M:%SZ")


def pack(content: bytes) -> bytes:
    """A zip file with one file in it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr(zipfile.ZipInfo(MEMBER), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def unpack(packed: bytes, limit: int) -> bytes:
    """What ``pack`` put into a zip file.

    Args:
        packed: the zip file, from wherever.
        limit: bytes of content, which may be far more than those of the file.

    Raises:
        ValueError: it is no such file, damaged, or larger.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            if archive.namelist() != [MEMBER]:
                raise ValueError(f"the artifact does not hold one {MEMBER}")
            with archive.open(MEMBER) as opened:
                content = opened.read(limit + 1)
    # Also what zipfile says of a way to pack or to encrypt that it does not know.
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as problem:
        raise ValueError(f"the artifact cannot be unpacked: {problem}") from None
    if len(content) > limit:
        raise ValueError(f"the artifact holds more than {limit} bytes")
    return content


def _ids(token: str) -> dict[str, str]:
    """The run and the job as the service calls them: the runtime token, a JSON web token, has them in a claim.

    Raises:
        ServiceTrouble: it has not.
    """
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        scopes = [scope.split(":") for scope in claims["scp"].split()]
        [(run, job)] = [(run, job) for kind, run, job in (one for one in scopes if one[0] == "Actions.Results")]
    except (IndexError, KeyError, TypeError, AttributeError, ValueError):
        raise ServiceTrouble("the runtime token does not name its run") from None
    return {"workflow_run_backend_id": run, "workflow_job_run_backend_id": job}
