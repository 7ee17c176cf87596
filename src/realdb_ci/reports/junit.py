"""JUnit XML, for other tools: one testsuite a project, one testcase a test, each with its file and line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from junitparser import Attr, Error, Failure, IntAttr, JUnitXml, Skipped, xunit2

from realdb_ci.reports import Place
from realdb_ci.reports.findings import Finding, ending, findings
from realdb_ci.reports.text import clean, middle_cut, one_line
from realdb_ci.results import Case, Results, Suite

FILE = "junit.xml"
# What a consumer reads into memory for one test; the events file holds the rest.
TEXT_LIMIT = 50_000
NAME_LIMIT = 2_000


class LocatedCase(xunit2.TestCase):
    """A testcase that says where it is written, as readers of JUnit files expect it of pytest's first dialect."""

    file = Attr()
    line = IntAttr()


def publish(results: Results, place: Place) -> None:
    """Write ``junit.xml`` into the output folder."""
    write(results, place.out / FILE)


def write(results: Results, path: Path) -> None:
    """Write the results as JUnit XML.

    Raises:
        OSError: the file cannot be written.
    """
    document = JUnitXml("realdb-ci")
    for suite in results.suites:
        # Not add_testsuite: it would merge two suites of one name.
        document.append(_suite(suite))  # type: ignore[no-untyped-call]
    document.tests = len(results.cases) + sum(len(suite.collect_errors) for suite in results.suites)
    document.failures, document.errors, document.skipped = _statistics(results)
    document.time = round(results.duration, 6)
    document.write(str(path))


def _suite(suite: Suite) -> xunit2.TestSuite:
    told = xunit2.TestSuite(clean(suite.project))  # type: ignore[no-untyped-call]
    modules: list[LocatedCase] = []
    found: dict[str, list[Finding]] = {}
    for finding in findings(Results((suite,))):
        if finding.kind == "collection error":
            modules.append(_module(finding))
        else:
            found.setdefault(finding.nodeid, []).append(finding)
    told.add_testcases([*modules, *(_case(case, found.get(case.nodeid, ())) for case in suite.cases)])
    # After junitparser's own statistics: it counts elements, where one test may hold two.
    told.tests = len(suite.cases) + len(suite.collect_errors)
    told.failures, told.errors, told.skipped = _statistics(suite)
    told.time = round(suite.duration, 6)
    told.timestamp = datetime.fromtimestamp(suite.start, UTC).isoformat(timespec="seconds")
    for server in suite.servers:
        told.add_property(clean(server.service), one_line(f"{server.engine} {server.version} {server.origin}"))
    if ending(suite):
        told.add_property("ending", ending(suite))
    return told


def _statistics(told: Suite | Results) -> tuple[int, int, int]:
    """Failures, errors and skips as tests, each counted once whatever it holds."""
    counts = told.counts
    return counts["failed"], counts["error"], counts["skipped"] + counts["xfailed"]


def _module(finding: Finding) -> LocatedCase:
    told = _located(finding.nodeid, finding.path, finding.line, seconds=0.0)
    told.result = [_result(Error, (finding,))]
    return told


def _case(case: Case, found: Sequence[Finding]) -> LocatedCase:
    told = _located(case.nodeid, case.path, case.line, case.duration)
    if case.attempts > 1:
        told.add_property("attempts", str(case.attempts))
    if case.outcome in ("flaky", "xpassed"):
        told.add_property(case.outcome, "true")
    # At most one element of a kind: consumers of these files stumble over more.
    failures = [finding for finding in found if case.outcome == "failed" and not _is_error(finding)]
    errors = [finding for finding in found if finding not in failures]
    told.result = [_result(kind, group) for kind, group in ((Failure, failures), (Error, errors)) if group]
    if case.outcome in ("skipped", "xfailed"):
        told.result = [_skip(case)]
    sections = dict(section for phase in case.last for section in phase.sections)
    if sections:
        text = "\n".join(f"--- {name} ---\n{captured}" for name, captured in sections.items())
        told.system_out = middle_cut(text, TEXT_LIMIT)
    return told


def _is_error(finding: Finding) -> bool:
    return finding.kind in ("setup error", "teardown error", "still running")


def _result(kind: type[Failure | Error], found: Sequence[Finding]) -> Failure | Error:
    told = kind(one_line("; ".join(one.message for one in found)), found[0].kind)
    texts = (f"{one.place}: {one.kind} {one.subtest}".rstrip() + f"\n{one.longrepr}" for one in found)
    told.text = middle_cut("\n\n".join(texts), TEXT_LIMIT)
    return told


def _skip(case: Case) -> Skipped:
    phase = next(one for one in case.last if one.outcome == "skipped")
    reason = phase.message if phase.wasxfail is None else phase.wasxfail
    return Skipped(one_line(reason), "pytest.skip" if phase.wasxfail is None else "pytest.xfail")


def _located(nodeid: str, path: str, line: int | None, seconds: float) -> LocatedCase:
    classname, name = _names(nodeid)
    told = LocatedCase(one_line(name, NAME_LIMIT), one_line(classname, NAME_LIMIT), round(seconds, 6))
    told.file = clean(path)
    if line is not None:
        told.line = line
    return told


def _names(nodeid: str) -> tuple[str, str]:
    """Class name and name as pytest writes them: ``tests/test_a.py::TestB::test_c[1]`` is tests.test_a.TestB."""
    path, _, rest = nodeid.partition("::")
    plain, bracket, parameters = rest.partition("[")
    *classes, name = plain.split("::")
    parts: Iterable[str] = (path.removesuffix(".py").replace("/", "."), *classes)
    return ".".join(parts), (name + bracket + parameters) or path
