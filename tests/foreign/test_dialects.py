"""Dialects: what producers mean by what they write, one trap at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from files import only, read, suite

FAILURE = '<failure message="boom" type="E">text</failure>'
TEARDOWN = '<error message="failed on teardown with &quot;OSError: open&quot;">text</error>'


def case(name: str = "t", *children: str, classname: str = "tests.test_a", **attributes: str) -> str:
    """A test's element."""
    told = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f'<testcase classname="{classname}" name="{name}"{told}>{"".join(children)}</testcase>'


def test_failed_call_and_failed_teardown_are_one_test(tmp_path: Path) -> None:
    """Pytest writes two elements for it; nobody's test failed twice, and nobody tried it again."""
    told = only(read(tmp_path, suite(case("t", FAILURE), case("t", TEARDOWN), name="pytest")))
    assert (told.outcome, told.attempts) == ("failed", 1)
    assert [(phase.when, phase.message) for phase in told.failures] == [
        ("call", "boom"),
        ("teardown", "OSError: open"),
    ]


def test_attempts_without_a_failure_are_no_passed_tests(tmp_path: Path) -> None:
    """pytest-rerunfailures leaves elements without anything in them for attempts that failed."""
    flaky = only(read(tmp_path, suite(case(time="1"), case(time="2"), case(time="4"), name="pytest")))
    assert (flaky.outcome, flaky.attempts, flaky.duration) == ("flaky", 3, 7.0)
    failed = only(read(tmp_path, suite(case(), case("t", FAILURE), case("t", TEARDOWN), name="pytest")))
    assert (failed.outcome, failed.attempts, len(failed.failures)) == ("failed", 2, 2)


def test_repeated_pytest_test_that_failed_once_stays_red(tmp_path: Path) -> None:
    """An element that tells a failure tells the last attempt, wherever it stands."""
    told = only(read(tmp_path, suite(case("t", FAILURE), case(), name="pytest")))
    assert told.outcome == "failed"


def test_two_pytest_suites_in_one_file_are_no_attempts(tmp_path: Path) -> None:
    """Files that somebody put together hold the same tests of several jobs: none of them is flaky."""
    both = f"<testsuites>{suite(case(), name='pytest')}{suite(case('t', FAILURE), name='pytest')}</testsuites>"
    told = read(tmp_path, both)
    assert [(one.nodeid, one.outcome) for one in told.cases] == [
        ("tests/test_a.py::t", "passed"),
        ("tests/test_a.py::t #2", "failed"),
    ]


def test_several_failures_of_a_pytest_test_are_its_subtests(tmp_path: Path) -> None:
    """Pytest 9 adds one that only counts them; the time of the test is counted once."""
    counting = '<failure message="contains 2 failed subtests">contains 2 failed subtests</failure>'
    for last in ("", counting):
        told = only(read(tmp_path, suite(case("t", FAILURE, FAILURE, last, time="3"), name="pytest")))
        assert [phase.subtest for phase in told.failures] == ["subtest 1", "subtest 2"]
        assert [phase.duration for phase in told.failures] == [0.0, 0.0]
        assert (told.outcome, told.duration) == ("failed", 3.0)


@pytest.mark.parametrize("step", ["setup", "teardown"])
@pytest.mark.parametrize("wording", ['failed on {} with "boom"', "test {} failure"])
def test_pytest_error_names_its_step(tmp_path: Path, step: str, wording: str) -> None:
    """Today's wording and that before pytest 6."""
    error = f"<error message='{wording.format(step)}'>text</error>"
    told = only(read(tmp_path, suite(case("t", error), name="pytest")))
    assert (told.outcome, told.failures[0].when) == ("error", step)


def test_expected_failures_and_their_surprises(tmp_path: Path) -> None:
    """Skips by type, strict xpass by its text, and what unittest-xml-reporting and Catch2 call them."""
    elements = {
        '<skipped type="pytest.xfail" message="known"/>': "xfailed",
        '<skipped type="XFAIL" message="known"/>': "xfailed",
        '<skipped type="pytest.skip" message="why">text</skipped>': "skipped",
        '<failure message="[XPASS(strict)] known">text</failure>': "failed",
        '<error type="UnexpectedSuccess" message="m"/>': "failed",
        f'<skipped message="TEST_CASE tagged with !mayfail"/>{FAILURE}': "xfailed",
        f"<skipped/>{FAILURE}": "failed",
        f"{FAILURE}<skipped/>": "failed",
    }
    for element, outcome in elements.items():
        assert only(read(tmp_path, suite(case("t", element), name="pytest"))).outcome == outcome, element
    strict = only(read(tmp_path, suite(case("t", '<failure message="[XPASS(strict)] known"/>'), name="pytest")))
    assert strict.failures[0].strict_xpass


def test_flaky_and_rerun_elements_are_attempts(tmp_path: Path) -> None:
    """Surefire, nextest and Playwright put attempts into the element, with a trace and output of their own."""
    inner = "<stackTrace>at A.b(A.java:1)</stackTrace><system-out>seen</system-out>"
    flaky = only(
        read(tmp_path, suite(case("t", f'<flakyFailure message="m" time="2">{inner}</flakyFailure>', time="1")))
    )
    assert (flaky.outcome, flaky.attempts, flaky.duration) == ("flaky", 2, 3.0)
    assert (flaky.retried[0].longrepr, flaky.retried[0].sections) == ("at A.b(A.java:1)", (("stdout", "seen"),))
    rerun = f'{FAILURE}<rerunFailure message="again">{inner}</rerunFailure><rerunError message="last"/>'
    failed = only(read(tmp_path, suite(case("t", rerun))))
    assert (failed.attempts, [phase.message for phase in failed.retried]) == (3, ["boom", "again"])
    assert [phase.message for phase in failed.failures] == ["last"]


def test_gradle_writes_attempts_as_tests(tmp_path: Path) -> None:
    """Its retry plugin does; an element after one that passed is a test of its own."""
    attributes = dict.fromkeys(
        ["name", "tests", "skipped", "failures", "errors", "timestamp", "hostname", "time"], "0"
    )
    flaky = only(read(tmp_path, suite(case("t", FAILURE), case("t"), **attributes)))
    assert (flaky.outcome, flaky.attempts) == ("flaky", 2)
    twice = read(tmp_path, suite(case("t"), case("t", FAILURE), **attributes))
    assert [one.outcome for one in twice.cases] == ["passed", "failed"]


def test_elements_of_one_name_are_tests_of_their_own_elsewhere(tmp_path: Path) -> None:
    """Parametrized tests often share a name: a red one is not hidden behind a green one."""
    told = read(tmp_path, suite(case("t", FAILURE), case("t"), case("t"), name="any"))
    assert [one.nodeid for one in told.cases] == ["tests.test_a::t", "tests.test_a::t #2", "tests.test_a::t #3"]
    assert {phase.nodeid for phase in told.cases[1].phases} == {"tests.test_a::t #2"}
    assert told.exit_code == 1


@pytest.mark.parametrize("state", ["notrun", "skipped", "disabled", "Ignored"])
def test_test_that_its_attribute_calls_not_run_is_skipped(tmp_path: Path, state: str) -> None:
    """GoogleTest's status="notrun" has no element to say so."""
    assert only(read(tmp_path, suite(case("t", status=state)))).outcome == "skipped"


def test_test_that_its_attribute_calls_failed_is_red(tmp_path: Path) -> None:
    """Nothing else in the file says it; status="run" says nothing."""
    assert only(read(tmp_path, suite(case("t", result="FAILED")))).outcome == "failed"
    assert only(read(tmp_path, suite(case("t", status="run", result="completed")))).outcome == "passed"


def test_all_failures_of_a_test_are_kept(tmp_path: Path) -> None:
    """GoogleTest writes one for each expectation; an error beside them does not make the test two."""
    told = only(read(tmp_path, suite(case("t", FAILURE, FAILURE, '<error message="e"/>'))))
    assert (told.outcome, [phase.message for phase in told.failures]) == ("failed", ["boom", "boom", "e"])


def test_error_is_an_error(tmp_path: Path) -> None:
    """A foreign error has no step of pytest's; it is counted as its producer counts it."""
    told = only(read(tmp_path, suite(case("t", '<error message="e"/>', time="2"))))
    assert (told.outcome, told.failures[0].when, told.duration) == ("error", "error", 2.0)


def test_failures_that_a_suite_counts_and_no_test_shows_are_red(tmp_path: Path) -> None:
    """A set-up that failed often leaves its trace in the numbers only; suites around it do not repeat it."""
    inner = suite(case(), name="inner", failures="1", errors="1")
    told = read(tmp_path, f'<testsuites failures="2">{suite(inner, name="outer", failures="2")}</testsuites>')
    [error] = told.collect_errors
    assert (error.nodeid, told.exit_code) == ("outer > inner", 1)
    assert "2 failures" in error.message
    shown = read(tmp_path, suite(case("t", '<flakyFailure message="m"/>'), name="s", failures="1"))
    assert (shown.collect_errors, shown.exit_code) == ((), 0)


def test_counts_that_are_no_numbers_say_nothing(tmp_path: Path) -> None:
    """Some producers divide by zero, others leave them out."""
    told = read(tmp_path, suite(case(), name="s", tests="NaN", failures="NaN", errors="-1", time="NaN"))
    assert (told.exit_code, told.duration, len(told.cases)) == (0, 0.0, 1)


def test_error_of_a_suite_itself_is_told(tmp_path: Path) -> None:
    """Beside its tests, where a fixture of the whole suite broke."""
    told = read(tmp_path, suite(case(), '<error message="no server">trace</error>', name="s"))
    [error] = told.collect_errors
    assert (error.nodeid, error.message, error.longrepr) == ("s", "no server", "trace")


def test_module_that_did_not_load_is_a_collection_error(tmp_path: Path) -> None:
    """Pytest gives it no class, Jest a class of that name."""
    pytests = case("tests.test_b", '<error message="collection failure">E   ImportError: no</error>', classname="")
    [error] = read(tmp_path, suite(pytests, name="pytest")).collect_errors
    assert (error.nodeid, error.message) == ("tests/test_b.py", "ImportError: no")
    jests = case("a.test.js", "<error>oh</error>", classname="Test suite failed to run")
    [error] = read(tmp_path, suite(jests, name="a")).collect_errors
    assert (error.nodeid, error.message) == ("a.test.js", "oh")


NAMES = [
    ("tests.A", "b", "tests.A::b"),
    ("", "b", "outer > inner > b"),
    ("test", "b", "outer > inner > b"),
    ("a b", "a b", "a b"),
    ("b", "outer b", "outer b"),
    ("outer", "outer b", "outer b"),
    ("tests.A", "", "tests.A"),
    ("", "", "outer > inner"),
]


@pytest.mark.parametrize(("classname", "name", "nodeid"), NAMES)
def test_every_test_has_a_name(tmp_path: Path, classname: str, name: str, nodeid: str) -> None:
    """Whether its producer puts it into the class, the name, or the suites around."""
    nested = suite(suite(case(name, classname=classname), name="inner"), name="outer")
    assert only(read(tmp_path, nested)).nodeid == nodeid


def test_test_without_any_name_is_kept(tmp_path: Path) -> None:
    """Nothing about it is known, but that it was run."""
    told = read(tmp_path, "<testsuites><testsuite><testcase/><testcase/></testsuite></testsuites>")
    assert [one.outcome for one in told.cases] == ["passed", "passed"]
    assert len({one.nodeid for one in told.cases}) == 2


def test_suites_nest_to_any_depth(tmp_path: Path) -> None:
    """Deeper than Python's own stack."""
    depth = 20_000
    for start in ("<testsuite>", '<testsuite name="s">'):
        told = read(tmp_path, start * depth + case("t", FAILURE, classname="") + "</testsuite>" * depth)
        assert (only(told).outcome, told.exit_code) == ("failed", 1)
        assert len(only(told).nodeid) < 100


@pytest.mark.parametrize("file", ["file", "filename", "filepath", "file_path", "path"])
@pytest.mark.parametrize("line", ["line", "lineno", "lineNo", "line_number", "lineNumber"])
def test_file_and_line_are_found_in_any_spelling(tmp_path: Path, file: str, line: str) -> None:
    """Of the test, else of a suite around it."""
    own = only(read(tmp_path, suite(case("t", **{file: "src/a.c", line: "7"}))))
    assert (own.path, own.line) == ("src/a.c", 7)
    around = only(read(tmp_path, suite(suite(case("t")), **{file: "src/a.c"})))
    assert (around.path, around.line) == ("src/a.c", None)


def test_cypress_names_the_file_in_its_root_suite(tmp_path: Path) -> None:
    """The suites that follow it belong to that file, until the next one."""
    suites = "".join(
        suite(name="Root Suite", file=f"e2e/{letter}.cy.js") + suite(case(letter), name="s") for letter in "ab"
    )
    told = read(tmp_path, f'<testsuites name="Mocha Tests">{suites}</testsuites>')
    assert [one.path for one in told.cases] == ["e2e/a.cy.js", "e2e/b.cy.js"]


def test_playwright_projects_are_told_apart(tmp_path: Path) -> None:
    """It puts the project into the host name, and the same tests into each."""
    order = ["name", "timestamp", "hostname", "tests", "failures", "skipped", "time", "errors"]
    suites = [
        suite(case("t", classname="a.spec.ts"), **{**dict.fromkeys(order, "0"), "hostname": project})
        for project in ("desktop", "phone")
    ]
    told = read(tmp_path, f"<testsuites>{''.join(suites)}</testsuites>")
    assert [one.nodeid for one in told.cases] == ["a.spec.ts::t [desktop]", "a.spec.ts::t [phone]"]


def test_output_stands_with_what_failed(tmp_path: Path) -> None:
    """Of the test and of the suite; of tests that passed nothing is kept."""
    out = "<system-out>seen</system-out><system-err>  </system-err>"
    told = read(tmp_path, suite(case("good", out), case("bad", FAILURE, out), "<system-err>s</system-err>"))
    good, bad = told.cases
    assert [phase.sections for phase in good.phases] == [()]
    assert bad.failures[0].sections == (("stdout", "seen"),)
    assert told.sections == (("stderr", "s"),)


def test_properties_and_attachments_are_kept(tmp_path: Path) -> None:
    """As attributes, as text, and as the markers that Jenkins taught the others."""
    told = '<properties><property name="a" value="1"/><property name="b">two</property></properties>'
    marked = "<system-out>x [[ATTACHMENT|out/one.png]] y\n[[ATTACHMENT|two words.txt]]</system-out>"
    found = read(tmp_path, suite(told, case("t", told, marked)))
    assert only(found).properties == found.properties == (("a", "1"), ("b", "two"))
    assert only(found).attachments == ("out/one.png", "two words.txt")


def test_surefires_properties_are_not_told(tmp_path: Path) -> None:
    """They are all of Java's: of the machine, not of the tests."""
    head = (
        '<testsuite xmlns:xsi="x" xsi:noNamespaceSchemaLocation="https://maven.apache.org/surefire/a.xsd" name="s">'
    )
    told = '<properties><property name="user.home" value="/home/ci"/></properties>'
    found = read(tmp_path, f"{head}{told}{case()}</testsuite>")
    assert (found.producer, found.properties) == ("surefire", ())


def test_escapes_of_producers_are_undone(tmp_path: Path) -> None:
    """Pytest and Surefire write characters that XML forbids in ways of their own; reports take out colours."""
    pytests = suite(case("t", '<failure message="#x1B[31mred">see #x1BFF</failure>'), name="pytest")
    failure = only(read(tmp_path, pytests)).failures[0]
    assert (failure.message, failure.longrepr) == ("\x1b[31mred", "see #x1BFF")
