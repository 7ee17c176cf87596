"""Cards: what went wrong as HTML that opens on a click, and the page's small tables. All text is escaped here."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence

from realdb_ci.reports.findings import ALSO, KNOWN, PHASES, Finding, counted, ending
from realdb_ci.reports.text import middle_cut, one_line, seconds
from realdb_ci.reports.timeline import steps as steps_of
from realdb_ci.reports.versus import cells, sentences
from realdb_ci.results import Case, Comparison, Problem, Repeat, Results, Server, Slower

# In a traceback, after escaping.
_TELLING = re.compile(r"^(?:E |&gt;).*", re.MULTILINE)
TEXT_LIMIT = 20_000
# A page with few failures shows what they said at once.
FEW = 3
# A page with many shows these, and the others on a click.
SHOWN = 50
MOST_STEPS = 20


def text(plain: str, limit: int = 1_000) -> str:
    """Text of the tested project on one line, inert anywhere in HTML."""
    return html.escape(one_line(plain, limit))


def failures(found: Sequence[Finding], budget: int) -> str:
    """A card a finding, as many as fit; ``rows`` refers to them as f0, f1..."""
    is_open = len(found) <= FEW
    return _fitting((_failure(f"f{n}", one, is_open=is_open) for n, one in enumerate(found)), len(found), budget)


def flaky(found: Sequence[tuple[Case, Finding]], budget: int) -> str:
    """A card a test; ``rows`` refers to them as r0, r1..."""
    told = ((case.attempts, first) for case, first in found)
    made = (_flaky(f"r{number}", attempts, first) for number, (attempts, first) in enumerate(told))
    return _fitting(made, len(found), budget)


def problem(told: Problem) -> str:
    """What stopped tests from being run, with the log of the server."""
    body = [f"<p>Why: {text(told.why)}</p>" if told.why else ""]
    body += [f"<p>Fix: {text(told.remedy)}</p>" if told.remedy else ""]
    body += [f"<h3>Last log lines</h3>{_pre(told.log)}" if told.log else ""]
    return _card("", "bad", f'<span class="name">{text(told.what)}</span>', "".join(body), is_open=True)


def baseline(told: Sequence[Comparison], slower: Sequence[Slower]) -> str:
    """Which runs of the base branch it was compared with, and the tests that took longer than there."""
    rows = [(f"<code>{text(one.nodeid)}</code>", *cells(one)) for one in slower[:MOST_STEPS]]
    words = dict.fromkeys(" ".join(map(text, sentences(one))) for one in told)
    said = "".join(f"<p>{one}</p>" for one in list(words)[:MOST_STEPS])
    return said + _table(("Slower than there", ">Before", ">Now", ">Again"), rows)


def slowest(found: Sequence[Case]) -> str:
    """The tests that took longest, and how much of it in databases."""
    rows = [
        (
            f"<code>{text(case.nodeid)}</code>",
            *(seconds(one) for one in (case.duration, *map(case.seconds, PHASES))),
            *((seconds(case.query_seconds), f"{case.queries:,}") if case.queries else ("", "")),
        )
        for case in found
    ]
    return _table(("Test", ">Time", ">Setup", ">Call", ">Teardown", ">In databases", ">Statements"), rows)


def repeats(found: Sequence[tuple[Case, Repeat]]) -> str:
    """Statements that one line sent again and again, most often first."""
    rows = [
        (
            f"<code>{text(f'{one.path}:{one.line}')}</code>",
            f"{one.count:,}",
            seconds(one.seconds),
            f"<code>{text(one.shape)}</code>",
            f"<code>{text(case.nodeid)}</code>",
        )
        for case, one in found[:SHOWN]
    ]
    return _table(("Line", ">Times", ">Together", "Statement", "In"), rows)


def steps(results: Results) -> str:
    """What fixtures did, the longest first."""
    rows = (
        (text(step.name), f"{step.times:,}", seconds(step.total), seconds(step.longest))
        for step in steps_of(results)[:MOST_STEPS]
    )
    return _table(("Step", ">Times", ">Together", ">Longest"), list(rows))


def runs(results: Results) -> str:
    """One row a project, with its servers."""
    rows = [
        (
            f"<code>{text(suite.project)}</code>",
            text(", ".join(filter(None, (counted(suite), ending(suite))))),
            text(f"Python {suite.python}, pytest {suite.pytest}") if suite.python else "",
            "<br>".join(dict.fromkeys(map(_server, suite.servers))),
            seconds(suite.duration),
        )
        for suite in results.suites
    ]
    return _table(("Project", "Tests", "With", "Servers", ">Time"), rows)


def _failure(name: str, finding: Finding, *, is_open: bool) -> str:
    stopped = f"{finding.others + 1:,} tests could not run" if finding.others else finding.kind
    known = f'<span class="tag unsure">{ALSO}</span> ' if finding.standing == KNOWN else ""
    head = (
        f'<span class="place">{text(finding.place)}</span><span class="tag bad">{stopped}</span> {known}'
        f'<span class="name">{text(finding.name)}</span><span class="said">{text(finding.message)}</span>'
    )
    return _card(name, "bad", head, "".join(_evidence(finding)), is_open=is_open)


def _flaky(name: str, attempts: int, first: Finding) -> str:
    head = (
        f'<span class="place">{text(first.place)}</span><span class="tag unsure">{attempts} attempts</span> '
        f'<span class="name">{text(first.nodeid)}</span><span class="said">{text(first.message)}</span>'
    )
    return _card(name, "unsure", head, "".join(_evidence(first)), is_open=False)


def _card(name: str, kind: str, head: str, body: str, *, is_open: bool) -> str:
    opened = " open" if is_open and body else ""
    named = f' id="{name}"' if name else ""
    inside = f'<summary>{head}</summary><div class="body">{body}</div>'
    return f'<details class="card {kind}"{named}{opened}>{inside}</details>'


def _evidence(finding: Finding) -> Iterator[str]:
    if finding.own is not None and finding.own.line is not None:
        yield f"<p>The test is at <code>{text(finding.own.path)}:{finding.own.line}</code>.</p>"
    if finding.longrepr:
        yield f"<h3>Traceback</h3>{_pre(finding.longrepr)}"
    for name, captured in finding.sections:
        yield f"<h3>{text(name)}</h3>{_pre(captured)}"


def _pre(plain: str) -> str:
    """Text as it is; of a traceback, what pytest says of the error and the statement that raised it stand out."""
    inert = html.escape(middle_cut(plain, TEXT_LIMIT))
    return "<pre>" + _TELLING.sub(r'<span class="said">\g<0></span>', inert) + "</pre>"


def _server(server: Server) -> str:
    ready = f"ready in {seconds(server.seconds)}" if server.owned else "already running"
    return text(", ".join(filter(None, (server.service, server.version, server.engine, server.origin, ready))))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    classes = [' class="number"' if one.startswith(">") else "" for one in head]
    heads = zip(classes, head, strict=True)
    top = "".join(f'<th scope="col"{kind}>{name.removeprefix(">")}</th>' for kind, name in heads)
    body = ("".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(classes, row, strict=True)) for row in rows)
    lines = "".join(f"<tr>{cells}</tr>" for cells in body)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>'


def _fitting(made: Iterable[str], total: int, budget: int) -> str:
    """As many cards as fit; all but the first are out of the way until somebody asks for them."""
    kept = []
    for card in made:
        budget -= len(card.encode())
        if budget < 0:
            break
        kept.append(card)
    more = "".join(kept[SHOWN:])
    hidden = f'<details class="rest"><summary>{len(kept) - SHOWN:,} more</summary>{more}</details>' if more else ""
    missing = f"<p>...and {total - len(kept):,} more in the events file.</p>" if len(kept) < total else ""
    return "".join(kept[:SHOWN]) + hidden + missing
