"""Check runs: one made, and its annotations added to it in the batches that GitHub takes.

https://docs.github.com/en/rest/checks/runs: at most 50 annotations a request, and each update adds its own to those
that are there. So a request whose fate is not known is looked up before it is sent again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from realdb_ci.github.client import Client, Unsure

BATCH = 50
NEEDS = "checks: write"
# Of one batch, where no answer tells what became of it; the client itself tries again where that is safe.
ATTEMPTS = 3


def create(client: Client, run: Mapping[str, Any], output: Mapping[str, Any]) -> int:
    """Make a check run.

    Args:
        client: speaks for the job.
        run: the request's body without its output, with an ``external_id`` that no other check run has.
        output: title, summary, text and at most ``BATCH`` annotations.

    Returns:
        Its number.

    Raises:
        Unreachable: it was not made.
    """
    path, body = _path(client, "check-runs"), {**run, "output": output}
    try:
        return int(client.write("POST", path, body, needs=NEEDS, repeatable=False)["id"])
    except Unsure:
        made = _made(client, run)
        if made is not None:
            return made
    return int(client.write("POST", path, body, needs=NEEDS, repeatable=False)["id"])


def extend(client: Client, number: int, output: Mapping[str, Any], annotations: Sequence[Any], there: int) -> None:
    """Add annotations to a check run.

    Args:
        client: speaks for the job.
        number: the check run's.
        output: title, summary and text, which every update repeats.
        annotations: all of the check run's, in their order.
        there: how many of them it has already.

    Raises:
        Unreachable: some may have been added, in their order, and the others were not.
    """
    path, attempt = _path(client, f"check-runs/{number}"), 0
    while there < len(annotations):
        batch = annotations[there : there + BATCH]
        try:
            client.write("PATCH", path, {"output": {**output, "annotations": batch}}, needs=NEEDS, repeatable=False)
        except Unsure:
            attempt += 1
            arrived = client.get(path)["output"]["annotations_count"]
            if arrived <= there and attempt == ATTEMPTS:
                raise
            there = max(there, arrived)
        else:
            there, attempt = there + len(batch), 0


def _made(client: Client, run: Mapping[str, Any]) -> int | None:
    """The check run that a request made, although no answer told so."""
    path = _path(client, f"commits/{run['head_sha']}/check-runs")
    for page in client.pages(path, check_name=run["name"], filter="all", per_page=100):
        for one in page["check_runs"]:
            if one["external_id"] == run["external_id"]:
                return int(one["id"])
    return None


def _path(client: Client, rest: str) -> str:
    return f"/repos/{client.github.repository}/{rest}"
