"""The job summary: GitHub-flavoured Markdown, verdict first, whole at any size."""

from __future__ import annotations

from realdb_ci.reports import Place
from realdb_ci.reports.findings import (
    PHASES,
    Finding,
    counted,
    ending,
    findings,
    folded,
    headline,
    retried,
    slowest,
)
from realdb_ci.reports.markdown import code, details, escape, fence, series, size, table
from realdb_ci.reports.text import seconds
from realdb_ci.results import Results

FILE = "summary.md"
# GitHub drops a summary of more than 1 MiB as a whole.
BUDGET = 1_000_000
SLOWEST = 10
SIGNS = {"passed": "✅", "failed": "❌", "bad setting": "⚙️", "no server": "🔌", "interrupted": "🛑"}
MORE = " in the events file"


def publish(results: Results, place: Place) -> None:
    """Write ``summary.md`` into the output folder."""
    (place.out / FILE).write_text(render(results), encoding="utf-8")


def render(results: Results, budget: int = BUDGET) -> str:
    """The whole summary in at most ``budget`` bytes.

    What a reader needs most is put in first: verdict, problems, failures. Every table and block is whole.
    """
    found = folded(findings(results))
    head = f"## {SIGNS[results.verdict]} {headline(results)}"
    if size(head) + 1 > budget:
        return ""
    rest = budget - size(head) - 3
    # Small tables may not be starved by a thousand failures, nor starve them: each has its share.
    suites = _suites(results, rest // 10)
    problems = _problems(results, rest // 5)
    flaky = _flaky(results, rest // 10)
    servers = _servers(results, rest // 20)
    slow = _slowest(results, rest // 20)
    rest -= sum(size(block) + 2 for block in (suites, problems, flaky, servers, slow))
    overview = _overview(found, rest // 2)
    evidence = _evidence(found, rest - size(overview) - 4)
    blocks = (head, suites, problems, overview, evidence, flaky, servers, slow)
    return "\n\n".join(filter(None, blocks)) + "\n"


def _suites(results: Results, budget: int) -> str:
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
    return table(("", "Project", "Tests", ">Time", "With", "Ending"), rows, budget, MORE) if rows else ""


def _problems(results: Results, budget: int) -> str:
    blocks = [
        "\n\n".join(
            filter(
                None,
                (
                    f"**{escape(problem.what)}**",
                    f"Why: {escape(problem.why)}" if problem.why else "",
                    f"Fix: {escape(problem.remedy)}" if problem.remedy else "",
                    details("Last log lines", fence(problem.log)) if problem.log else "",
                ),
            )
        )
        for suite in results.suites
        for problem in suite.problems
    ]
    return _section("Problems", series(blocks, budget - 20, MORE))


def _overview(found: tuple[Finding, ...], budget: int) -> str:
    rows = [(code(one.place), code(one.name), escape(one.kind), code(one.message)) for one in found]
    return _section("Failures", table(("Where", "Test", "What", "Message"), rows, budget - 20, MORE))


def _evidence(found: tuple[Finding, ...], budget: int) -> str:
    blocks = [details(f"{code(one.name)} {escape(one.kind)}", fence(_text(one))) for one in found if one.longrepr]
    return series(blocks, budget, MORE)


def _text(finding: Finding) -> str:
    captured = (f"--- {name} ---\n{text}" for name, text in finding.sections)
    return "\n".join((finding.longrepr, *captured))


def _flaky(results: Results, budget: int) -> str:
    rows = [
        (code(case.nodeid), str(case.attempts), code(first.place), code(first.message))
        for case, first in retried(results)
    ]
    heading = "Flaky: passed on a later attempt"
    return _section(heading, table(("Test", ">Attempts", "Where", "First failure"), rows, budget - 50, MORE))


def _servers(results: Results, budget: int) -> str:
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
    return _section("Servers", table(head, sorted(rows), budget - 20, MORE))


def _slowest(results: Results, budget: int) -> str:
    rows = [
        (code(case.nodeid), seconds(case.duration), *(seconds(case.seconds(when)) for when in PHASES))
        for case in slowest(results, SLOWEST)
    ]
    head = ("Test", ">Time", ">Setup", ">Call", ">Teardown")
    return _section("Slowest tests", table(head, rows, budget - 25, MORE))


def _section(heading: str, body: str) -> str:
    return f"### {heading}\n\n{body}" if body else ""
