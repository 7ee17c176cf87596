"""The artifact service of GitHub Actions, version 4, as far as a run that only uploads sees it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fake_storage import Storage

# The last part of every token; nothing else of a job holds it.
SIGNATURE = "imitated-runtime-token"
JOB = "ca395085-040a-526b-2ce8-bdc85f692774"
FIELDS = {
    "CreateArtifact": {"expires_at", "mime_type", "version"},
    "FinalizeArtifact": {"size", "hash"},
}


def token(run: str = "1", scopes: str = "Actions.Results:{run}:{job}") -> str:
    """A job's runtime token: a JSON web token that names its run and job in a claim, among other things."""
    claims = {"scp": f"Actions.Example:x {scopes.format(run=run, job=JOB)} Actions.Another:x:y:z"}
    parts = (json.dumps(part, separators=(",", ":")).encode() for part in ({"alg": "RS256"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), SIGNATURE])


def run_of(authorization: str) -> str | None:
    """The run whose token a request has, or None where it has none."""
    kind, _, given = authorization.partition(" ")
    if kind != "Bearer" or not given.endswith(f".{SIGNATURE}"):
        return None
    payload = given.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    found = re.search(r"Actions\.Results:([^: ]+):", claims["scp"])
    return found[1] if found else ""


@dataclass
class Artifacts:
    """What runs have left.

    Attributes:
        kept: (run, name) to the zip file, in the order they were finished.
        expires: (run, name) to when it will be gone, empty where the repository's setting says.
        pending: (run, name) to the name of the blob that is to come.
        storage: told of those that are finished, as the repository's list of artifacts is; None for nobody.
    """

    kept: dict[tuple[str, str], bytes] = field(default_factory=dict)
    expires: dict[tuple[str, str], str] = field(default_factory=dict)
    pending: dict[tuple[str, str], str] = field(default_factory=dict)
    storage: Storage | None = None

    def call(
        self, method: str, request: dict[str, object], run: str, blobs: dict[str, bytes], base: str
    ) -> tuple[int, dict[str, object]]:
        """Answer one call of the service.

        Args:
            method: its name.
            request: its fields.
            run: the one whose token the caller has.
            blobs: what was uploaded so far.
            base: the address of the blob store.
        """
        name = str(request.get("name", ""))
        ids = {"workflow_run_backend_id": run, "workflow_job_run_backend_id": JOB}
        assert set(request) <= {*ids, "name", *FIELDS[method]}, request
        if any(request.get(one) != value for one, value in ids.items()):
            return 403, {"code": "permission_denied", "msg": "the token is not of this run and job"}
        if not name or re.search(r'["<>:|*?\r\n\\/]', name):
            return 400, {"code": "invalid_argument", "msg": "name"}
        if method == "CreateArtifact":
            return self._create((run, name), request, base)
        blob = blobs.get(self.pending.pop((run, name), ""))
        whole = blob is not None and request["size"] == str(len(blob))
        if blob is None or not whole or request["hash"] != f"sha256:{hashlib.sha256(blob).hexdigest()}":
            return 200, {"ok": False}
        self.kept[run, name] = blob
        if self.storage is not None:
            self.storage.add(name, blob)
        return 200, {"ok": True, "artifact_id": str(len(self.kept))}

    def _create(self, key: tuple[str, str], request: dict[str, object], base: str) -> tuple[int, dict[str, object]]:
        if key in self.kept or key in self.pending:
            msg = "an artifact with this name already exists on the workflow run"
            return 409, {"code": "already_exists", "msg": msg}
        expires = str(request.get("expires_at", ""))
        now = datetime.now(UTC)
        if expires and not now < datetime.fromisoformat(expires) < now + timedelta(days=91):
            return 400, {"code": "invalid_argument", "msg": "expires_at"}
        if (request["mime_type"], request["version"]) != ("application/zip", 7):
            return 400, {"code": "invalid_argument", "msg": "mime_type or version"}
        self.pending[key], self.expires[key] = f"artifact{len(self.pending) + len(self.kept)}", expires
        return 200, {"ok": True, "signedUploadUrl": f"{base}/{self.pending[key]}?sig=secret"}
