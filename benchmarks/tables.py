"""Tables: what the benchmarks print, as Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose columns are right-aligned where all their cells are numbers or ranges of them."""
    body = [list(row) for row in rows]
    numeric = [all(_is_number(row[place]) for row in body) for place in range(len(header))]
    rule = ["---:" if right else "---" for right in numeric]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *body))


def verdict(*, met: bool) -> str:
    """The word for a target."""
    return "met" if met else "MISSED"


def circumstances() -> str:
    """What to know of the machine: Python, cores, and what else it had to do (load average of the last minute)."""
    return f"Python {platform.python_version()}, {os.cpu_count()} cores, load average now {os.getloadavg()[0]:.1f}"


def _is_number(cell: str) -> bool:
    return all(part.replace(".", "", 1).lstrip("-").isdigit() for part in cell.split(" to ")) if cell else True
