"""Comparisons: what a suite's tests did, held against the last runs of its base branch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain


@dataclass(frozen=True, slots=True)
class Slower:
    """A test that took longer than on the base branch; all numbers are seconds.

    Attributes:
        nodeid: the test's name; see ``Case``.
        before: the median of the base's runs.
        spread: how far one of them usually is from it.
        now: in this run.
        again: when it was timed once more in the same job, or None where it was not.
    """

    nodeid: str
    before: float
    spread: float = 0.0
    now: float = 0.0
    again: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One suite against its base branch.

    Attributes:
        commits: of the base's runs that it was compared with, newest first; two runs of one commit are two.
        branch: the base branch, or empty where nobody said.
        known: tests and modules that fail here and failed there.
        new: those that fail here and did not there.
        slower: tests that took longer, both times.
        unsure: tests that took longer and were not timed again, of which nothing can be said.
        enough: whether there were runs enough of any test to tell whether it became slower.
        needed: how many runs of a test that takes.
        note: what limits the comparison, in a sentence; else empty.
    """

    commits: tuple[str, ...] = ()
    branch: str = ""
    known: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    slower: tuple[Slower, ...] = ()
    unsure: tuple[Slower, ...] = ()
    enough: bool = False
    needed: int = 0
    note: str = ""


def joined(found: Iterable[Comparison | None]) -> Comparison | None:
    """The comparisons of the parts of one suite, such as shards, as one; None where there is none."""
    parts = [one for one in found if one is not None]
    if len(parts) <= 1:
        return parts[0] if parts else None
    known = dict.fromkeys(chain.from_iterable(one.known for one in parts))
    return Comparison(
        # Shards know the same runs, and each of them may lack some.
        max((one.commits for one in parts), key=len),
        next((one.branch for one in parts if one.branch), ""),
        tuple(known),
        tuple(dict.fromkeys(test for one in parts for test in one.new if test not in known)),
        _latest([one.slower for one in parts]),
        _latest([one.unsure for one in parts]),
        any(one.enough for one in parts),
        max(one.needed for one in parts),
        " ".join(dict.fromkeys(one.note for one in parts if one.note)),
    )


def _latest(parts: Sequence[Sequence[Slower]]) -> tuple[Slower, ...]:
    return tuple({one.nodeid: one for one in chain.from_iterable(parts)}.values())
