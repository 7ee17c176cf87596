"""SVG: the timeline as a drawing inside the page, one row a worker, with the longest tests in it."""

from __future__ import annotations

import html
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterator

from realdb_ci.reports.digest import Digest
from realdb_ci.reports.text import one_line, seconds
from realdb_ci.reports.timeline import DAYS, MAIN, Bar
from realdb_ci.results import OUTCOMES, Case

WIDTH, LEFT, RIGHT, ROW, TOP = 1_132, 150, 12, 34, 24
# A test this wide has a rectangle of its own; the others share one where they are neighbours.
SEEN = 2.0
# From the top of a row: where a test's rectangle begins, and how high it is.
TESTS, STRIP = (6, 20), (18, 8)
WRONG = {"failed", "error", "flaky"}
MOST_ROWS = 40
TICKS = 8
Row = tuple[str, str]


def chart(digest: Digest) -> str:
    """The drawing, or nothing where no clock was read."""
    bars = digest.timeline
    rows = list(dict.fromkeys((bar.project, bar.lane) for bar in bars))[:MOST_ROWS]
    if not rows:
        return ""
    end = max(bar.stop for bar in bars)
    scale = (WIDTH - LEFT - RIGHT) / end
    height = TOP + ROW * len(rows) + 4
    began = min((suite.start for suite in digest.results.suites if suite.start), default=0.0)
    tests = _tests(digest, began, scale)
    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Timeline of the run">']
    parts += _grid(end, scale, height)
    for number, row in enumerate(rows):
        y = TOP + ROW * number
        name = " ".join(row) if len({project for project, _ in rows}) > 1 else row[1]
        parts.append(f'<text class="lane" x="0" y="{y + 20}">{_text(name, 24)}</text>')
        # The steps are narrow and lie below the tests that they belong to.
        for bar in sorted((bar for bar in bars if (bar.project, bar.lane) == row), key=lambda bar: not bar.tests):
            parts.append(_bar(bar, scale, y))
        parts += [f'<g transform="translate({LEFT} {y})">', *tests.get(row, ()), "</g>"]
    return "".join([*parts, "</svg>"])


def _grid(end: float, scale: float, height: int) -> Iterator[str]:
    """Lines at round times."""
    step = _round_step(end / TICKS)
    for number in range(math.floor(end / step) + 1):
        x = LEFT + number * step * scale
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height}"/>'
        yield f'<text x="{x:.1f}" y="12" text-anchor="middle">{number * step:g} s</text>'


def _round_step(about: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50... (and their parts) seconds."""
    power = 10.0 ** math.floor(math.log10(about))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= about)


def _bar(bar: Bar, scale: float, y: int) -> str:
    kind, top, thick = ("band", 6, 20) if bar.tests else ("fill-step", 27, 4)
    if bar.lane == MAIN and not bar.tests:
        top, thick = 10, 12
    title = f"{bar.label}: {seconds(bar.stop - bar.start)}"
    return _rectangle(kind, LEFT + bar.start * scale, (bar.stop - bar.start) * scale, (y + top, thick), title)


def _tests(digest: Digest, began: float, scale: float) -> dict[Row, list[str]]:
    """The tests of each row: those that are wide enough to be seen, and the others as columns they share."""
    drawn: dict[Row, list[str]] = {}
    columns: dict[Row, dict[int, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for suite, outcomes in digest.outcomes:
        for case, outcome in zip(suite.cases, outcomes, strict=True):
            first, last = _times(case)
            if not suite.start <= first <= last < suite.start + DAYS:
                continue
            row = suite.project, case.phases[0].worker or MAIN
            x, width = (first - began) * scale, (last - first) * scale
            if width >= SEEN:
                title = f"{one_line(case.nodeid)}: {seconds(case.duration)}"
                drawn.setdefault(row, []).append(_rectangle(f"fill-{outcome}", x, width, TESTS, title))
            else:
                columns[row][int(x)][outcome] += 1
    for row, found in columns.items():
        usual = {x: counts.most_common(1)[0][0] for x, counts in found.items()}
        # What went wrong among many good ones lies over their lower part.
        bad = {x: Counter({one: counts[one] for one in WRONG & counts.keys()}) for x, counts in found.items()}
        worst = {x: min(counts, key=OUTCOMES.index) for x, counts in bad.items() if counts}
        drawn[row] = [*_merged(usual, found, TESTS), *_merged(worst, bad, STRIP), *drawn.get(row, [])]
    return drawn


def _merged(chosen: dict[int, str], columns: dict[int, Counter[str]], vertical: tuple[int, int]) -> Iterator[str]:
    """Rectangles for the columns, one for neighbours of the same outcome, which tell all that is in them."""
    # Neighbours have the same distance from their numbers in the list.
    ordered = enumerate(sorted(chosen.items()))
    for (_, outcome), group in itertools.groupby(ordered, lambda item: (item[1][0] - item[0], item[1][1])):
        places = [x for _, (x, _) in group]
        counts = sum((columns[x] for x in places), Counter[str]())
        title = ", ".join(f"{counts[one]} {one}" for one in OUTCOMES if counts[one])
        yield _rectangle(f"fill-{outcome}", places[0], len(places), vertical, title)


def _times(case: Case) -> tuple[float, float]:
    """From when to when; a case without a clock ends before it begins."""
    return (case.phases[0].start, case.phases[-1].stop) if case.phases and case.phases[0].start else (0.0, -1.0)


def _rectangle(kind: str, x: float, width: float, vertical: tuple[int, int], title: str) -> str:
    y, height = vertical
    return (
        f'<rect class="{kind}" x="{x:.2f}" y="{y}" width="{max(width, 0.75):.2f}" height="{height}" rx="1.5">'
        f"<title>{_text(title)}</title></rect>"
    )


def _text(text: str, limit: int = 200) -> str:
    return html.escape(one_line(text, limit))
