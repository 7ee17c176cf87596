"""The job summary: read by a Markdown parser, whole at any size, with nothing live from the tests in it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import HOSTILE, RESULTS, patient
from whole_markdown import PARSER, assert_whole

from realdb_ci.reports.digest import Digest
from realdb_ci.reports.markdown import code, escape, fence, size
from realdb_ci.reports.summary import BUDGET, render
from realdb_ci.reports.text import one_line
from realdb_ci.results import Anchor, Case, Phase, Problem, Repeat, Results, Server, Span, Suite


def failed(number: int = 1, message: str = "AssertionError: assert 1 == 2") -> Case:
    """A test that failed in its call."""
    name = f"tests/test_desk.py::test_{number}"
    phase = Phase(
        name, "call", "failed", anchor=Anchor("tests/test_desk.py", number), message=message, longrepr="E   no"
    )
    return Case(name, "tests/test_desk.py", number, (phase,))


@patient
@given(RESULTS, st.integers(0, 20_000) | st.just(BUDGET))
def test_any_results_in_any_budget_are_whole_markdown(results: Results, budget: int) -> None:
    """No text of a test opens, closes or cuts anything, and the budget holds to the byte."""
    text = render(Digest(results), budget)
    assert size(text) <= budget
    assert_whole(text)


@patient
@given(st.text() | st.sampled_from(HOSTILE))
def test_escaped_text_is_rendered_as_it_was(text: str) -> None:
    """Escaping makes text inert and loses nothing that can be seen."""
    for made in (escape(text), code(text)):
        [inline] = [token for token in PARSER.parse(f"x {made} x") if token.type == "inline"]
        shown = "".join(child.content for child in inline.children if child.type in ("text", "text_special"))
        assert shown.replace("\u200b", "") == f"x {one_line(text, 1000)} x".replace("\u200b", "")
        assert {child.type for child in inline.children} <= {"text", "text_special", "html_inline"}


@patient
@given(st.text() | st.lists(st.sampled_from(["`", "```", "~~~", "a", "\n", "    "])).map("".join))
def test_fence_holds_any_text(text: str) -> None:
    """No run of backticks in a text closes the block it stands in."""
    tokens = PARSER.parse(fence(text) + "\n\nafter")
    assert [token.type for token in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]


def test_verdict_counts_and_time_come_first() -> None:
    """The first line alone tells a reader who scrolls no further."""
    suite = Suite(
        "desk", cases=(failed(),), collected=("a", "tests/test_desk.py::test_1"), exitstatus=1, duration=65
    )
    first = render(Digest(Results((suite,)))).splitlines()[0]
    assert first == "## ❌ Tests failed: 1 failed, 1 not run in 1 min 05 s"


def test_green_run_without_a_test_claims_nothing() -> None:
    """``--collect-only`` and an empty shard end well, and prove nothing."""
    suite = Suite("desk", collected=("a",), exitstatus=0, duration=1)
    first = render(Digest(Results((suite,)))).splitlines()[0]
    assert first == "## ✅ Nothing was run: 1 not run in 1.00 s"


def test_failures_servers_and_slowest_are_told() -> None:
    """Each section has what its heading promises."""
    slow = Phase("tests/a.py::test_slow", "call", "passed", duration=2.5)
    before = Phase("tests/a.py::test_flaky", "call", "rerun", message="Timeout")
    flaky = Case(
        "tests/a.py::test_flaky", "tests/a.py", 4, (before, Phase(before.nodeid, "call", "passed", attempt=2))
    )
    suite = Suite(
        "desk",
        cases=(failed(7), Case(slow.nodeid, "tests/a.py", 1, (slow,)), flaky),
        servers=(Server("postgres", "docker", "17.2", "postgres@sha256:abc", 1.5),),
        problems=(Problem("No mongod", "not on PATH", "Install it.", "log line"),),
        exitstatus=1,
    )
    text = render(Digest(Results((suite,))))
    row = "| <code>tests/test_desk.py:7</code> | <code>tests/test_desk.py::test_7</code> | failed |"
    assert f"{row} <code>AssertionError: assert 1 == 2</code> |" in text
    assert (
        "| <code>postgres</code> | <code>17.2</code> | docker | <code>postgres&#64;sha256:abc</code> | 1.50 s |"
        in text
    )
    assert "| <code>tests/a.py::test_slow</code> | 2.50 s | 0 ms | 2.50 s | 0 ms |  |  |" in text
    assert "| <code>tests/a.py::test_flaky</code> | 2 | <code>tests/a.py:4</code> | <code>Timeout</code> |" in text
    assert all(part in text for part in ("**No mongod**", "Why: not on PATH", "Fix: Install it.", "\nlog line\n"))


@pytest.mark.parametrize("budget", [8_000, 80_000, BUDGET])
def test_thousands_of_failures_are_cut_between_rows(budget: int) -> None:
    """What does not fit is counted, and the sections behind the failures keep their place."""
    cases = tuple(failed(number, "A" * 200) for number in range(5_000))
    suite = Suite("desk", cases=cases, servers=(Server("postgres", "docker", "17.2", "x", 1.5),), exitstatus=1)
    text = render(Digest(Results((suite,))), budget)
    assert budget * 0.5 < size(text) <= budget
    [missing] = re.findall(r"^\.\.\.and (\d+) more", text.partition("<details>")[0], re.MULTILINE)
    assert text.count(" | failed | ") + int(missing) == 5_000
    assert "### Servers" in text
    assert_whole(text)


def test_one_broken_fixture_is_one_row() -> None:
    """A server that did not start is told once, with the number of tests it stopped."""
    phases = [Phase(f"t.py::test_{n}", "setup", "failed", message="Failed: No server") for n in range(212)]
    cases = tuple(Case(phase.nodeid, "t.py", 1, (phase,)) for phase in phases)
    text = render(Digest(Results((Suite("desk", cases=cases, exitstatus=1),))))
    assert text.count("No server") == 1
    assert "<code>t.py::test_0 and 211 more</code>" in text


def test_statements_are_told_with_their_line_and_time() -> None:
    """What one line sent again and again, and what the slowest tests sent in all."""
    repeat = Repeat("SELECT a | b", 12, 0.04, "app.py", 7)
    phase = Phase("t.py::test_n", "call", "passed", duration=2.0, queries=14, query_seconds=0.5, repeats=(repeat,))
    suite = Suite("desk", cases=(Case("t.py::test_n", "t.py", 1, (phase,)),), exitstatus=0)
    text = render(Digest(Results((suite,))))
    row = "| <code>app.py:7</code> | 12 | 40 ms | <code>SELECT a &#124; b</code> | <code>t.py::test_n</code> |"
    assert row in text
    assert "| <code>t.py::test_n</code> | 2.00 s | 0 ms | 2.00 s | 0 ms | 500 ms | 14 |" in text
    assert_whole(text)


def test_caches_say_what_they_were_worth() -> None:
    """Each with the seconds it took itself; other steps have a table of their own."""
    spans = (Span("cache packages", "24 MB in 1.0 s: 2.5 s saved", 5.0, 6.0), Span("schema", "postgres", 6.0, 7.0))
    text = render(Digest(Results((Suite("desk", spans=spans, exitstatus=0),))))
    assert "### Caches" in text
    assert "| packages | 24 MB in 1.0 s: 2.5 s saved | 1.00 s |" in text
    assert "| schema" not in text
    assert_whole(text)
