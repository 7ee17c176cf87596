"""Notes: the findings on lines of the checkout, the most valuable first; GitHub calls them annotations."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from realdb_ci.reports.digest import Digest
from realdb_ci.reports.findings import Finding, ending, unexplained
from realdb_ci.reports.text import clean, excerpt, middle_fit, one_line, seconds
from realdb_ci.results import Anchor, Case, Problem, Repeat, Suite

FAILURE, WARNING = "failure", "warning"
# What stopped more than one test is told before what failed on its own, and what failed before what was flaky.
RANKS = ("collection error", "failed", "strict xpass", "subtest failed", "setup error", "error")
NONE_COLLECTED = 5
LOOK, READ = "Check the project's folder and pytest's testpaths.", "Read the end of pytest's output."
TITLE_LIMIT = 200
# Bytes. GitHub takes 64 KiB; nobody reads more than the beginning and the end.
MESSAGE_BUDGET, DETAILS_BUDGET = 8_000, 30_000


@dataclass(frozen=True)
class Note:
    """A note on a line.

    Attributes:
        path: a file of the checkout, from its root; empty where the failure points at none.
        line: counted from 1.
        level: failure or warning.
        title: one line.
        message: what to read first; several lines.
        details: what to read when that is not enough.
    """

    path: str
    line: int
    level: str
    title: str
    message: str
    details: str = ""


def notes(digest: Digest, root: Path) -> tuple[Note, ...]:
    """One note for each thing that went wrong.

    Args:
        digest: the run.
        root: the checkout; a path that is no file in it is not used.
    """
    exists = functools.cache(functools.partial(_exists, root))
    found = digest.folded
    causes = [problem for problem in digest.problems if problem.what.strip()]
    met = {problem.what for problem in causes for finding in found if problem.what in finding.message}
    made = [_of_problem(problem) for problem in causes if problem.what not in met]
    for finding in _ranked(found):
        cause = next((problem for problem in causes if problem.what in finding.message), None)
        made.append(_of_finding(finding, _place(finding, exists), cause))
    for case, first in digest.retried:
        words = f"passed on attempt {case.attempts}"
        made.append(Note(*_place(first, exists), WARNING, _title(first, words), _message(first), _details(first)))
    made += [_of_repeat(case, one, exists) for case, one in digest.repeats]
    made += [_of_ending(suite) for suite in digest.results.suites if unexplained(suite)]
    return tuple(made)


def _exists(root: Path, path: str) -> bool:
    """Whether the path is a file inside the checkout; GitHub shows nothing on any other."""
    inside = path and path == clean(path) and not Path(path).is_absolute() and ".." not in Path(path).parts
    try:
        return bool(inside) and (root / path).is_file()
    except OSError:  # no file system has names this long
        return False


def _place(finding: Finding, exists: Callable[[str], bool]) -> tuple[str, int]:
    """The deepest line that the failure went through, else the test's own, else none."""
    for anchor in (Anchor(finding.path, finding.line), finding.own):
        if anchor is not None and exists(anchor.path):
            return PurePosixPath(anchor.path).as_posix(), max(anchor.line or 1, 1)
    return "", 1


def _ranked(found: Iterable[Finding]) -> list[Finding]:
    """Those first that stopped most tests, then one of each message, then the others; else in their order."""
    seen: Counter[tuple[str, str]] = Counter()

    def rank(finding: Finding) -> tuple[int, int, int]:
        again = seen[finding.kind, finding.message]
        seen[finding.kind, finding.message] += 1
        kind = RANKS.index(finding.kind) if finding.kind in RANKS else len(RANKS)
        return -finding.others, int(again > 0), kind

    return sorted(found, key=rank)


def _of_problem(problem: Problem) -> Note:
    """A problem that no test has met: it came before the first one."""
    return Note("", 1, FAILURE, one_line(problem.what, TITLE_LIMIT), _advice(problem), _log(problem))


def _of_repeat(case: Case, one: Repeat, exists: Callable[[str], bool]) -> Note:
    """The same statement again and again, where one would do (N+1)."""
    place = (one.path, max(one.line or 1, 1)) if exists(one.path) else ("", 1)
    title = f"{one.count} times the same statement from one line"
    words = f"{title}, {seconds(one.seconds)} in the database, in {one_line(case.nodeid)}:"
    return Note(*place, WARNING, title, middle_fit(f"{words}\n{one.shape}", MESSAGE_BUDGET))


def _of_ending(suite: Suite) -> Note:
    """A suite without anything else that says why it is red."""
    title = "No tests were collected" if suite.exitstatus == NONE_COLLECTED else "The suite did not succeed"
    remedy = LOOK if suite.exitstatus == NONE_COLLECTED else READ
    problem = Problem(f"{title} in {suite.project}" if suite.project else title, ending(suite), remedy)
    return Note("", 1, FAILURE, one_line(problem.what, TITLE_LIMIT), _advice(problem))


def _of_finding(finding: Finding, place: tuple[str, int], cause: Problem | None) -> Note:
    stopped = f"{finding.others + 1} tests could not run"
    title = stopped if finding.others else _title(finding, finding.kind)
    message = _advice(cause) if cause else _message(finding)
    if finding.others:
        message = f"{stopped}: {message}\nThe first of them: {one_line(finding.nodeid)}"
    elif finding.own is not None and (finding.own.path, finding.own.line) != place and finding.own.line is not None:
        message += f"\n\nThe test: {one_line(finding.own.path)}:{finding.own.line}"
    details = (_log(cause) if cause else "") or _details(finding)
    return Note(*place, FAILURE, title, message, details)


def _title(finding: Finding, words: str) -> str:
    return f"{one_line(finding.name, TITLE_LIMIT - len(words) - 2)}: {words}"


def _message(finding: Finding) -> str:
    """The message, and of the traceback what says more than it."""
    first = one_line(finding.message, 1_000) or finding.kind
    shown = excerpt(finding.longrepr, finding.path, finding.line)
    return middle_fit("\n\n".join(filter(None, (first, shown))), MESSAGE_BUDGET)


def _details(finding: Finding) -> str:
    captured = (f"--- {name} ---\n{text}" for name, text in finding.sections)
    return middle_fit("\n".join((finding.longrepr, *captured)), DETAILS_BUDGET)


def _advice(problem: Problem) -> str:
    return middle_fit("\n".join(_sentences(problem)), MESSAGE_BUDGET)


def _sentences(problem: Problem) -> Iterator[str]:
    yield problem.what
    if problem.why:
        yield f"Why: {problem.why}"
    if problem.remedy:
        yield f"Fix: {problem.remedy}"


def _log(problem: Problem) -> str:
    return middle_fit(problem.log, DETAILS_BUDGET)
