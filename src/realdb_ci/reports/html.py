"""The HTML page: one file that asks for nothing, to be read in any browser, with as many tests as there are.

What failed is in the page itself; the table of all tests is drawn by its script from data inside it, a part at a
time. Nothing of a test's text can become markup: text is escaped, the data holds no ``<``, and the page's policy
allows its own script and style only, by their digests.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import resources
from string import Template

from realdb_ci.reports import Place, cards
from realdb_ci.reports.digest import Digest
from realdb_ci.reports.findings import headline, verdict
from realdb_ci.reports.rows import data
from realdb_ci.reports.svg import chart
from realdb_ci.reports.text import seconds
from realdb_ci.results import OUTCOMES, Results

FILE = "report.html"
# Bytes. Beyond this a browser takes its time, and so does whoever downloads it.
BUDGET = 20_000_000
CARDS_BUDGET = 8_000_000


def publish(digest: Digest, place: Place) -> bool:
    """Write ``report.html`` into the output folder."""
    (place.out / FILE).write_text(render(digest), encoding="utf-8")
    return True


def render(digest: Digest) -> str:
    """The whole page in at most ``BUDGET`` bytes."""
    results = digest.results
    page, style, script = (_resource(name) for name in ("page.html", "page.css", "page.js"))
    made = _sections(digest)
    sections = "\n".join(_section(heading, body) for heading, body in made.items())
    return Template(page).substitute(
        policy="default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'",
        title=cards.text(headline(results)),
        headline=verdict(results),
        verdict=results.verdict.replace(" ", "-"),
        when=_when(results),
        bar=_bar(results),
        tiles="".join(_tiles(results)),
        links="".join(map(_link, [*made, "Tests"])),
        sections=sections,
        footer="Made by realdb-ci. The page is complete in itself and asks for nothing.",
        data=data(digest, BUDGET - len(sections.encode()) - 200_000),
        style=style,
        script=script,
    )


def _resource(name: str) -> str:
    return resources.files("realdb_ci.reports").joinpath("page", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """A digest as https://www.w3.org/TR/CSP3/#grammardef-hash-source has it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _sections(digest: Digest) -> dict[str, str]:
    """What the page tells without its script, by heading."""
    drawn = chart(digest)
    made = {
        "Problems": "".join(cards.problem(one) for one in digest.problems),
        "Failures": cards.failures(digest.folded, CARDS_BUDGET),
        "Flaky": cards.flaky(digest.retried, CARDS_BUDGET // 8),
        "Baseline": cards.baseline(digest.comparisons, digest.slower),
        "Timeline": f'<div class="scroll">{drawn}</div>{LEGEND}' if drawn else "",
        "Slowest": cards.slowest(digest.slowest),
        "Repeats": cards.repeats(digest.repeats),
        "Fixtures": cards.steps(digest.results),
        "Runs": cards.runs(digest.results),
    }
    return {heading: body for heading, body in made.items() if body}


def _section(heading: str, body: str) -> str:
    return f'<section id="{heading.lower()}"><h2>{heading}</h2>{body}</section>'


def _link(heading: str) -> str:
    return f'<a href="#{heading.lower()}">{heading}</a>'


def _sample(kind: str) -> str:
    square = f'<rect class="fill-{kind}" width="10" height="10" rx="2"/>'
    return f'<svg viewBox="0 0 10 10" aria-hidden="true">{square}</svg>'


LEGEND = (
    f'<p class="legend">{_sample("passed")}passed{_sample("failed")}failed{_sample("flaky")}flaky'
    f"{_sample('skipped')}skipped{_sample('step')}fixtures, starting and ending</p>"
)


def _when(results: Results) -> str:
    started = min((suite.start for suite in results.suites if suite.start), default=0.0)
    projects = ", ".join(suite.project for suite in results.suites)
    words = [cards.text(projects)] if projects else []
    if started:
        day = datetime.fromtimestamp(started, UTC)
        words.append(f"{day.day} {day:%B %Y, %H:%M} UTC")
    return " · ".join(words)


def _bar(results: Results) -> str:
    """The outcomes as parts of a line."""
    total, x, parts = sum(results.counts.values()), 0.0, []
    for outcome, number in results.counts.items():
        if number:
            width = 1000 * number / total
            parts.append(f'<rect class="fill-{outcome}" x="{x:.2f}" width="{width:.2f}" height="10"/>')
            x += width
    drawn = "".join(parts)
    return f'<svg class="bar" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">{drawn}</svg>'


def _tiles(results: Results) -> Iterable[str]:
    counts = results.counts
    yield _tile("tests", f"{sum(counts.values()):,}", "")
    for outcome in OUTCOMES:
        if counts[outcome]:
            yield _tile("errors" if outcome == "error" else outcome, f"{counts[outcome]:,}", outcome)
    yield _tile("duration", seconds(results.duration), "")


def _tile(name: str, value: str, kind: str) -> str:
    return f'<li class="{kind}"><b>{value}</b>{name}</li>'
