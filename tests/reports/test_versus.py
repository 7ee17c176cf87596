"""Versus: what every report says of a run that was compared with its base branch."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from whole_markdown import assert_whole

from realdb_ci.github import GitHub
from realdb_ci.reports import comment, html, summary, terminal
from realdb_ci.reports.digest import Digest
from realdb_ci.reports.notes import notes
from realdb_ci.reports.versus import sentences
from realdb_ci.results import Case, Comparison, Phase, Results, Slower, Suite, merge

COMMITS = ("a" * 40, "b" * 40, "b" * 40)
OLD, NEW, SLOW = "t.py::test_old", "t.py::test_new", "t.py::test_slow"
COMPARED = Comparison(COMMITS, "main", (OLD,), (NEW,), (Slower(SLOW, 1.0, 0.05, 3.0, 2.5),), enough=True, needed=5)
WORDS = "Compared with 3 runs of main: aaaaaaa, bbbbbbb."


def failed(nodeid: str) -> Case:
    """A test that failed in its call."""
    return Case(nodeid, "t.py", 1, (Phase(nodeid, "call", "failed", message="no"),))


def suite(comparison: Comparison | None = COMPARED, project: str = "desk") -> Suite:
    """A suite with a known and a new failure, in this order."""
    return Suite(project, cases=(failed(OLD), failed(NEW)), exitstatus=1, comparison=comparison)


def digest(*suites: Suite) -> Digest:
    """What reports are made of."""
    return Digest(Results(suites or (suite(),)))


def markdown(surface: str, told: Digest) -> str:
    """One of the two Markdown reports."""
    github = GitHub("ann/desk", "c" * 40, Path(), job="test")
    text = comment.render(told, github) if surface == "comment" else summary.render(told)
    assert_whole(text.partition("-->")[2].rpartition("\n\n")[0] if surface == "comment" else text)
    return text


def section(text: str, heading: str) -> str:
    """What stands below a heading, empty where there is none."""
    found = re.search(rf"^### {re.escape(heading)}\n(.*?)(?=^###|\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


@pytest.mark.parametrize("surface", ["comment", "summary"])
def test_verdict_then_new_then_known_failures_then_what_is_slower(surface: str) -> None:
    """Each named, in this order, with the commits that it was compared with."""
    text = markdown(surface, digest())
    headings = re.findall(r"^##+ (.+)$", text, re.MULTILINE)
    assert headings[0].startswith("❌ Tests failed: 2 failed")
    assert headings[1:4] == [
        "New failures",
        "Known failures (also failing on the base)",
        "Slower than the base",
    ]
    new, known = section(text, headings[1]), section(text, headings[2])
    assert (NEW in new, OLD in new, NEW in known, OLD in known) == (True, False, False, True)
    assert f"| <code>{SLOW}</code> | 1.00 s ± 50 ms | 3.00 s | 2.50 s |" in section(text, headings[3])
    assert WORDS in text


@pytest.mark.parametrize("surface", ["comment", "summary"])
def test_without_a_baseline_nothing_is_said_of_one(surface: str) -> None:
    """The failures are failures, neither new nor known."""
    text = markdown(surface, digest(suite(None)))
    assert "Failures" in re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert not re.search("base|compared|new failures|not enough", text, re.IGNORECASE)


@pytest.mark.parametrize("surface", ["comment", "summary"])
def test_a_suite_that_was_not_compared_keeps_its_failures_apart(surface: str) -> None:
    """Of two projects only one has a baseline."""
    text = markdown(surface, digest(suite(), suite(None, "shop")))
    assert section(text, "New failures").count("<code>t.py") == 2
    assert section(text, "Failures").count("<code>t.py") == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"enough": False}, "Not enough data to tell slower tests (3 runs, 5 needed)."),
        ({"enough": False, "commits": ("x",)}, "Not enough data to tell slower tests (1 run, 5 needed)."),
        (
            {"enough": False, "commits": tuple("abcdef")},
            "Not enough data to tell slower tests (no test passed in 5 of the runs).",
        ),
        (
            {"unsure": (Slower(SLOW, 1.0, 0.0, 2.0),)},
            "1 test looks slower, with not enough data to tell: not timed again.",
        ),
        ({"note": "All runs count."}, "All runs count."),
        ({"branch": ""}, "Compared with 3 runs of the base branch: aaaaaaa, bbbbbbb."),
        ({"commits": ("old/events.jsonl",)}, "Compared with 1 run of main: old/events.jsonl."),
        (
            {"commits": tuple(f"run {n}" for n in range(12))},
            f"Compared with 12 runs of main: {', '.join(f'run {n}' for n in range(10))} and 2 more.",
        ),
    ],
)
def test_what_cannot_be_said_is_said(changes: dict[str, object], words: str) -> None:
    """Too few runs, nothing timed again, no merge base."""
    assert words in list(sentences(replace(COMPARED, **changes)))


def test_comparison_changes_no_verdict() -> None:
    """Neither what is slower nor what was known."""
    green = Suite("desk", exitstatus=0, comparison=replace(COMPARED, known=(), new=()))
    text = markdown("comment", digest(green))
    assert "### Slower than the base" in text
    assert Results((green,)).exit_code == 0
    assert Results((suite(),)).exit_code == Results((suite(None),)).exit_code == 1


def test_known_failures_are_annotated_after_new_ones(tmp_path: Path) -> None:
    """Where only ten can be shown, the new ones are."""
    assert [note.title for note in notes(digest(), tmp_path)] == [
        f"{NEW}: failed",
        f"{OLD}: failed, also failing on the base",
    ]


def test_one_broken_fixture_that_was_broken_before_is_told_apart(tmp_path: Path) -> None:
    """What it stops anew is a group of its own."""
    names = [f"t.py::test_{number}" for number in range(6)]
    cases = tuple(Case(name, "t.py", 1, (Phase(name, "setup", "failed", message="No server"),)) for name in names)
    told = Comparison(COMMITS, "main", tuple(names[:4]), tuple(names[4:]))
    titles = [note.title for note in notes(digest(Suite("desk", cases=cases, comparison=told)), tmp_path)]
    assert titles == ["2 tests could not run", "4 tests could not run, also failing on the base"]


def test_page_and_terminal_name_the_commits() -> None:
    """And mark what is known."""
    page = html.render(digest())
    assert page.index(NEW) < page.index(OLD)
    assert page.count('<span class="tag unsure">also failing on the base</span>') == 1
    assert f'<section id="baseline"><h2>Baseline</h2><p>{WORDS}</p>' in page
    assert '<td class="number">1.00 s ± 50 ms</td>' in page
    out = io.StringIO()
    terminal.render(digest(), Console(file=out, width=100))
    text = out.getvalue()
    assert f"FAILED, ALSO FAILING ON THE BASE  {OLD}" in text
    assert f"SLOWER  {SLOW}\n  1.00 s ± 50 ms before; 3.00 s now, 2.50 s again" in text
    assert WORDS in text
    assert 'id="baseline"' not in html.render(digest(suite(None)))


def test_shards_are_compared_as_one_run() -> None:
    """Each knows its own tests; a failure that one of them knows is known."""
    slow = Slower("t.py::test_more", 1.0, 0.0, 2.0)
    other = Comparison(COMMITS[:1], "main", (NEW,), ("t.py::test_c",), (slow,), enough=False, needed=5, note="x")
    [merged] = merge([Results((suite(),)), Results((suite(other),)), Results((suite(None),))]).suites
    assert merged.comparison == Comparison(
        COMMITS,
        "main",
        (OLD, NEW),
        ("t.py::test_c",),
        (*COMPARED.slower, slow),
        (),
        enough=True,
        needed=5,
        note="x",
    )
