"""Mermaid: the timeline as a Gantt chart that GitHub draws inside Markdown.

Syntax: https://mermaid.js.org/syntax/gantt.html. Mermaid refuses more than 50,000 characters (``maxTextSize``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from realdb_ci.reports.text import one_line, seconds
from realdb_ci.reports.timeline import Bar

TEXT_LIMIT = 50_000
# More rows are no overview any more.
MOST_BARS = 60
# A run this short has marks between the seconds.
SHORT_SECONDS = 5
# Letters, digits and what the chart's grammar gives no meaning to.
_UNPLAIN = re.compile(r"[^\w .,+/()=\[\]-]")


def gantt(bars: Sequence[Bar]) -> str:
    """A fenced chart of the longest bars, in their order; empty where there are none.

    Time is counted in seconds from the beginning of the run. A date would be shown in the reader's time zone.
    """
    longest = sorted(range(len(bars)), key=lambda number: bars[number].start - bars[number].stop)[:MOST_BARS]
    short = all(bar.stop < SHORT_SECONDS for bar in bars)
    lines = ["gantt", "dateFormat x", "axisFormat %s.%L s" if short else "axisFormat %s s"]
    section = None
    for number in sorted(longest):
        bar = bars[number]
        if section != (bar.project, bar.lane):
            section = (bar.project, bar.lane)
            lines.append(f"section {_plain(f'{bar.project} {bar.lane}')}")
        start, stop = round(bar.start * 1000), round(bar.stop * 1000)
        kind = "active, " if bar.tests else ""
        # With the time first, no label begins with a word of the grammar, such as "click".
        label = f"{seconds(bar.stop - bar.start)} {_plain(bar.label)}"
        lines.append(f"{label} :{kind}{max(start, 0)}, {max(stop, start + 1, 1)}")
    text = "\n".join(lines)
    if not longest or len(text) > TEXT_LIMIT:
        return ""
    return f"```mermaid\n{text}\n```"


def _plain(text: str) -> str:
    """The text as a name in the chart."""
    return _UNPLAIN.sub(" ", one_line(text, 60)).strip() or "-"
