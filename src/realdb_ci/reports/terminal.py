"""The terminal: what a person at the keyboard, or in a log, reads last."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from realdb_ci.reports import Missed, Place
from realdb_ci.reports.digest import Digest
from realdb_ci.reports.findings import PHASES, Finding, counted, ending, headline
from realdb_ci.reports.text import clean, encodable, excerpt, inert, one_line, seconds
from realdb_ci.results import Problem, Results, Server, Suite

FILE = None
SHOWN = 50
SLOWEST = 5
COLUMN = 11
GOOD, BAD, UNSURE, QUIET = "green", "red", "yellow", "dim"


def publish(digest: Digest, place: Place) -> bool:
    """Print the report."""
    render(digest, place.console, place.missed)
    return True


def render(digest: Digest, console: Console, missed: Iterable[Missed] = ()) -> None:
    """Print the report: failures where they happened, then what was slow, then the suites and the total.

    Args:
        digest: the run.
        console: its width and colours are used; without a terminal the lines are plain and never wrapped.
        missed: the surfaces that could not be reached.
    """
    console.print()
    console.print(Rule(Text("realdb-ci"), style=QUIET, characters="-" if console.options.ascii_only else "─"))
    _findings(digest.folded, console)
    for problem in digest.problems:
        _problem(problem, console)
    _flaky(digest, console)
    _repeats(digest, console)
    _slowest(digest, console)
    for suite in digest.results.suites:
        _suite(suite, console)
    for one in missed:
        words = f"the report {one.surface!r} could not be made: {one.why}"
        _line(console, Text(_fit(words, console, limit=1_000), style=UNSURE))
    _total(digest.results, console)


def _findings(found: tuple[Finding, ...], console: Console) -> None:
    for finding in found[:SHOWN]:
        _line(console, Text.assemble((finding.kind.upper(), f"bold {BAD}"), "  ", _fit(finding.name, console)))
        _line(console, Text(_fit(finding.place, console), style="cyan"), indent=2)
        _line(console, Text(_fit(finding.message, console), style="bold"), indent=2)
        for line in _evidence(finding):
            _line(console, Text(_encodable(line, console), style=QUIET), indent=4)
        console.print()
    if len(found) > SHOWN:
        _line(console, Text(f"...and {len(found) - SHOWN} more in the summary", style=BAD))
        console.print()


def _evidence(finding: Finding) -> list[str]:
    """The excerpt's lines that say more than the message above them."""
    shown = excerpt(finding.longrepr, finding.path, finding.line).splitlines()
    return [line for line in shown if line.removeprefix("E").strip() not in finding.message]


def _problem(problem: Problem, console: Console) -> None:
    _line(console, Text.assemble(("PROBLEM", f"bold {BAD}"), "  ", _fit(problem.what, console)))
    for word, text in (("why", problem.why), ("fix", problem.remedy)):
        if text:
            _line(console, Text.assemble((f"{word}: ", QUIET), _fit(text, console, limit=2_000)), indent=2)
    for line in clean(problem.log).splitlines()[-20:]:
        _line(console, Text(_encodable(line, console), style=QUIET), indent=4)
    console.print()


def _flaky(digest: Digest, console: Console) -> None:
    for case, first in digest.retried:
        words = f"passed on attempt {case.attempts}; before: {first.place}: {first.message}"
        _line(console, Text.assemble(("FLAKY", f"bold {UNSURE}"), "  ", _fit(case.nodeid, console)))
        _line(console, Text(_fit(words, console)), indent=2)
        console.print()


def _repeats(digest: Digest, console: Console) -> None:
    for case, one in digest.repeats[:SLOWEST]:
        words = f"{one.path}:{one.line}  {one.count} times in {seconds(one.seconds)}: {one.shape}"
        _line(console, Text.assemble(("REPEATED", f"bold {UNSURE}"), "  ", _fit(words, console)))
        _line(console, Text(_fit(case.nodeid, console), style=QUIET), indent=2)
    if digest.repeats:
        console.print()


def _slowest(digest: Digest, console: Console) -> None:
    timed = digest.slowest[:SLOWEST]
    if not timed:
        return
    # The names come last: they alone may be folded.
    head = "".join(f"{name:>{COLUMN}}" for name in ("total", *PHASES))
    _line(console, Text(f"{head}  slowest tests", style=QUIET))
    for case in timed:
        split = (case.duration, *(case.seconds(when) for when in PHASES))
        times = "".join(f"{seconds(part):>{COLUMN}}" for part in split)
        _line(console, Text(f"{times}  {_fit(case.nodeid, console)}"))
    console.print()


def _suite(suite: Suite, console: Console) -> None:
    good = suite.exit_code == 0
    verdict = ("passed", f"bold {GOOD}") if good else ("FAILED", f"bold {BAD}")
    words = f"{_fit(suite.project, console)}: {counted(suite)} in {seconds(suite.duration)}"
    _line(console, Text.assemble(verdict, "  ", words))
    if ending(suite):
        _line(console, Text(ending(suite), style=BAD), indent=8)
    for server in dict.fromkeys(_headline(server) for server in suite.servers):
        _line(console, Text(_fit(server, console), style=QUIET), indent=8)


def _headline(server: Server) -> str:
    ready = f"ready in {seconds(server.seconds)}" if server.owned else "already running"
    return ", ".join(filter(None, (f"{server.service} {server.version}", server.engine, server.origin, ready)))


def _total(results: Results, console: Console) -> None:
    colour = GOOD if results.exit_code == 0 else BAD
    _line(console, Text(headline(results), style=f"bold {colour}"))


def _fit(text: str, console: Console, limit: int = 300) -> str:
    return _encodable(one_line(text, limit), console)


def _encodable(text: str, console: Console) -> str:
    """The text as the terminal, or a log that GitHub's runner reads, can show it and nothing more."""
    return encodable(inert(clean(text)), console.encoding)


def _line(console: Console, text: Text, indent: int = 0) -> None:
    """One line, whole in a log (where people search), folded under its indent on a terminal."""
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent)), overflow="fold")
    else:
        console.print(Text(" " * indent) + text, soft_wrap=True)
