"""Artifacts: what the last run of a branch left there, and nothing that anybody else did.

Runs of forks are runs of this repository too: they may call an artifact, and the branch they come from, what they
like. And events that anybody can cause run on the default branch. So an artifact is believed by where its run's
commits are from and by what started the run:
https://docs.github.com/en/actions/reference/security/secure-use
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from realdb_ci.github.client import CONNECT_SECONDS, HEADERS, Client, Unreachable
from realdb_ci.github.context import BRANCH_EVENTS

if TYPE_CHECKING:
    import requests

NEEDS = "actions: read"
BYTES_LIMIT = 9 << 20
CHUNK = 1 << 16
# One page, the newest first: forks may use the name as well, but hardly a hundred times in a row.
PAGE = 100


def newest(client: Client, name: str) -> bytes | None:
    """The newest artifact of a name that a run of the job's branch made, as the zip file it is.

    Args:
        client: for at most three requests, beside the one to where the file lies.
        name: the artifact's.

    Returns:
        The zip file, or None where there is none that can be believed.

    Raises:
        Unreachable: GitHub does not tell, or the file cannot be had, or is larger than any of ours.
    """
    job = client.github
    actions = f"/repos/{job.repository}/actions"
    try:
        listed = client.get(f"{actions}/artifacts", NEEDS, name=name, per_page=PAGE)["artifacts"]
        found = max((one for one in listed if _is_of(one, name, job.branch)), key=_number, default=None)
        if found is None:
            return None
        run = client.get(f"{actions}/runs/{_number(found['workflow_run'])}", NEEDS)
        if run["event"] not in BRANCH_EVENTS:
            return None
        size = int(found["size_in_bytes"])
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise Unreachable("GitHub's list of artifacts cannot be read", why=repr(problem)) from None
    if size > BYTES_LIMIT:
        raise Unreachable("The artifact is not used", why=f"it has {size} bytes")
    return _file(client.address(f"{actions}/artifacts/{_number(found)}/zip", NEEDS), job.timeout)


def _is_of(told: Mapping[str, Any], name: str, branch: str) -> bool:
    run = told["workflow_run"] or {}
    ours = run.get("repository_id")
    return (
        told["name"] == name
        and told["expired"] is False
        and run.get("head_branch") == branch
        and isinstance(ours, int)
        and run.get("head_repository_id") == ours
    )


def _number(told: Mapping[str, Any]) -> int:
    return int(told["id"])


def _file(address: str, seconds: float) -> bytes:
    """What stands behind a signed address, in at most so many seconds."""
    import requests
    from urllib3.exceptions import HTTPError

    deadline = time.monotonic() + seconds
    content = bytearray()
    try:
        with requests.get(
            address,
            headers={"User-Agent": HEADERS["User-Agent"]},
            auth=_unsigned,
            timeout=(CONNECT_SECONDS, seconds),
            stream=True,
            allow_redirects=False,
        ) as answer:
            if answer.status_code != 200:  # noqa: PLR2004
                raise Unreachable("The artifact was not sent", why=f"{answer.status_code}: {answer.reason}")
            # What has come so far: waiting for a full chunk would wait for a trickle without end.
            while chunk := answer.raw.read1(CHUNK):
                content += chunk
                if len(content) > BYTES_LIMIT:
                    raise Unreachable("The artifact is not used", why=f"it has more than {BYTES_LIMIT} bytes")
                if time.monotonic() > deadline:
                    raise Unreachable("The artifact was not sent", why=f"it took longer than {seconds:g} s")
    except (requests.RequestException, HTTPError) as problem:
        # The address is a key to the file, and problems name it.
        raise Unreachable("The artifact was not sent", why=type(problem).__name__) from None
    return bytes(content)


def _unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """No token, and no password that a .netrc has for everybody: the address is signed."""
    return request
