"""Workflow commands: annotations that need no token, through the log of the job.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands. The runner keeps ten of a kind
in a step and 4,096 characters of a message (``_maxCountPerIssueType`` and ``_maxIssueMessageLength`` in its
src/Runner.Worker/ExecutionContext.cs).
"""

from __future__ import annotations

from collections.abc import Iterable

from realdb_ci import runner
from realdb_ci.reports import Place
from realdb_ci.reports.digest import Digest
from realdb_ci.reports.notes import FAILURE, WARNING, Note, notes
from realdb_ci.reports.text import clean, encodable

FILE = None
KINDS = {FAILURE: "error", WARNING: "warning"}
MOST = 10
MESSAGE_LIMIT = 4_000


def publish(digest: Digest, place: Place) -> bool:
    """Print the commands, on GitHub."""
    if place.github is None:
        return False
    for line in render(notes(digest, place.github.root)):
        place.console.out(encodable(line, place.console.encoding), highlight=False)
    return True


def render(told: Iterable[Note]) -> list[str]:
    """One line a note, at most ten of a kind; the last one of more says how many more there are."""
    by_kind: dict[str, list[Note]] = {level: [] for level in KINDS}
    for note in told:
        by_kind[note.level].append(note)
    lines = []
    for level, group in by_kind.items():
        shown = group if len(group) <= MOST else group[: MOST - 1]
        lines += [command(KINDS[level], note.message, **_properties(note)) for note in shown]
        if len(group) > len(shown):
            more = f"...and {len(group) - len(shown)} more, in the summary of this run"
            lines.append(command(KINDS[level], more, title="realdb-ci"))
    return lines


def command(name: str, message: str, **properties: str) -> str:
    """A workflow command whose message is as long as the runner takes."""
    # Cut before it is escaped: an escape in two halves would say something else.
    return runner.command(name, clean(message)[:MESSAGE_LIMIT], **properties)


def _properties(note: Note) -> dict[str, str]:
    line = {"file": note.path, "line": str(note.line)} if note.path else {}
    return {**line, "title": note.title}
