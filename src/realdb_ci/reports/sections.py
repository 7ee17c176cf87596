"""Sections: the parts of a Markdown report. Each is whole, in at most a number of bytes, or empty."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from realdb_ci.reports import Missed
from realdb_ci.reports.digest import Digest
from realdb_ci.reports.findings import ALSO, KNOWN, NEW, PHASES, Finding, counted, ending, headline
from realdb_ci.reports.markdown import code, details, escape, fence, series, size, table
from realdb_ci.reports.mermaid import gantt
from realdb_ci.reports.text import seconds
from realdb_ci.reports.timeline import reporting, steps
from realdb_ci.reports.versus import cells, sentences
from realdb_ci.results import Results

SIGNS = {"passed": "✅", "failed": "❌", "bad setting": "⚙️", "no server": "🔌", "interrupted": "🛑"}
MORE = " in the events file"
SLOWEST = 10
# How the names of spans of caches begin.
CACHE = "cache "
HEADINGS = {NEW: "New failures", "": "Failures", KNOWN: f"Known failures ({ALSO})"}


def joined(blocks: Iterable[str]) -> str:
    """The blocks that are there, as one text."""
    return "\n\n".join(filter(None, blocks)) + "\n"


def verdict(results: Results) -> str:
    """The heading."""
    return f"## {SIGNS[results.verdict]} {headline(results)}"


def suites(results: Results, budget: int) -> str:
    """One row a project."""
    rows = [
        (
            SIGNS["passed" if suite.exit_code == 0 else "failed"],
            code(suite.project),
            counted(suite),
            seconds(suite.duration),
            escape(f"Python {suite.python}, pytest {suite.pytest}") if suite.python else "",
            escape(ending(suite)),
        )
        for suite in results.suites
    ]
    return table(("", "Project", "Tests", ">Time", "With", "Ending"), rows, budget, len(rows), MORE)


def failures(found: Sequence[Finding], budget: int, most: int | None = None, standing: str = "") -> str:
    """One row a finding of this standing; ``most`` of them at most."""
    found = [one for one in found if one.standing == standing]
    rows = ((code(one.place), code(one.name), escape(one.kind), code(one.message)) for one in found[:most])
    head = ("Where", "Test", "What", "Message")
    return _section(HEADINGS[standing], table(head, rows, budget - 50, len(found), MORE))


def flaky(digest: Digest, budget: int, most: int | None = None) -> str:
    """One row a test that passed on a later attempt."""
    found = digest.retried
    rows = (
        (code(case.nodeid), str(case.attempts), code(first.place), code(first.message))
        for case, first in found[:most]
    )
    head = ("Test", ">Attempts", "Where", "First failure")
    return _section("Flaky: passed on a later attempt", table(head, rows, budget - 50, len(found), MORE))


def slower(digest: Digest, budget: int) -> str:
    """One row a test that took longer than on the base branch."""
    rows = ((code(one.nodeid), *cells(one)) for one in digest.slower[:SLOWEST])
    head = ("Test", ">Before", ">Now", ">Again")
    return _section("Slower than the base", table(head, rows, budget - 30, len(digest.slower), MORE))


def compared(digest: Digest, budget: int) -> str:
    """Which runs of the base branch it was compared with; one paragraph for suites that say the same."""
    told = dict.fromkeys(" ".join(map(escape, sentences(one))) for one in digest.comparisons)
    return series(told, budget, len(told), MORE)


def infrastructure(digest: Digest, budget: int) -> str:
    """What stopped tests from being run, with the servers' logs."""
    blocks = []
    for problem in digest.problems:
        sentences = (
            f"**{escape(problem.what)}**",
            f"Why: {escape(problem.why)}" if problem.why else "",
            f"Fix: {escape(problem.remedy)}" if problem.remedy else "",
            details("Last log lines", fence(problem.log)) if problem.log else "",
        )
        blocks.append("\n\n".join(filter(None, sentences)))
    return _section("Problems", series(blocks, budget - 20, len(blocks), MORE))


def chart(digest: Digest, budget: int) -> str:
    """Where the time went, as GitHub draws it."""
    own = reporting(digest.results, digest.began, time.time())
    drawn = _section("Where the time went", gantt((*digest.timeline, *own)))
    return drawn if size(drawn) <= budget else ""


def repeats(digest: Digest, budget: int) -> str:
    """Statements that one line sent again and again."""
    rows = [
        (code(f"{one.path}:{one.line}"), str(one.count), seconds(one.seconds), code(one.shape), code(case.nodeid))
        for case, one in digest.repeats[:SLOWEST]
    ]
    head = ("Line", ">Times", ">Together", "Statement", "In")
    return _section("Repeated statements", table(head, rows, budget - 30, len(digest.repeats), MORE))


def slow_tests(digest: Digest, budget: int) -> str:
    """The tests that took longest."""
    rows = [
        (
            code(case.nodeid),
            seconds(case.duration),
            *(seconds(case.seconds(when)) for when in PHASES),
            seconds(case.query_seconds) if case.queries else "",
            str(case.queries or ""),
        )
        for case in digest.slowest[:SLOWEST]
    ]
    head = ("Test", ">Time", ">Setup", ">Call", ">Teardown", ">In databases", ">Statements")
    return _section("Slowest tests", table(head, rows, budget - 25, len(rows), MORE))


def slow_steps(results: Results, budget: int) -> str:
    """The fixtures' work that took longest."""
    rows = [
        (code(step.name), str(step.times), seconds(step.total), seconds(step.longest))
        for step in steps(results)[:SLOWEST]
    ]
    head = ("Step", ">Times", ">Together", ">Longest")
    return _section("Slowest fixtures", table(head, rows, budget - 25, len(rows), MORE))


def servers(results: Results, budget: int) -> str:
    """Which engine served what."""
    rows = {
        (
            code(server.service),
            code(server.version),
            escape(server.engine),
            code(server.origin),
            seconds(server.seconds) if server.owned else "already running",
        )
        for suite in results.suites
        for server in suite.servers
    }
    head = ("Service", "Version", "Engine", "Origin", ">Ready in")
    return _section("Servers", table(head, sorted(rows), budget - 20, len(rows), MORE))


def caches(results: Results, budget: int) -> str:
    """What was kept from earlier runs and for later ones, and what it was worth."""
    rows = [
        (escape(span.name.removeprefix(CACHE)), escape(span.detail), seconds(span.stop - span.start))
        for suite in results.suites
        for span in suite.spans
        if span.name.startswith(CACHE)
    ]
    return _section("Caches", table(("What", "Worth", ">Took"), rows, budget - 20, len(rows), MORE))


def evidence(found: Sequence[Finding], budget: int) -> str:
    """What each failing test said and printed."""
    told = [one for one in found if one.longrepr]
    blocks = (details(f"{code(one.name)} {escape(one.kind)}", fence(_text(one))) for one in told)
    return _section("What they said", series(blocks, budget - 25, len(told), MORE))


def unreached(missed: Sequence[Missed], budget: int) -> str:
    """Which other reports there should have been."""
    rows = [(code(one.surface), escape(one.why)) for one in missed]
    return _section("Reports that could not be made", table(("Report", "Why"), rows, budget - 45, len(rows)))


def _text(finding: Finding) -> str:
    captured = (f"--- {name} ---\n{text}" for name, text in finding.sections)
    return "\n".join((finding.longrepr, *captured))


def _section(heading: str, body: str) -> str:
    return f"### {heading}\n\n{body}" if body else ""
