"""Markdown that stays whole: inert text, and blocks that are put in as a whole or left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from realdb_ci.reports.text import middle_cut, one_line

# What Markdown, HTML, GitHub's formulas and its automatic links would act on; an underscore only where it could
# begin or end emphasis, so that names of tests stay readable in the source.
_LIVE = re.compile(r"[&<>|`*~\[\]\\$@#!]|_(?![^\W_])|(?<![^\W_])_|:(?=//)|(?<=www)\.", re.IGNORECASE)
# GitHub looks for mentions in what was rendered; a space of no width keeps the name from being one.
_MENTION = "&#64;", "&#64;&#8203;"


def escape(text: str) -> str:
    """Text of the tested project on one line, inert wherever inline Markdown may stand."""
    return _entities(text).replace(*_MENTION)


def code(text: str) -> str:
    """The same, set as code; nothing for empty text."""
    inert = _entities(text)
    return f"<code>{inert}</code>" if inert else ""


def _entities(text: str) -> str:
    return _LIVE.sub(lambda found: f"&#{ord(found[0])};", one_line(text, 1_000))


def fence(text: str, limit: int = 10_000) -> str:
    """A fenced block that no line of the text can close; its middle is cut beyond ``limit`` characters."""
    body = middle_cut(text, limit)
    longest = max((len(run) for run in re.findall("`+", body)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}text\n{body}\n{ticks}"


def details(summary: str, body: str) -> str:
    """A block that opens on a click; ``summary`` is inline Markdown or HTML, ``body`` whole blocks."""
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def size(text: str) -> int:
    """Bytes, as GitHub counts them."""
    return len(text.encode())


def table(head: Sequence[str], rows: Iterable[Sequence[str]], budget: int, total: int, where_else: str = "") -> str:
    """A table of as many whole rows as fit, and a line that says how many more there are; empty where none fits.

    Args:
        head: the columns; one that starts with ``>`` is set to the right.
        rows: cells of inert Markdown; taken one after the other, as long as they fit.
        budget: bytes.
        total: how many rows there are, those included that ``rows`` does not yield.
        where_else: where the rest can be found.
    """
    lines = [
        _row([column.removeprefix(">") for column in head]),
        _row(["---:" if column.startswith(">") else ":---" for column in head]),
    ]
    room = budget - sum(size(line) + 1 for line in lines) - size(_rest(total, where_else))
    kept = _fitting(map(_row, rows), room, 1)
    return "\n".join([*lines, *kept]) + _rest(total - len(kept), where_else) if kept else ""


def series(blocks: Iterable[str], budget: int, total: int, where_else: str = "") -> str:
    """As many whole blocks as fit, and a line that says how many more there are; as in ``table``."""
    kept = _fitting(blocks, budget - size(_rest(total, where_else)), 2)
    return "\n\n".join(kept) + _rest(total - len(kept), where_else) if kept else ""


def _fitting(items: Iterable[str], room: int, joint: int) -> list[str]:
    kept = []
    for item in items:
        room -= size(item) + joint
        if room < 0:
            break
        kept.append(item)
    return kept


def _rest(number: int, where_else: str) -> str:
    return f"\n\n...and {number} more{where_else}." if number else ""


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
