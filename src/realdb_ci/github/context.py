"""What a job on GitHub knows of itself: read once, from the environment and the event that started it.

The variables: https://docs.github.com/en/actions/reference/workflows-and-actions/variables. Two of them a workflow
has to hand over: ``GITHUB_TOKEN``, and ``REALDB_CI_MATRIX``, the job's ``${{ toJSON(matrix) }}``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MATRIX = "REALDB_CI_MATRIX"
HEADS = "refs/heads/"
# Of these alone GitHub says that they run on a branch with what is committed there.
BRANCH_EVENTS = frozenset({"push", "schedule", "workflow_dispatch"})
DEPENDABOT = "dependabot[bot]"


@dataclass(frozen=True)
class GitHub:
    """One job of one workflow run, and how politely to speak to its server.

    Attributes:
        repository: ``owner/name``.
        sha: the commit that reviewers look at; not the merge commit that a pull request's tests run on.
        root: the checkout that recorded paths are relative to.
        token: allowed to write what the workflow's ``permissions`` say; empty where none was handed over.
        api: base address of the REST interface; ``server`` is that of the pages.
        event: name of the event that started the run.
        pull: number of the pull request, or None where the event does not tell.
        branch: the branch that this run is of, or is to be merged into; empty where it is of a tag.
        base: the newest commit of that branch where it is to be merged into it, else empty.
        workflow: the workflow's name; ``job`` is the job's id in it, ``matrix`` what tells its legs apart.
        run_id: the run's number; ``attempt`` counts its re-runs from 1.
        restricted: why the token may only read, whatever the workflow's ``permissions`` say; else empty.
        summary: the file of the job summary; ``output`` that of the step's outputs; None where there is none.
        pace: seconds between two requests that change something.
        patience: seconds that all waiting and all failed requests of this run may take together.
        timeout: seconds to wait for one answer.
    """

    repository: str
    sha: str
    root: Path
    token: str = field(default="", repr=False)
    api: str = "https://api.github.com"
    server: str = "https://github.com"
    event: str = ""
    pull: int | None = None
    branch: str = ""
    base: str = ""
    workflow: str = ""
    job: str = ""
    matrix: str = ""
    run_id: str = ""
    attempt: str = "1"
    restricted: str = ""
    summary: Path | None = None
    output: Path | None = None
    pace: float = 1.0
    patience: float = 150.0
    timeout: float = 20.0

    @property
    def run_url(self) -> str:
        """The page of this run, where its summary stands."""
        return f"{self.server}/{self.repository}/actions/runs/{self.run_id}/attempts/{self.attempt}"

    @property
    def is_of_branch(self) -> bool:
        """Whether it tests what stands on its branch, for everybody who comes after, and nothing proposed."""
        return bool(self.branch) and self.event in BRANCH_EVENTS

    @property
    def name(self) -> str:
        """``test (3.12, 17)``: the job as GitHub names it."""
        return f"{self.job} ({self.matrix})" if self.matrix else self.job

    @property
    def key(self) -> str:
        """The same for every run of this job with this matrix, and another one for every other job."""
        named = json.dumps([self.workflow, self.job, self.matrix])
        return hashlib.sha256(named.encode()).hexdigest()[:16]


def read(environ: Mapping[str, str], root: Path) -> GitHub | None:
    """The job that we run in, or None outside GitHub Actions.

    Args:
        environ: the environment, such as ``os.environ``.
        root: the checkout that recorded paths are relative to.
    """
    if environ.get("GITHUB_ACTIONS") != "true":
        return None
    return job(environ, _payload(environ.get("GITHUB_EVENT_PATH", "")), root)


def job(environ: Mapping[str, str], payload: Mapping[str, Any], root: Path) -> GitHub:
    """The same from an event's payload that was read already."""
    return GitHub(
        repository=environ.get("GITHUB_REPOSITORY", ""),
        sha=_head(payload) or environ.get("GITHUB_SHA", ""),
        root=root,
        token=environ.get("GITHUB_TOKEN", ""),
        event=environ.get("GITHUB_EVENT_NAME", ""),
        pull=_number(payload),
        branch=_branch(environ, payload),
        base=str(_at(payload, "pull_request", "base", "sha") or _at(payload, "merge_group", "base_sha") or ""),
        workflow=environ.get("GITHUB_WORKFLOW", ""),
        job=environ.get("GITHUB_JOB", ""),
        matrix=_matrix(environ.get(MATRIX, "")),
        run_id=environ.get("GITHUB_RUN_ID", ""),
        restricted=_restricted(environ, payload),
        summary=_file(environ, "GITHUB_STEP_SUMMARY"),
        output=_file(environ, "GITHUB_OUTPUT"),
        api=environ.get("GITHUB_API_URL", "").rstrip("/") or GitHub.api,
        server=environ.get("GITHUB_SERVER_URL", "").rstrip("/") or GitHub.server,
        attempt=environ.get("GITHUB_RUN_ATTEMPT") or GitHub.attempt,
    )


def _payload(path: str) -> Mapping[str, Any]:
    """The event; an unreadable one tells nothing, and the variables still tell the most."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _at(plain: Any, *names: str) -> Any:
    """``plain["a"]["b"]``, or None where something on the way is missing or of another kind."""
    for name in names:
        plain = plain.get(name) if isinstance(plain, dict) else None
    return plain


def _head(payload: Mapping[str, Any]) -> str:
    """The commit a reviewer sees, where the event knows another one than ``GITHUB_SHA``."""
    heads = (
        _at(payload, "pull_request", "head", "sha"),
        _at(payload, "workflow_run", "head_sha"),
        _at(payload, "merge_group", "head_sha"),
    )
    return next((str(head) for head in heads if head), "")


def _number(payload: Mapping[str, Any]) -> int | None:
    """The pull request; a ``workflow_run`` names those of its own repository only."""
    listed = _at(payload, "workflow_run", "pull_requests")
    first = listed[0] if isinstance(listed, list) and listed else None
    number = _at(payload, "pull_request", "number") or _at(first, "number")
    return number if isinstance(number, int) else None


def _branch(environ: Mapping[str, str], payload: Mapping[str, Any]) -> str:
    """The base of what is proposed, else the branch itself."""
    base = environ.get("GITHUB_BASE_REF") or _at(payload, "pull_request", "base", "ref")
    ref = str(_at(payload, "merge_group", "base_ref") or environ.get("GITHUB_REF", ""))
    return str(base) if base else ref.removeprefix(HEADS) if ref.startswith(HEADS) else ""


def _restricted(environ: Mapping[str, str], payload: Mapping[str, Any]) -> str:
    """Why GitHub hands out a token that may only read.

    See https://docs.github.com/en/actions/reference/security/secure-use and "Automating Dependabot with GitHub
    Actions"; ``pull_request_target`` and ``workflow_run`` have the token of their own repository.
    """
    if environ.get("GITHUB_EVENT_NAME") != "pull_request":
        return ""
    head = _at(payload, "pull_request", "head", "repo", "full_name")
    if head != environ.get("GITHUB_REPOSITORY"):
        return "a pull request from a fork gets a token that may only read"
    if environ.get("GITHUB_ACTOR") == DEPENDABOT:
        return "a run that Dependabot started gets a token that may only read"
    return ""


def _matrix(text: str) -> str:
    """The values of a matrix as GitHub puts them into a job's name; any other text as it is."""
    try:
        found = json.loads(text)
    except ValueError:
        return text.strip()
    if isinstance(found, dict):
        return ", ".join(one if isinstance(one, str) else json.dumps(one) for one in found.values())
    return "" if found is None else text.strip()


def _file(environ: Mapping[str, str], name: str) -> Path | None:
    return Path(environ[name]) if environ.get(name) else None
