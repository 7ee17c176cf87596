"""The corpus: files that producers wrote, or that were written after their documentation."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from goldens import EVENTS, FIXTURES, JUNIT, JUNIT_FILES, golden, read_events, read_junit
from telling import told

from realdb_ci.results import Case

# What each test of samples/pytest does, told by a person; version and dialect change what can be known of it.
PYTEST = {
    "tests/sub/test_deep.py::test_deep": "passed",
    "tests/sub/test_deep.py::test_async": "passed",
    "tests/sub/test_deep.py::test_async_fails": "failed",
    "tests/test_plain.py::test_first": "passed",
    "tests/test_plain.py::test_fails_in_a_helper": "failed",
    "tests/test_plain.py::test_parameters[plain]": "passed",
    "tests/test_plain.py::test_parameters[\\xe9\\U0001f600]": "passed",
    "tests/test_plain.py::test_parameters[a/b::c[d]]": "passed",
    "tests/test_plain.py::test_parameters[<&\"'>]": "passed",
    "tests/test_plain.py::test_parameters[]": "failed",
    "tests/test_plain.py::test_writes": "failed",
    "tests/test_plain.py::test_setup_error": "error",
    "tests/test_plain.py::test_teardown_error": "error",
    "tests/test_plain.py::test_fails_twice": "failed",
    "tests/test_plain.py::test_skipped": "skipped",
    "tests/test_plain.py::test_skipped_inside": "skipped",
    "tests/test_plain.py::test_xfails": "xfailed",
    "tests/test_plain.py::test_xpasses": "passed",
    "tests/test_plain.py::test_xpasses_strictly": "failed",
    "tests/test_plain.py::test_properties": "passed",
    "tests/test_plain.py::test_exits": "failed",
    "tests/test_plain.py::test_warns": "passed",
    "tests/test_plain.py::TestDesk::test_method": "passed",
    "tests/test_plain.py::TestDesk::test_of_many[1]": "passed",
    "tests/test_plain.py::TestDesk::test_of_many[2]": "failed",
    "tests/test_plain.py::TestDesk::TestDrawer::test_nested": "passed",
    "tests/test_plain.py::Shelf::test_holds": "passed",
    "tests/test_plain.py::Shelf::test_drops": "failed",
    "tests/test_plain.py::Shelf::test_expected": "xfailed",
    "tests/test_retries.py::test_passes_at_last": "flaky",
    "tests/test_retries.py::test_never_passes": "failed",
    "tests/test_retries.py::test_with_shaky_setup": "flaky",
    "tests/test_subtests.py::test_table": "failed",
    "tests/test_subtests.py::test_table_passes": "passed",
    "tests/test_module_skip.py": "skipped",
}
# Where each failure of theirs is: the line that raised.
LINES = {
    "tests/sub/test_deep.py::test_async_fails": {"assert False"},
    "tests/test_plain.py::test_fails_in_a_helper": {'assert value == 2, f"{value} is not 2"'},
    "tests/test_plain.py::test_setup_error": {'raise ConnectionError("no server at \\x1b[31m127.0.0.1\\x1b[0m")'},
    "tests/test_plain.py::test_fails_twice": {"assert 0", 'raise OSError("drawer is open")'},
    "tests/test_plain.py::TestDesk::test_of_many[2]": {"assert n == 1"},
    "tests/test_subtests.py::test_table": {"assert n == 0"},
}
DIALECTS = ("xunit1", "xunit2", "legacy", "xdist")
WHOLE = [JUNIT / "pytest" / f"pytest{version}-{name}.xml" for version in (7, 8, 9) for name in DIALECTS]
# Files whose suites count each test once, so that their numbers can be held against what is read.
COUNTED = (
    *("bazel/test", "dotnet/junit-logger", "gotestsum/junit", "phpunit/log-junit", "robot/xunit"),
    *("nextest/junit", "playwright/default", "googletest/desk"),
)
name_of = pytest.mark.parametrize("file", JUNIT_FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")


@name_of
def test_file_is_read_as_its_golden_says(file: Path) -> None:
    """Producer, counts, names, outcomes, durations, places and messages: all as a person found them right."""
    assert told(read_junit(file)) == json.loads(golden(file).read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", EVENTS, ids=lambda file: file.stem)
def test_events_are_read_as_their_golden_says(file: Path) -> None:
    """The same for what the plugin recorded: plain, under xdist, tried again, crashed, interrupted, empty."""
    assert [told(suite) for suite in read_events(file).suites] == json.loads(golden(file).read_text("utf-8"))


def test_producers_write_what_is_no_xml() -> None:
    """Colours in a message: some runners' own files are refused by an XML parser, and are read here in full."""
    refused = set()
    for file in JUNIT_FILES:
        try:
            ET.parse(file)  # noqa: S314 - our own file
        except ET.ParseError:
            refused.add(file.parent.name)
            assert read_junit(file).problems == ()
    assert refused == {"behave", "mocha", "node"}


def test_corpus_is_whole() -> None:
    """Every producer has a file, every golden belongs to one."""
    producers = {file.parent.name for file in JUNIT_FILES}
    assert len(producers) >= 20, producers
    goldens = set(JUNIT.glob("*/*.json")) | set((FIXTURES / "events").glob("*.json"))
    assert goldens - {golden(file) for file in (*JUNIT_FILES, *EVENTS)} == set()


@pytest.mark.parametrize("file", WHOLE, ids=lambda file: file.stem)
def test_pytest_files_tell_what_the_tests_did(file: Path) -> None:
    """Whatever version and dialect: one case a test under pytest's own name, with the outcome it had."""
    expected = dict(PYTEST)
    if "pytest9" not in file.name:
        # pytest-rerunfailures 16.1, which ran there, writes no element for an attempt that failed.
        expected |= {nodeid: "passed" for nodeid, outcome in PYTEST.items() if outcome == "flaky"}
    suite = read_junit(file)
    assert {case.nodeid: case.outcome for case in suite.cases} == expected
    assert [(error.nodeid, error.path, error.line) for error in suite.collect_errors] == [
        ("tests/test_collect.py", "tests/test_collect.py", 1)
    ]
    assert suite.collect_errors[0].message == "ModuleNotFoundError: No module named 'missing_module'"


@pytest.mark.parametrize("file", WHOLE, ids=lambda file: file.stem)
def test_pytest_failures_point_at_the_line_that_raised(file: Path) -> None:
    """Also where the dialect names no file and no line, and in a helper or conftest."""
    found: dict[str, set[str]] = {}
    for case in read_junit(file).cases:
        found.setdefault(case.nodeid, set()).update(line for line in _lines(case) if line)
    assert {nodeid: found[nodeid] for nodeid in LINES} == LINES


def _lines(case: Case) -> list[str]:
    sample = JUNIT / "samples" / "pytest"
    anchors = [phase.anchor for phase in case.failures if phase.anchor]
    return [
        (sample / anchor.path).read_text(encoding="utf-8").splitlines()[(anchor.line or 0) - 1].strip()
        for anchor in anchors
    ]


@pytest.mark.parametrize("family", ["xunit1", "legacy"])
def test_pytest_lines_are_counted_from_one(family: str) -> None:
    """Pytest's first dialect counts them from 0."""
    text = (JUNIT / "samples" / "pytest" / "tests" / "test_plain.py").read_text(encoding="utf-8").splitlines()
    lines = {case.nodeid: case.line for case in read_junit(JUNIT / "pytest" / f"pytest9-{family}.xml").cases}
    assert text[(lines["tests/test_plain.py::test_first"] or 0) - 1].startswith("def test_first(")
    assert text[(lines["tests/test_plain.py::TestDesk::test_method"] or 0) - 1].strip() == "def test_method(self):"


def test_renamed_pytest_suite_is_still_known() -> None:
    """A project may name the suite and put a prefix before its classes: the tests keep their names."""
    for version in (7, 8, 9):
        suite = read_junit(JUNIT / "pytest" / f"pytest{version}-renamed.xml")
        assert suite.producer == "pytest"
        assert {case.nodeid for case in suite.cases} == {name for name in PYTEST if "test_plain" in name}


@pytest.mark.parametrize("name", COUNTED)
def test_totals_are_the_producers_own(name: str) -> None:
    """What a file's outermost suites count is what is read of them."""
    file = JUNIT / f"{name}.xml"
    suite = read_junit(file)
    root = ET.parse(file).getroot()  # noqa: S314 - our own file
    outer = [root] if "tests" in root.attrib else list(root)
    counted = Counter[str]()
    for element in outer:
        counted.update({name: int(element.get(name, "0")) for name in ("tests", "failures", "errors")})
    counts = suite.counts
    # GoogleTest leaves the failure of a suite's set-up out of its tests.
    unnamed = len(root.findall(".//testcase[@name='']"))
    assert len(suite.cases) == counted["tests"] + unnamed
    assert counts["failed"] + counts["error"] == counted["failures"] + counted["errors"] + unnamed


def test_recorded_sample_has_the_outcomes_it_promises() -> None:
    """The events files of a sample say what the sample's own expected.json says, with xdist and without."""
    expected = json.loads((FIXTURES / "broken" / "expected.json").read_text(encoding="utf-8"))
    for name in ("broken", "broken-xdist"):
        [suite] = read_events(FIXTURES / "events" / f"{name}.jsonl").suites
        assert {case.nodeid: case.outcome for case in suite.cases} == expected["cases"]
        assert {error.nodeid for error in suite.collect_errors} == set(expected["collect_errors"])
