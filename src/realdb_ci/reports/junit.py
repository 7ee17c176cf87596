"""JUnit XML, for other tools: one testsuite a project, one testcase a test, each with its file and line."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from junitparser import Attr, Element, Error, Failure, IntAttr, Properties, Property, Skipped, xunit2

from realdb_ci.reports import Place
from realdb_ci.reports.digest import Digest
from realdb_ci.reports.findings import Finding, ending
from realdb_ci.reports.text import clean, middle_cut, one_line
from realdb_ci.results import BAD, Case, CollectError, Results, Suite

FILE = "junit.xml"
# What a consumer reads into memory for one test; the events file holds the rest.
TEXT_LIMIT = 50_000
NAME_LIMIT = 2_000
ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)
SPECIAL = re.compile(r'[&<>"\t\n\r]')
ERRORS = frozenset({"setup error", "teardown error", "error", "still running"})


class LocatedCase(xunit2.TestCase):
    """A testcase that says where it is written."""

    file = Attr()
    line = IntAttr()


def publish(digest: Digest, place: Place) -> bool:
    """Write ``junit.xml`` into the output folder."""
    write(digest, place.out / FILE)
    return True


def write(digest: Digest, path: Path) -> None:
    """Write the results as JUnit XML.

    Raises:
        OSError: the file cannot be written.
    """
    found: dict[tuple[str, str], list[Finding]] = {}
    for finding in digest.findings:
        found.setdefault((finding.project, finding.nodeid), []).append(finding)
    results = digest.results
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("<?xml version='1.0' encoding='utf-8'?>\n")
        file.write(_tag("testsuites", {"name": "realdb-ci", **_statistics(results, results.suites)}) + ">\n")
        for suite, outcomes in digest.outcomes:
            file.writelines(_suite(suite, outcomes, found))
        file.write("</testsuites>\n")


def _suite(suite: Suite, outcomes: Sequence[str], found: dict[tuple[str, str], list[Finding]]) -> Iterator[str]:
    known = {"name": clean(suite.project), **_statistics(suite, [suite])}
    known["timestamp"] = datetime.fromtimestamp(suite.start, UTC).isoformat(timespec="seconds")
    yield _tag("testsuite", known) + ">\n"
    yield _suite_properties(suite)
    for error in suite.collect_errors:
        yield _module(error, [one for one in found[suite.project, error.nodeid] if one.own is None])
    for case, outcome in zip(suite.cases, outcomes, strict=True):
        # Most tests are like that, and a model of each takes several times as long.
        if outcome == "passed" and not case.printed:
            yield _passed(case)
        else:
            told = found.get((suite.project, case.nodeid), []) if outcome in BAD else []
            yield _case(case, outcome, [one for one in told if one.own is not None])
    yield "</testsuite>\n"


def _statistics(told: Suite | Results, suites: Sequence[Suite]) -> dict[str, str]:
    """Tests, failures, errors and skips, each test counted once whatever it holds."""
    counts = told.counts
    return {
        "tests": str(sum(len(suite.cases) + len(suite.collect_errors) for suite in suites)),
        "failures": str(counts["failed"]),
        "errors": str(counts["error"]),
        "skipped": str(counts["skipped"] + counts["xfailed"]),
        "time": str(round(told.duration, 6)),
    }


def _module(error: CollectError, found: Sequence[Finding]) -> str:
    told = _located(error.nodeid, error.path, error.line, 0.0)
    told.result = [_result(Error, found)]
    return _text(told)


def _case(case: Case, outcome: str, found: Sequence[Finding]) -> str:
    told = _located(case.nodeid, case.path, case.line, case.duration)
    if case.attempts > 1:
        told.add_property("attempts", str(case.attempts))
    if outcome in ("flaky", "xpassed"):
        told.add_property(outcome, "true")
    # At most one element of a kind: consumers of these files stumble over more.
    failures = [finding for finding in found if outcome == "failed" and finding.kind not in ERRORS]
    errors = [finding for finding in found if finding not in failures]
    told.result = [_result(kind, group) for kind, group in ((Failure, failures), (Error, errors)) if group]
    if outcome in ("skipped", "xfailed"):
        told.result = [_skip(case)]
    sections = dict(section for phase in case.last for section in phase.sections)
    if sections:
        text = "\n".join(f"--- {name} ---\n{captured}" for name, captured in sections.items())
        told.system_out = middle_cut(text, TEXT_LIMIT)
    return _text(told)


def _result(kind: type[Failure | Error], found: Sequence[Finding]) -> Failure | Error:
    """One element for all that failed in one way."""
    told = kind(one_line("; ".join(one.message for one in found)), found[0].kind)
    texts = (f"{one.place}: {one.kind} {one.subtest}".rstrip() + f"\n{one.longrepr}" for one in found)
    told.text = middle_cut("\n\n".join(texts), TEXT_LIMIT)
    return told


def _skip(case: Case) -> Skipped:
    phase = next(one for one in case.last if one.outcome == "skipped")
    reason = phase.message if phase.wasxfail is None else phase.wasxfail
    return Skipped(one_line(reason), "pytest.skip" if phase.wasxfail is None else "pytest.xfail")


def _suite_properties(suite: Suite) -> str:
    """What is to be known of the suite: its servers, and how pytest ended where that is news."""
    known = [(one.service, f"{one.engine} {one.version} {one.origin}") for one in suite.servers]
    known += [("ending", ending(suite))] if ending(suite) else []
    told = Properties()  # type: ignore[no-untyped-call]
    for name, value in known:
        told.add_property(Property(clean(name), one_line(value)))
    return _text(told) if known else ""


def _passed(case: Case) -> str:
    """The testcase of a test that has nothing more to tell."""
    classname, name = _named(case.nodeid)
    line = "" if case.line is None else f' line="{case.line}"'
    return (
        f'<testcase classname="{_known(classname)}" name="{_escaped(name)}" time="{round(case.duration, 6)}"'
        f' file="{_known(case.path)}"{line}/>\n'
    )


def _located(nodeid: str, path: str, line: int | None, seconds: float) -> LocatedCase:
    classname, name = _named(nodeid)
    told = LocatedCase(name, classname, round(seconds, 6))
    told.file = clean(path)
    if line is not None:
        told.line = line
    return told


def _named(nodeid: str) -> tuple[str, str]:
    """Class and name of a testcase, as readers of these files expect them of pytest's first dialect."""
    plain, bracket, parameters = nodeid.partition("[")
    # A module has no name but its path.
    path_and_classes, _, name = plain.rpartition("::")
    classname = _class(path_and_classes) if path_and_classes else ""
    return classname, one_line(name + bracket + parameters, NAME_LIMIT)


@functools.lru_cache(maxsize=4_096)
def _class(plain: str) -> str:
    """The class name as pytest writes it: ``tests/test_a.py::TestB`` is tests.test_a.TestB."""
    path, _, classes = plain.partition("::")
    parts = [path.removesuffix(".py").replace("/", "."), *filter(None, classes.split("::"))]
    return one_line(".".join(parts), NAME_LIMIT)


def _tag(name: str, known: Mapping[str, str]) -> str:
    """The beginning of an element that is too large to be held, up to what ends it."""
    return f"<{name}" + "".join(f' {key}="{_escaped(value)}"' for key, value in known.items())


def _escaped(text: str) -> str:
    return text.translate(ESCAPES) if SPECIAL.search(text) else text


@functools.lru_cache(maxsize=4_096)
def _known(text: str) -> str:
    """The same for a text that many tests share."""
    return _escaped(clean(text))


def _text(element: Element) -> str:
    return element.tostring().decode() + "\n"  # type: ignore[no-untyped-call,no-any-return]
