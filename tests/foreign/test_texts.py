"""Texts: whatever comes, what is kept is bounded, and is the beginning and the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from files import only, read, suite
from hypothesis import given
from hypothesis import strategies as st

from realdb_ci.foreign import texts
from realdb_ci.foreign.texts import LIMIT, PLENTY, SHORT_LIMIT, Budget, Text


@given(st.lists(st.text(max_size=30)), st.integers(2, 60))
def test_any_pieces_are_kept_within_the_limit(pieces: list[str], limit: int) -> None:
    """A short text as it is; of a long one the beginning, the end, and how much is missing."""
    text, whole = Text(limit), "".join(pieces)
    for piece in pieces:
        text.take(piece)
    half = limit // 2
    if len(whole) <= 2 * half:
        assert text.whole() == whole.strip()
    else:
        note = f"\n[... {len(whole) - 2 * half} characters left out ...]\n"
        assert text.whole() == whole[:half].lstrip() + note + whole[-half:].rstrip()
    assert text.kept == min(len(whole), 2 * half)


def test_no_more_is_held_than_is_kept() -> None:
    """However much has come by."""
    text = Text(100)
    for _ in range(10_000):
        text.take("some words")
        assert sum(map(len, (*text._head, *text._tail))) <= 50 + 4 * 50 + 10


def test_huge_output_is_cut_while_it_is_read(tmp_path: Path) -> None:
    """A test that printed megabytes costs what a person reads of them."""
    printed = "first line\n" + "x" * 3_000_000 + "\nlast line"
    element = f'<testcase name="t"><failure message="m"/><system-out><![CDATA[{printed}]]></system-out></testcase>'
    [(_, kept)] = only(read(tmp_path, suite(element))).failures[0].sections
    assert kept.startswith("first line\n")
    assert kept.endswith("\nlast line")
    assert len(kept) < LIMIT + 100


def test_huge_message_is_cut(tmp_path: Path) -> None:
    """One line to read, and the beginning of the rest."""
    element = f'<testcase name="t"><failure message="{"m " * 500_000}"/></testcase>'
    failure = only(read(tmp_path, suite(element))).failures[0]
    assert (len(failure.message), len(failure.longrepr)) == (1_000, LIMIT)


def test_output_and_properties_of_many_suites_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with a suite for each class, and all settings and the whole log in each."""
    monkeypatch.setattr(texts, "PLENTY", 10_000)
    properties = '<property name="a" value="b"/>' * 150
    one = suite(properties, f"<system-out>{'x' * 9_000}</system-out>", name="s")
    told = read(tmp_path, f"<testsuites>{one * 20}</testsuites>")
    assert len(told.properties) == 1_000
    assert [len(text) > SHORT_LIMIT + 100 for _, text in told.sections] == [True, True, *[False] * 18]


def test_texts_get_shorter_where_there_are_too_many() -> None:
    """A file in which everything fails with pages of text still fits into memory."""
    budget = Budget()
    budget.spend(PLENTY)
    text = budget.text()
    text.take("x" * LIMIT)
    assert text.kept == SHORT_LIMIT
