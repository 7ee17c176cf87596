"""Merge base: the commit of the base branch that a pull request was made from."""

from __future__ import annotations

from datetime import datetime

from realdb_ci.github.client import Client, Unreachable


def committed(client: Client) -> float:
    """When the merge base of the job's pull request was committed, in seconds since the epoch.

    Raises:
        Unreachable: GitHub does not tell.
    """
    job = client.github
    # Only the commit is wanted, not what was changed since.
    told = client.get(f"/repos/{job.repository}/compare/{job.base}...{job.sha}", per_page=1)
    try:
        return datetime.fromisoformat(told["merge_base_commit"]["commit"]["committer"]["date"]).timestamp()
    except (KeyError, TypeError, ValueError) as problem:
        raise Unreachable("GitHub names no merge base", why=repr(problem)) from None
