"""Comments on a pull request: one of ours, found again by the marker it begins with."""

from __future__ import annotations

from typing import Any

from realdb_ci.github.answers import MISSING
from realdb_ci.github.client import Client, Unreachable, Unsure

NEEDS = "pull-requests: write"
# Who else could write in our name anyway: https://docs.github.com/en/graphql/reference/enums#commentauthorassociation
TRUSTED = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})


def find(client: Client, pull: int, marker: str) -> int | None:
    """The number of the oldest comment that begins with the marker, or None.

    A comment of somebody who may not write to the repository is not ours, whatever it begins with.

    Raises:
        Unreachable: the comments could not be read.
    """
    for page in client.pages(_path(client, f"issues/{pull}/comments"), per_page=100):
        for comment in page:
            if str(comment.get("body") or "").startswith(marker) and _is_trusted(comment):
                return int(comment["id"])
    return None


def put(client: Client, pull: int, marker: str, body: str, *, anew: bool) -> bool:
    """Write the comment: into ours if there is one, else as a new one.

    Args:
        client: speaks for the job.
        pull: number of the pull request.
        marker: what the body begins with.
        body: Markdown.
        anew: whether to write one where there is none of ours yet.

    Returns:
        Whether there is one now.

    Raises:
        Unreachable: it was not written.
    """
    known = find(client, pull, marker)
    if known is not None and _updated(client, known, body):
        return True
    if not anew:
        return False
    try:
        _post(client, pull, body)
    except Unsure:
        if find(client, pull, marker) is None:
            _post(client, pull, body)
    return True


def pull_of(client: Client) -> int | None:
    """The open pull request whose newest commit is the job's, or None.

    Raises:
        Unreachable: GitHub does not tell.
    """
    sha = client.github.sha
    found: list[Any] = client.get(_path(client, f"commits/{sha}/pulls"), per_page=100)
    numbers = (int(one["number"]) for one in found if one["state"] == "open" and one["head"]["sha"] == sha)
    return next(numbers, None)


def _updated(client: Client, comment: int, body: str) -> bool:
    """Whether the comment was still there to be written into."""
    path = _path(client, f"issues/comments/{comment}")
    try:
        client.write("PATCH", path, {"body": body}, needs=NEEDS, repeatable=True)
    except Unreachable as problem:
        if problem.status != MISSING:
            raise
        return False
    return True


def _post(client: Client, pull: int, body: str) -> None:
    path = _path(client, f"issues/{pull}/comments")
    client.write("POST", path, {"body": body}, needs=NEEDS, repeatable=False)


def _is_trusted(comment: dict[str, Any]) -> bool:
    author = comment.get("user") or {}
    return author.get("type") == "Bot" or comment.get("author_association") in TRUSTED


def _path(client: Client, rest: str) -> str:
    return f"/repos/{client.github.repository}/{rest}"
