"""The HTML page: complete in itself, harmless whatever the tests are called, and usable with many of them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from strategies import HOSTILE, RESULTS, patient

from realdb_ci.reports.digest import Digest
from realdb_ci.reports.html import BUDGET, render
from realdb_ci.results import Anchor, Case, CollectError, Phase, Problem, Repeat, Results, Server, Span, Suite

T = 1_700_000_000.0
REQUIRE = "REALDB_CI_REQUIRE_BROWSER"
VOID = {"meta", "input", "rect", "line", "br"}
BREAK_OUT = "</script><script>document.title='broken'</script><img src=x onerror=document.title='broken'>"


class Reader(HTMLParser):
    """The elements of a page, as a browser nests them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """It ends what began last."""
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text, by the element it stands in."""
        self.texts.setdefault(self._open[-1] if self._open else "", []).append(data)

    def data(self) -> dict[str, Any]:
        """What the page's script reads, as strict JSON."""

        def refuse(constant: str) -> None:
            raise AssertionError(constant)

        return json.loads(self.texts["script"][0], parse_constant=refuse)


def case(number: int, outcome: str = "passed", **more: Any) -> Case:
    """A test that ran on one of two workers."""
    name = f"tests/test_desk.py::test_{number}"
    start, worker = T + number, f"gw{number % 2}"
    phases = (
        Phase(name, "setup", "passed", duration=0.25, start=start, stop=start + 0.25, worker=worker),
        Phase(
            name, "call", outcome, duration=number / 10, start=start + 0.25, stop=start + 1, worker=worker, **more
        ),
    )
    return Case(name, "tests/test_desk.py", number + 1, phases)


def sample(*cases: Case) -> Results:
    """A run with something in every part of the page."""
    return Results(
        (
            Suite(
                "desk",
                python="3.12.1",
                pytest="9.0.0",
                start=T - 2,
                duration=30,
                cases=cases or (case(1), case(2, "failed", message="assert 1 == 2", longrepr="E   assert 1 == 2")),
                servers=(Server("postgres", "docker", "17.2", "postgres@sha256:1", 1.5),),
                spans=(Span("schema", "postgres", T, T + 0.5, "gw0"),),
                problems=(Problem("No mongod", "it ended", "Install it.", "FATAL: no"),),
                collect_errors=(CollectError("tests/test_x.py", "tests/test_x.py", 3, "SyntaxError: no"),),
                exitstatus=1,
            ),
        )
    )


def test_page_asks_for_nothing() -> None:
    """No address, and a policy that allows the page's own style and script by their digests and nothing else."""
    page = render(Digest(sample()))
    reader = Reader(page)
    assert not {"link", "img", "iframe", "object", "base", "form", "audio", "video"} & {
        t for t, _ in reader.elements
    }
    assert not [attrs for _, attrs in reader.elements if {"src", "style"} & attrs.keys()]
    assert not [name for _, attrs in reader.elements for name in attrs if name.startswith("on")]
    [policy] = [attrs["content"] for _, attrs in reader.elements if "http-equiv" in attrs]
    told = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    texts = {"style-src": reader.texts["style"][0], "script-src": reader.texts["script"][-1]}
    digests = {
        name: "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
        for name, text in texts.items()
    }
    assert told == {"default-src": "'none'", "base-uri": "'none'", "form-action": "'none'", **digests}


def test_page_tells_everything_without_its_script() -> None:
    """Verdict, counts, problems with their log, failures with their traceback, servers and the timeline."""
    page = render(Digest(sample()))
    for part in (
        "<title>A server or the environment could not be had: 1 failed, 1 error, 1 passed in 30.00 s</title>",
        '<li class="failed"><b>1</b>failed</li>',
        "Why: it ended",
        "<pre>FATAL: no</pre>",
        '<span class="name">tests/test_desk.py::test_2</span>',
        '<pre><span class="said">E   assert 1 == 2</span></pre>',
        '<span class="place">tests/test_x.py:3</span>',
        "postgres, 17.2, docker, postgres@sha256:1, ready in 1.50 s",
        "<title>tests/test_desk.py::test_2: 450 ms</title>",
        "<title>schema postgres: 500 ms</title>",
    ):
        assert part in page


def test_page_tells_which_statements_were_sent_again_and_again() -> None:
    """With their line, their number and their time, and what the slowest tests spent in databases."""
    repeat = Repeat("SELECT a <b>", 12, 0.04, "app.py", 7)
    phase = Phase("t.py::test_n", "call", "passed", duration=2.0, queries=14, query_seconds=0.5, repeats=(repeat,))
    page = render(Digest(Results((Suite("desk", cases=(Case("t.py::test_n", "t.py", 1, (phase,)),)),))))
    read = Reader(page)
    assert {"app.py:7", "SELECT a <b>", "t.py::test_n"} <= set(read.texts["code"])
    assert {"12", "40 ms", "14", "500 ms", "2.00 s"} <= set(read.texts["td"])


def test_many_short_tests_are_drawn_as_one_stretch() -> None:
    """Neighbours of one outcome share a rectangle, and no failure is lost between them."""
    cases = []
    for number in range(3_000):
        failed = number == 1_500
        phase = Phase(
            f"t.py::{number}", "call", "failed" if failed else "passed", start=T + number, stop=T + number + 1
        )
        cases.append(Case(phase.nodeid, "t.py", 1, (phase,)))
    page = render(Digest(Results((Suite("desk", start=T, duration=3_000, cases=tuple(cases)),))))
    drawn = re.findall(r'<rect class="fill-(\w+)"[^>]*><title>([^<]*)</title>', page)
    assert drawn == [("passed", "1 failed, 2999 passed"), ("failed", "1 failed")]


def test_many_failures_are_out_of_the_way_until_asked_for() -> None:
    """Fifty are enough before the timeline; the others are behind a click, and all are there."""
    page = render(Digest(sample(*(case(n, "failed", message=f"no {n}") for n in range(70)))))
    shown, _, hidden = page.partition('<details class="rest"><summary>21 more</summary>')
    assert shown.count('<details class="card bad" id=') == 50
    assert hidden.count('<details class="card bad" id=') == 21


def test_page_stays_within_its_size() -> None:
    """With more tests than fit, those that failed are kept and the others are counted."""
    name = "x" * 290
    cases = [Case(f"t.py::{name}{n}", "t.py", 1, (Phase("n", "call", "passed"),)) for n in range(90_000)]
    bad = Case("t.py::bad", "t.py", 1, (Phase("t.py::bad", "call", "failed", message="no"),))
    page = render(Digest(Results((Suite("desk", cases=(*cases, bad)),))))
    data = Reader(page).data()
    assert len(page.encode()) <= BUDGET
    assert data["name"][0] == "bad"
    assert len(data["name"]) + data["missing"] == 90_001
    assert data["missing"] > 0


@patient
@given(RESULTS)
def test_any_results_are_a_page_with_our_elements_only(results: Results) -> None:
    """Every element ends where it should, nothing of a text became one, and the data is strict JSON."""
    page = render(Digest(results))
    assert len(page.encode()) <= BUDGET
    reader = Reader(page)
    empty = Reader(render(Digest(sample())))
    assert {tag for tag, _ in reader.elements} <= {tag for tag, _ in empty.elements} | {"br"}
    assert sum(tag == "script" for tag, _ in reader.elements) == 2
    data = reader.data()
    assert "<" not in reader.texts["script"][0]
    sizes = {len(data[name]) for name in ("name", "file", "outcome", "setup", "call", "teardown", "line")}
    assert sizes == {sum(len(suite.cases) + len(suite.collect_errors) for suite in results.suites)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The browser of this machine."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        if os.environ.get(REQUIRE) == "1":
            pytest.fail(f"{REQUIRE} is set, but there is no chromium on PATH", pytrace=False)
        pytest.skip("there is no chromium on PATH")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=path)
        yield made
        made.close()


class Opened:
    """A page that is open in a browser, with what it asked for and what it complained of."""

    def __init__(self, browser: Any, results: Results, folder: Path, **more: Any) -> None:
        self.path = folder / "report.html"
        self.path.write_text(render(Digest(results)), encoding="utf-8")
        self.page = browser.new_page(viewport={"width": 1200, "height": 800}, **more)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(self.path.as_uri())
        self.page.wait_for_selector("#table tbody tr")

    def names(self) -> list[str]:
        """The tests that the table shows."""
        return self.page.locator("#table .name").all_inner_texts()

    def close(self) -> None:
        """It asked for nothing but itself, and nothing went wrong in it."""
        assert self.requests == [self.path.as_uri()]
        assert self.complaints == []
        self.page.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """Opens pages."""
    pages: list[Opened] = []

    def open_page(results: Results, **more: Any) -> Opened:
        pages.append(Opened(browser, results, tmp_path, **more))
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()


def test_table_is_filtered_by_words_and_outcomes(opened: Any) -> None:
    """All words have to be somewhere in the name, the file or the message."""
    shown = opened(sample(*(case(n) for n in range(1, 30)), case(30, "failed", message="assert 1 == 2")))
    assert shown.page.inner_text("#shown") == "31 tests"
    shown.page.fill("#search", "DESK test_2")
    shown.page.wait_for_selector("#shown:text-is('11 of 31 tests')")
    assert set(shown.names()) == {f"test_{n}" for n in (2, *range(20, 30))}
    shown.page.fill("#search", "1 == 2")
    shown.page.wait_for_selector("#shown:text-is('1 of 31 tests')")
    assert shown.names() == ["test_30"]
    shown.page.fill("#search", "")
    shown.page.click("#chips >> text=1 error")
    shown.page.wait_for_selector("#shown:text-is('1 of 31 tests')")
    assert shown.names() == ["tests/test_x.py"]


def test_table_is_sorted_by_any_column(opened: Any) -> None:
    """What failed comes first until somebody asks for another order; by time the longest is first."""
    shown = opened(sample(case(3), case(1), case(2, "failed", message="no")))
    assert shown.names() == ["test_2", "tests/test_x.py", "test_3", "test_1"]
    for column, names in {
        "Call": ["test_3", "test_2", "test_1", "tests/test_x.py"],
        "Test": ["test_1", "test_2", "test_3", "tests/test_x.py"],
    }.items():
        shown.page.click(f"#table th >> text={column}")
        assert shown.names() == names
    shown.page.click("#table th >> text=Test")
    assert shown.names() == ["tests/test_x.py", "test_3", "test_2", "test_1"]
    assert shown.page.get_attribute("#table th:nth-child(2)", "aria-sort") == "descending"


def test_row_opens_and_leads_to_what_the_test_said(opened: Any) -> None:
    """By mouse or keyboard: the place, the message, and a link that opens the failure's card."""
    failures = [case(n, "failed", message=f"no {n}", longrepr=f"E   no {n}") for n in range(1, 61)]
    shown = opened(sample(*failures))
    assert not shown.page.is_visible("#f57 pre")
    shown.page.focus("#table .name:text-is('test_57')")
    shown.page.keyboard.press("Enter")
    facts = shown.page.inner_text("#table tr.more")
    assert all(part in facts for part in ("tests/test_desk.py:58", "gw1", "no 57"))
    shown.page.click("#table tr.more a")
    assert shown.page.inner_text("#f57 pre") == "E   no 57"
    shown.page.click("#table .name:text-is('test_57')")
    assert shown.page.locator("#table tr.more").count() == 0


def test_names_of_tests_run_nothing(opened: Any) -> None:
    """Markup, scripts and endings of scripts in every text are shown as they are."""
    texts = [BREAK_OUT, *HOSTILE]
    cases = [
        Case(
            f"t.py::{text}",
            f"{text}.py",
            1,
            (
                Phase(
                    f"t.py::{text}",
                    "call",
                    "failed",
                    message=text,
                    longrepr=text,
                    sections=((text, text),),
                    anchor=Anchor(text, 1),
                    worker=text,
                    start=T,
                    stop=T + 1,
                ),
            ),
        )
        for text in texts
    ]
    results = Results((Suite(BREAK_OUT, cases=tuple(cases), start=T, duration=3, python=BREAK_OUT, exitstatus=1),))
    shown = opened(results)
    assert len(shown.names()) == len(texts)
    assert BREAK_OUT in shown.names()[0]
    shown.page.click("#table tbody tr >> nth=0")
    assert "broken" not in shown.page.title()
    assert shown.page.locator("img").count() == 0


def test_twenty_thousand_tests_are_drawn_as_they_are_scrolled_to(opened: Any) -> None:
    """The table begins with a part, grows with the reader, and finds the last one."""
    cases = [Case(f"t.py::test_{n}", "t.py", 1, (Phase("n", "call", "passed"),)) for n in range(20_000)]
    shown = opened(sample(*cases))
    assert shown.page.inner_text("#shown") == "20,001 tests"
    assert len(shown.names()) == 200
    shown.page.locator("#more").scroll_into_view_if_needed()
    shown.page.wait_for_selector("#table tbody tr >> nth=399")
    shown.page.fill("#search", "test_19999")
    shown.page.wait_for_selector("#shown:text-is('1 of 20,001 tests')")
    assert shown.names() == ["test_19999"]


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_page_follows_the_readers_colours(opened: Any, scheme: str, *, dark: bool) -> None:
    """Bright text on a dark ground at night, the reverse by day."""
    shown = opened(sample(), color_scheme=scheme)

    def brightness(name: str) -> int:
        colour = shown.page.evaluate(f"getComputedStyle(document.body).{name}")
        return sum(map(int, re.findall(r"\d+", colour)[:3]))

    assert (brightness("color") > brightness("backgroundColor")) is dark
