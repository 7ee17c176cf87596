"""Reading: an events file as Results, also one that stops in the middle or knows more than we do."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecoder
from pathlib import Path
from typing import Any

from realdb_ci.results.drafts import SuiteDraft
from realdb_ci.results.suites import Results

# How every event begins; nothing inside an event looks like it, as quotes in texts are escaped.
HEAD = '{"event"'
# What nearly every phase says in its middle and at its end: nothing. Without it a line is read faster.
NOTHING = ', "wasxfail": null, "strict_xpass": false'
NOTHING_MORE = ', "anchor": null, "message": "", "longrepr": "", "sections": [], "subtest": null}\n'

_decode = JSONDecoder().raw_decode


def read(path: Path) -> Results:
    """Read an events file.

    Args:
        path: what ``Recorder`` wrote; a missing file is a run that recorded nothing.

    Raises:
        OSError: the file is there and cannot be read.
    """
    drafts: list[SuiteDraft] = []
    with collector_paused():
        for event in _events(path):
            kind = event["event"]
            # What comes before the first suite, or tells of one that never opened, still belongs to a project.
            opens = kind == "run" and drafts and not drafts[-1].is_preface
            if opens or not drafts or (kind == "died" and drafts[-1].ended):
                drafts.append(SuiteDraft(str(event.get("project") or "")))
            drafts[-1].take(kind, event)
        return Results(tuple(draft.suite() for draft in drafts))


@contextmanager
def collector_paused() -> Iterator[None]:
    """A block that makes many values and no garbage, and need not be searched for any while it does."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _events(path: Path) -> Iterator[dict[str, Any]]:
    try:
        file = path.open(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            event = _event(line)
            if event is None and line.rfind(HEAD) > 0:
                # The last line of a process that was killed may be torn, and the next one's first line glued to it.
                event = _event(line[line.rfind(HEAD) :])
            if event is not None:
                yield event


def _event(line: str) -> dict[str, Any] | None:
    """The event that the line holds, and nothing beside it; None for anything else."""
    if line.endswith(NOTHING_MORE):
        line = line[: -len(NOTHING_MORE)].replace(NOTHING, "", 1) + "}"
    try:
        event, end = _decode(line)
    except (ValueError, RecursionError):
        return None
    whole = end >= len(line) - 1 or not line[end:].strip()
    return event if whole and isinstance(event, dict) and isinstance(event.get("event"), str) else None
