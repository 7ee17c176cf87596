"""The timeline: where the time of a run went, worker by worker, and its chart."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from strategies import RESULTS, TEXT, patient

from realdb_ci.reports.mermaid import MOST_BARS, TEXT_LIMIT, gantt
from realdb_ci.reports.timeline import Bar, Step, reporting, steps, timeline
from realdb_ci.results import Case, Phase, Results, Server, Span, Suite

T = 1_700_000_000.0
# A task of Mermaid's grammar: a name without its signs, a colon, an optional tag, two numbers.
TASK = re.compile(r"\d[\d.]* (?:ms|s|min \d\d s) [^:;#%\n]+ :(?:active, )?\d+, \d+")


def case(number: int, worker: str | None, start: float, stop: float) -> Case:
    """A test with three phases on a worker."""
    name, middle = f"t.py::test_{number}", (start + stop) / 2
    times = [("setup", start, middle), ("call", middle, stop), ("teardown", stop, stop)]
    phases = tuple(Phase(name, when, "passed", start=T + a, stop=T + b, worker=worker) for when, a, b in times)
    return Case(name, "t.py", 1, phases)


def test_bars_tell_what_happened_when() -> None:
    """From the start through the tests of each worker to the end, in seconds from the beginning of the run."""
    suite = Suite(
        "desk",
        start=T,
        duration=10.0,
        cases=(case(1, "gw0", 2, 4), case(2, "gw10", 3, 5), case(3, "gw2", 3, 6), case(4, "gw0", 4, 7)),
        spans=(
            Span("schema", "postgres", T + 2.5, T + 3, "gw0"),
            Span("clone", "postgres", T + 3, T + 3.5, "gw0"),
            Span("clone", "postgres", T + 4, T + 4.5, "gw0"),
        ),
    )
    assert timeline(Results((suite,))) == (
        Bar("desk", "main", "start and collection", 0.0, 2.0),
        Bar("desk", "main", "end", 7.0, 10.0),
        Bar("desk", "gw0", "2 tests", 2.0, 7.0, 2),
        Bar("desk", "gw0", "schema postgres", 2.5, 3.0),
        Bar("desk", "gw2", "1 test", 3.0, 6.0, 1),
        Bar("desk", "gw10", "1 test", 3.0, 5.0, 1),
    )


def test_chart_begins_with_what_was_made_ready() -> None:
    """The environment, the boot of each server that this run started (two suites used it once), collection."""
    ours = Server("postgres", seconds=3.0, ready=T - 1)
    theirs = Server("mongodb", seconds=9.0, ready=T, owned=False)
    spans = (Span("environment", "", T - 5, T - 2), Span("collection", "", T, T + 1))
    desk = Suite("desk", start=T, duration=4.0, cases=(case(1, None, 2, 3),), servers=(ours, theirs), spans=spans)
    shop = Suite("shop", start=T + 4, duration=1.0, servers=(ours,))
    assert timeline(Results((desk, shop))) == (
        Bar("", "servers", "start postgres", 1.0, 4.0),
        Bar("desk", "main", "environment", 0.0, 3.0),
        Bar("desk", "main", "collection", 5.0, 6.0),
        Bar("desk", "main", "1 test", 7.0, 8.0, 1),
        Bar("desk", "main", "end", 8.0, 9.0),
    )
    assert reporting(Results((desk,)), T + 4, T + 6) == (Bar("", "report", "report", 9.0, 11.0),)


def test_report_nobody_asks_about_has_no_bar() -> None:
    """Neither has one of a run without any time of day, such as a foreign file's."""
    assert reporting(Results((Suite("desk", start=T),)), 0.0, T) == ()
    assert reporting(Results((Suite("desk"),)), T, T + 1) == ()


def test_steps_are_added_up() -> None:
    """What many tests repeat is in a table and not in the chart."""
    spans = [Span("clone", "postgres", T, T + seconds) for seconds in (1.0, 3.0)]
    suite = Suite("desk", spans=(Span("schema", "postgres", T, T + 0.5), *spans))
    assert steps(Results((suite,))) == (
        Step("clone postgres", 2, 4.0, 3.0),
        Step("schema postgres", 1, 0.5, 0.5),
    )


def test_chart_is_read_by_mermaid() -> None:
    """Seconds from zero, because a date would be shown in the reader's time zone; tests stand out."""
    bars = (Bar("desk", "main", "start", 0.0, 2.0), Bar("desk", "gw0", "click: a; b", 2.0, 8.5, 3))
    assert gantt(bars).split("\n") == [
        "```mermaid",
        "gantt",
        "dateFormat x",
        "axisFormat %s s",
        "section desk main",
        "2.00 s start :0, 2000",
        "section desk gw0",
        "6.50 s click  a  b :active, 2000, 8500",
        "```",
    ]


def test_chart_of_many_bars_keeps_the_longest() -> None:
    """In their order; the others would be too short to be seen."""
    bars = [Bar("desk", "main", f"n{n}", float(n), n + n % 100 / 50) for n in range(500)]
    lines = gantt(bars).split("\n")[5:-1]
    assert len(lines) == MOST_BARS
    starts = [int(line.rpartition(":")[2].partition(",")[0]) for line in lines]
    assert starts == sorted(starts)
    assert all(start // 1000 % 100 >= 80 for start in starts)


@patient
@given(st.lists(st.builds(Bar, TEXT, TEXT, TEXT, st.floats(0, 1e5), st.floats(2e5, 1e6), st.integers(0, 9))))
def test_any_bars_are_a_chart(bars: list[Bar]) -> None:
    """No name says anything in the chart's grammar; it is never longer than Mermaid reads."""
    text = gantt(bars)
    assert len(text) <= TEXT_LIMIT + 20
    assert bool(text) == bool(bars)
    for line in text.split("\n")[4:-1]:
        assert TASK.fullmatch(line) or re.fullmatch(r"section [^:;#%\n]+", line)


@patient
@given(RESULTS)
def test_any_clock_gives_bars_that_can_be_drawn(results: Results) -> None:
    """Clocks that go backwards, stand still or tell nonsense leave their bars out."""
    for bar in timeline(results):
        assert 0 <= bar.start < bar.stop < 1e7
    assert all(0 <= step.longest <= step.total for step in steps(results))
