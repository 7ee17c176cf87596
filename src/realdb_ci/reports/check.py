"""The check run: the report beside the pull request, with an annotation on each line that failed."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from realdb_ci.github import GitHub, Unreachable, checks
from realdb_ci.github.answers import REJECTED
from realdb_ci.reports import Partly, Place, summary
from realdb_ci.reports.digest import Digest
from realdb_ci.reports.findings import headline
from realdb_ci.reports.notes import Note, notes
from realdb_ci.reports.text import middle_fit, one_line

FILE = None
# GitHub takes 65,535 bytes; the rest is for the lines below the summary.
BUDGET = 64_000
# Twenty requests; a reader of the thousandth annotation is not known.
MOST = 1_000
TITLE_LIMIT = 255
# GitHub takes 64 KiB.
DETAILS_BUDGET = 60_000
CONCLUSIONS = {"passed": "success", "interrupted": "cancelled"}


@dataclass(frozen=True)
class Check:
    """What GitHub is to be told.

    Attributes:
        run: the check run's name, commit and conclusion.
        output: its title and summary.
        annotations: the most valuable first.
    """

    run: dict[str, Any]
    output: dict[str, str]
    annotations: Sequence[dict[str, Any]]


def publish(digest: Digest, place: Place) -> bool:
    """Make the check run, where there is a token for it.

    Raises:
        Unreachable: it could not be made, or without its annotations only.
        Partly: it has some of its annotations.
    """
    if place.github is None or place.client is None:
        return False
    check = render(digest, place.github)
    first = check.annotations[: checks.BATCH]
    try:
        number = checks.create(place.client, check.run, {**check.output, "annotations": first})
    except Unreachable as problem:
        if problem.status == REJECTED and first:
            checks.create(place.client, check.run, check.output)
        raise
    try:
        checks.extend(place.client, number, check.output, check.annotations, len(first))
    except Unreachable as problem:
        raise Partly(f"not all of its annotations could be added: {problem.what}: {problem.why}") from problem
    return True


def render(digest: Digest, github: GitHub) -> Check:
    """The check run of these results."""
    told = notes(digest, github.root)
    placed = [note for note in told if note.path]
    lines = [f"[The whole report]({github.run_url}) is in the summary of the run."]
    if len(placed) < len(told):
        lines.append(f"{len(told) - len(placed)} of {len(told)} findings point at no line of the repository.")
    if len(placed) > MOST:
        lines.append(f"{MOST} of {len(placed)} annotations are shown.")
    run = {
        "name": one_line(f"realdb-ci: {github.name}" if github.job else "realdb-ci", TITLE_LIMIT),
        "head_sha": github.sha,
        "external_id": f"{github.key}-{github.run_id}-{github.attempt}-{secrets.token_hex(4)}",
        "details_url": github.run_url,
        "status": "completed",
        "conclusion": CONCLUSIONS.get(digest.results.verdict, "failure"),
    }
    output = {
        "title": one_line(headline(digest.results), TITLE_LIMIT),
        "summary": summary.render(digest, BUDGET, drawn=False) + "\n" + " ".join(lines),
    }
    return Check(run, output, [_annotation(note) for note in placed[:MOST]])


def _annotation(note: Note) -> dict[str, Any]:
    told = {
        "path": note.path,
        "start_line": note.line,
        "end_line": note.line,
        "annotation_level": note.level,
        "title": _accepted(note.title)[:TITLE_LIMIT],
        # GitHub takes no empty one.
        "message": _accepted(note.message).strip() or _accepted(note.title),
    }
    details = middle_fit(_accepted(note.details), DETAILS_BUDGET)
    return {**told, "raw_details": details} if details.strip() else told


def _accepted(text: str) -> str:
    """The text without characters of four bytes: annotations with one in them are refused."""
    return "".join(sign if sign <= "\uffff" else f"\\U{ord(sign):08x}" for sign in text)
