"""Messages: what went wrong on one line, and in which step, out of what each producer makes of it."""

from __future__ import annotations

import re

from realdb_ci.foreign.dialects import Dialect
from realdb_ci.foreign.records import Mark

# Characters of a message; the whole text is kept beside it.
LIMIT = 1_000
# The types by which a skip says that a failure was expected.
EXPECTED = frozenset({"pytest.xfail", "XFAIL"})
# What Catch2 says of a test whose failure it allows.
_ALLOWED = re.compile(r"!mayfail|!shouldfail")
# How pytest words an error, today and before pytest 6.
_STEP = re.compile(
    r'failed on (?P<now>setup|teardown) with "(?P<what>.*)"$|test (?P<once>setup|teardown) failure', re.DOTALL
)
_CRASHED = re.compile(r"worker '\w+' crashed while running")
_STRICT = "[XPASS(strict)]"
# pytest's lines of an exception, and how it tells a module that asked to be skipped.
_RAISED = re.compile(r"^E {1,7}(\S.*)", re.MULTILINE)
_SKIPPED = re.compile(r"\('.*', \d+, ['\"]Skipped: (.*)['\"]\)$", re.DOTALL)
# Lines that say nothing: GoogleTest's place (told elsewhere), headings of Catch2, Jest and Go, PHPUnit's name of
# the test.
_NOISE = re.compile(
    r"\S{1,300}:\d+:?|unknown file:?"
    r"|FAILED:|SKIPPED|\W{0,5}Test suite failed to run|(?:===|---) [A-Z]{3,5}:? .*"
    r"|[\w\\]{1,300}::\w{1,300}(?: with data set .*)?"
)
# What gotestsum, behave and pytest give for a message where they have none.
_EMPTY = frozenset({"Failed", "None", "collection failure"})


def message(mark: Mark, dialect: Dialect) -> str:
    """What went wrong, on one line."""
    said = mark.message.strip()
    said = "" if said in _EMPTY else said
    text = said or mark.text.whole()
    if dialect.python:
        found = [] if said else _RAISED.findall(text)
        wrapped = _STEP.match(text)
        text = found[-1] if found else (wrapped and wrapped["what"]) or text
    lines = _lines(text, dialect)
    lines = _telling(lines) or lines[-1:]
    # A message is one statement on all its lines; of a text, and of pytest's representation, the first one counts.
    return " ".join(lines if text is said and not dialect.python else lines[:1])[:LIMIT] or mark.type


def step(mark: Mark, dialect: Dialect) -> tuple[str, bool]:
    """The phase that failed, and whether it failed because it passed (see ``Phase``)."""
    if mark.type == "UnexpectedSuccess" or (dialect.python and mark.message.startswith(_STRICT)):
        return "call", True
    if dialect.name == "realdb-ci":
        first = mark.type.partition(" ")[0]
        return (first, False) if first in ("setup", "teardown") else ("call", mark.type == "strict xpass")
    found = _STEP.match(mark.message) if dialect.python else None
    if found and _CRASHED.match(found["what"] or ""):
        return "???", False
    if found:
        return found["now"] or found["once"], False
    return ("error" if mark.kind == "error" else "call"), False


def reason(mark: Mark, dialect: Dialect) -> tuple[str, str | None]:
    """Why a test was skipped; and why a failure was expected, or None where none was."""
    text = mark.text.whole()
    module = _SKIPPED.match(text) if dialect.python else None
    said = module[1] if module else mark.message.strip()
    lines = _telling(_lines(said or text, dialect))
    line = " ".join(lines if said else lines[:1])[:LIMIT]
    return line, line if mark.type in EXPECTED or _ALLOWED.search(mark.message) else None


def _lines(text: str, dialect: Dialect) -> list[str]:
    """The lines that are not blank, each without needless blanks."""
    return [" ".join(line.split()) for line in dialect.restore(text).splitlines() if line.strip()]


def _telling(lines: list[str]) -> list[str]:
    """The lines from the first to the last one that says something."""
    told = [number for number, line in enumerate(lines) if not _NOISE.fullmatch(line)]
    return lines[told[0] : told[-1] + 1] if told else []
