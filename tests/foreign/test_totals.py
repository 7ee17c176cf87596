"""Totals: any tree of suites and tests that junitparser writes is read back with the same numbers."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from files import read
from hypothesis import given
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

# What XML can hold: junitparser does not escape what it forbids.
LETTERS = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff")
# Words by which producers mean something of their own.
MEANT = re.compile(r"fail|error|success|skip|set ?up|teardown|root suite|pytest|attachment", re.IGNORECASE)
TEXT = st.text(LETTERS, max_size=12).filter(lambda text: not MEANT.search(text))
RESULTS = st.lists(st.sampled_from([Failure, Error, Skipped]), max_size=3)


@st.composite
def cases(draw: st.DrawFn) -> TestCase:
    """A test with up to three results."""
    case = TestCase(draw(TEXT), draw(st.none() | TEXT), draw(st.none() | st.floats(0, 1e6)))
    case.result = [kind(draw(TEXT), draw(TEXT)) for kind in draw(RESULTS)]
    for result in case.result:
        result.text = draw(TEXT)
    case.system_out = draw(TEXT)
    return case


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> TestSuite:
    """A suite with tests and suites in it."""
    suite = TestSuite(draw(TEXT.map(lambda text: f"suite {text}")))
    suite.add_testcases(draw(st.lists(cases(), max_size=4)))
    for inner in draw(st.lists(trees(depth - 1), max_size=2)) if depth else []:
        suite.add_testsuite(inner)
    return suite


def worst(case: TestCase) -> str:
    """The word for a test with these results."""
    kinds = {type(result) for result in case.result}
    return next((word for kind, word in WORST if kind in kinds), "passed")


WORST = ((Failure, "failed"), (Error, "error"), (Skipped, "skipped"))


@given(st.lists(trees(), max_size=3))
def test_any_tree_reads_back_with_its_totals(
    tmp_path_factory: pytest.TempPathFactory, suites: list[TestSuite]
) -> None:
    """Every test once, with its worst result, whatever its name; and the time of all."""
    document = JUnitXml("tree")
    for suite in suites:
        document.append(suite)
    told = read(tmp_path_factory.mktemp("tree"), document.tostring())
    expected = [case for suite in suites for case in suite]
    counts = Counter(worst(case) for case in expected)
    assert {outcome: number for outcome, number in told.counts.items() if number} == counts
    assert len({case.nodeid for case in told.cases}) == len(expected)
    assert sum(case.duration for case in told.cases) == pytest.approx(sum(case.time or 0.0 for case in expected))
    assert told.problems == ()
