"""JUnit XML: valid whatever the tests printed, one testcase a test, at its file and line."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from junitparser import Error, Failure, JUnitXml, Skipped
from strategies import RESULTS, patient

from realdb_ci.reports.digest import Digest
from realdb_ci.reports.junit import write
from realdb_ci.results import Anchor, Case, CollectError, Phase, Results, Suite

NAME = "tests/test_desk.py::TestDesk::test_fee[a::b-1]"


def phase(when: str, outcome: str = "passed", **more: object) -> Phase:
    """A phase of the one test."""
    return Phase(NAME, when, outcome, **more)


def root(path: Path) -> ET.Element:
    """The file as a reader sees it."""
    return ET.parse(path).getroot()  # noqa: S314 - a file of our own


def written(path: Path, *phases: Phase, **suite: object) -> ET.Element:
    """The one testcase of a suite with these phases, as a reader sees it."""
    case = Case(NAME, "desk/tests/test_desk.py", 7, phases)
    write(Digest(Results((Suite("desk", cases=(case,), exitstatus=1, **suite),))), path / "junit.xml")
    return root(path / "junit.xml").find("testsuite/testcase")


def test_testcase_says_where_it_is(tmp_path: Path) -> None:
    """File from the root of the repository, line from 1, names as pytest writes them."""
    case = written(tmp_path, phase("call", duration=1.25))
    assert case.attrib == {
        "name": "test_fee[a::b-1]",
        "classname": "tests.test_desk.TestDesk",
        "time": "1.25",
        "file": "desk/tests/test_desk.py",
        "line": "7",
    }


@pytest.mark.parametrize(
    ("phases", "elements"),
    [
        ([phase("call")], []),
        ([phase("call", "failed", message="m")], [("failure", "m", "failed")]),
        ([phase("setup", "failed", message="m")], [("error", "m", "setup error")]),
        ([phase("setup", "skipped", message="closed")], [("skipped", "closed", "pytest.skip")]),
        ([phase("call", "skipped", wasxfail="known", message="m")], [("skipped", "known", "pytest.xfail")]),
        (
            [phase("call", "failed", message="m"), phase("teardown", "failed", message="n")],
            [("failure", "m", "failed"), ("error", "n", "teardown error")],
        ),
        (
            [phase("call", "failed", message="m", subtest="a"), phase("call", "failed", message="n", subtest="b")],
            [("failure", "m; n", "subtest failed")],
        ),
    ],
)
def test_outcome_is_at_most_one_element_of_a_kind(
    tmp_path: Path, phases: list[Phase], elements: list[tuple[str, str, str]]
) -> None:
    """Readers of these files stumble over two failures in one testcase."""
    case = written(tmp_path, *phases)
    assert [(one.tag, one.get("message"), one.get("type")) for one in case] == elements


def test_failure_holds_the_place_the_traceback_and_the_output(tmp_path: Path) -> None:
    """What a reader needs to see is in the text and in system-out."""
    failed = phase(
        "call",
        "failed",
        anchor=Anchor("desk/fees.py", 3),
        longrepr="E   assert 0",
        sections=(("Captured stdout call", "hello"),),
    )
    case = written(tmp_path, failed)
    assert case.findtext("failure") == "desk/fees.py:3: failed\nE   assert 0"
    assert case.findtext("system-out") == "--- Captured stdout call ---\nhello"


def test_flaky_test_passes_and_says_so(tmp_path: Path) -> None:
    """One testcase for all attempts, without a failure, marked by properties."""
    case = written(tmp_path, phase("call", "rerun"), phase("call", attempt=2))
    properties = {one.get("name"): one.get("value") for one in case.iter("property")}
    assert properties == {"attempts": "2", "flaky": "true"}
    assert case.find("failure") is None


def test_counts_are_tests_and_not_elements(tmp_path: Path) -> None:
    """A test that failed twice is one failure; a module that could not be collected is one error."""
    both = (phase("call", "failed"), phase("teardown", "failed"))
    broken = CollectError("tests/test_x.py", "desk/tests/test_x.py", 2, "SyntaxError: no")
    written(tmp_path, *both, collect_errors=(broken,))
    suites = root(tmp_path / "junit.xml")
    for element in (suites, suites.find("testsuite")):
        counts = {name: element.get(name) for name in ("tests", "failures", "errors", "skipped")}
        assert counts == {"tests": "2", "failures": "1", "errors": "1", "skipped": "0"}
    assert suites.find("testsuite/testcase/error").get("message") == "SyntaxError: no"


@patient
@given(RESULTS)
def test_any_results_are_valid_and_read_back(tmp_path_factory: pytest.TempPathFactory, results: Results) -> None:
    """Control characters, surrogates and markup make neither the file invalid nor a case disappear."""
    path = tmp_path_factory.mktemp("junit") / "junit.xml"
    write(Digest(results), path)
    suites = list(JUnitXml.fromfile(str(path)))
    assert [len(list(suite)) for suite in suites] == [
        len(one.cases) + len(one.collect_errors) for one in results.suites
    ]
    for suite, told in zip(results.suites, suites, strict=True):
        cases = list(told)[len(suite.collect_errors) :]
        for case, element in zip(suite.cases, cases, strict=True):
            kinds = {type(one) for one in element.result}
            expected = {"failed": Failure, "error": Error, "skipped": Skipped, "xfailed": Skipped}.get(case.outcome)
            assert (expected in kinds) if expected else not kinds
