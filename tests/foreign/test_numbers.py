"""Numbers: as they are written in any locale, and what is no number."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realdb_ci.foreign.numbers import moment, seconds, whole

WRITTEN = {
    "1.5": 1.5,
    "0.": 0.0,
    "1e-05": 1e-05,
    " 2 ": 2.0,
    "1,234.5": 1234.5,
    "1,234,567.5": 1234567.5,
    "1.234,5": 1234.5,
    "1.234.567,5": 1234567.5,
    "0,5": 0.5,
    "12,34": 12.34,
    "0,123": 0.123,
    "1,234": 1234.0,
    "1 234,5": 1234.5,
    "1\u00a0234,5": 1234.5,
    "1\u202f234,5": 1234.5,
    "1'234.5": 1234.5,
    "2.5s": 2.5,
    "-1": 0.0,
    "-0,5": 0.0,
    "NaN": 0.0,
    "inf": 0.0,
    "-Infinity": 0.0,
    "1e999": 0.0,
    "": 0.0,
    "soon": 0.0,
    "1:02": 0.0,
    ",": 0.0,
}


@pytest.mark.parametrize(("text", "value"), WRITTEN.items())
def test_seconds_are_read_in_any_locale(text: str, value: float) -> None:
    """Three digits after a comma are thousands, as Surefire writes them; anything else is a fraction."""
    assert seconds(text) == pytest.approx(value)


def test_missing_seconds_are_none() -> None:
    """An attribute that is not there."""
    assert seconds(None) == 0.0


@given(st.text())
def test_seconds_of_any_text_are_a_duration(text: str) -> None:
    """Finite and not negative, so that reports can add them up."""
    assert 0.0 <= seconds(text) < math.inf


@given(st.floats(0, 1e9))
def test_seconds_of_a_float_are_that_float(value: float) -> None:
    """Nothing is lost where nothing has to be guessed."""
    assert seconds(repr(value)) == value


@pytest.mark.parametrize(("text", "value"), [("7", 7), ("7.0", 7), ("0", 0), ("-1", None), ("", None), ("x", None)])
def test_whole_numbers_are_not_negative(text: str, value: int | None) -> None:
    """Lines and counts."""
    assert whole(text) == value


MOMENTS = {
    "1970-01-01T00:00:10": 10.0,
    "1970-01-01T00:00:10.5+00:00": 10.5,
    "1970-01-01T01:00:10+01:00": 10.0,
    "Thu, 01 Jan 1970 00:00:10 GMT": 10.0,
    "0001-01-01T00:00:00": 0.0,
    "yesterday": 0.0,
    "": 0.0,
}


@pytest.mark.parametrize(("text", "value"), MOMENTS.items())
def test_moments_are_read_in_both_forms(text: str, value: float) -> None:
    """ISO 8601, and that of e-mails, which mocha writes; what cannot be is 0."""
    assert moment(text) == value


@given(st.text())
def test_moment_of_any_text_is_a_number(text: str) -> None:
    """Never an error."""
    assert 0.0 <= moment(text) < math.inf
