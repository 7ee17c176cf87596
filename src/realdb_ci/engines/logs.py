"""Logs: what a server of this machine wrote into its file."""

from __future__ import annotations

import contextlib
import re
from datetime import datetime
from pathlib import Path

LINES = 20
# How servers begin a line of their log: PostgreSQL in UTC, as its recipe says; MongoDB with an offset.
_TIME = re.compile(r"^.{0,20}?(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d{3})([+-]\d\d:\d\d)?")


def tail(log: Path) -> str:
    """Its last lines, empty where there is no file yet."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-LINES:])


def since(log: Path, when: float) -> str:
    """What was written from a time on, in seconds since the epoch.

    Lines without a time belong to the one above them.
    """
    kept, began = [], False
    with contextlib.suppress(FileNotFoundError), log.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            told = None if began else _TIME.match(line)
            began = began or (told is not None and _epoch(told) >= when)
            kept += [line] if began else []
    return "".join(kept)


def _epoch(told: re.Match[str]) -> float:
    return datetime.fromisoformat(told[1] + (told[2] or "+00:00")).timestamp()
