"""Drafts: a suite while its events come in, one after the other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_type_hints

from realdb_ci.results.billing import unbilled
from realdb_ci.results.cases import Anchor, Case, Phase, Repeat
from realdb_ci.results.comparisons import Comparison, Slower
from realdb_ci.results.suites import CollectError, Problem, Server, Shard, Span, Suite

Plain = TypeVar("Plain", Phase, Repeat, Server, Span, Shard, Problem, CollectError, Slower, Comparison)
# A phase after which nothing more is to come of an attempt: "???" is how xdist tells of a worker that crashed.
LAST_PHASES = frozenset({"teardown", "???"})
# What the event of a phase that just passed does not have.
TELLING = frozenset({"wasxfail", "strict_xpass", "anchor", "message", "longrepr", "sections", "subtest"})
# What a value of an unexpected kind makes of the code that takes it.
UNEXPECTED = (TypeError, ValueError, KeyError, AttributeError, OverflowError)


@dataclass(slots=True)
class CaseDraft:
    """A test as it is being told; ``started`` and ``ended`` are the latest attempt that did."""

    nodeid: str
    place: Anchor
    phases: list[Phase] = field(default_factory=list)
    started: int = 0
    ended: int = 0

    def case(self) -> Case:
        """The test as far as it was told."""
        place = self.place
        return Case(self.nodeid, place.path, place.line, tuple(self.phases), self.ended >= self.started)


class SuiteDraft:
    """A suite as it is being told."""

    def __init__(self, project: str) -> None:
        self._known: dict[str, Any] = {"project": project}
        lists = ("servers", "spans", "problems", "collect_errors", "shards")
        self._lists: dict[str, list[Any]] = {name: [] for name in lists}
        self._places: dict[str, Anchor] = {}
        self._cases: dict[str, CaseDraft] = {}
        self._first = self._latest = 0.0
        self._takers = {
            name.removeprefix("_take_"): getattr(self, name) for name in dir(self) if name.startswith("_take_")
        }
        self.opened = self.ended = False

    @property
    def is_preface(self) -> bool:
        """Whether it tells only of what was made ready for the suite that comes next."""
        return not (self.opened or self.ended or self._known["project"] or self._lists["problems"])

    def take(self, kind: str, event: Mapping[str, Any]) -> None:
        """Take the next event; one of a later version's kinds, or with wrong values, is passed over."""
        take = self._takers.get(kind)
        if take is None:
            return
        try:
            take(event)
            at = float(event.get("at", 0.0))
        except UNEXPECTED:
            return
        self._first = self._first or at
        self._latest = max(self._latest, at)

    def suite(self) -> Suite:
        """The suite as far as it was told."""
        known: dict[str, Any] = {name: tuple(items) for name, items in self._lists.items()}
        known |= {"start": self._first, "duration": self._latest - self._first}
        unbilled(self._cases.values(), self._lists["spans"])
        return Suite(**(known | self._known), cases=tuple(draft.case() for draft in self._cases.values()))

    def _take_run(self, event: Mapping[str, Any]) -> None:
        self.opened = True
        # What was made ready before is no part of the suite's own time.
        self._first = 0.0
        texts = {name: str(event.get(name, "")) for name in ("project", "python", "pytest", "plugin")}
        args = tuple(str(one) for one in event.get("args", ()))
        self._known |= {**texts, "args": args, "workers": int(event.get("workers") or 0)}

    def _take_collected(self, event: Mapping[str, Any]) -> None:
        self._places = {case["nodeid"]: _anchor(case) or Anchor("", None) for case in event["cases"]}
        self._known["collected"] = tuple(self._places)

    def _take_start(self, event: Mapping[str, Any]) -> None:
        draft = self._of(event["nodeid"], None)
        draft.started = max(draft.started, int(event.get("attempt") or 1))

    def _take_phase(self, event: Mapping[str, Any]) -> None:
        draft = self._cases.get(event["nodeid"])
        phase = None if draft is None else _passed(event, draft)
        if draft is None or phase is None:
            phase = _plain(Phase, {**event, "place": event})
            draft = self._of(phase.nodeid, phase.place)
        draft.phases.append(phase)
        if phase.subtest is None and phase.when in LAST_PHASES:
            draft.ended = max(draft.ended, phase.attempt)
        if phase.outcome == "rerun":
            # Another attempt is owed: a process that died before it has not passed the test.
            draft.started = max(draft.started, phase.attempt + 1)

    def _take_collect_error(self, event: Mapping[str, Any]) -> None:
        self._lists["collect_errors"].append(_plain(CollectError, event))

    def _take_server(self, event: Mapping[str, Any]) -> None:
        self._lists["servers"].append(_plain(Server, event))

    def _take_span(self, event: Mapping[str, Any]) -> None:
        self._lists["spans"].append(_plain(Span, event))

    def _take_shard(self, event: Mapping[str, Any]) -> None:
        self._lists["shards"].append(_plain(Shard, event))

    def _take_problem(self, event: Mapping[str, Any]) -> None:
        self._lists["problems"].append(_plain(Problem, event))

    def _take_comparison(self, event: Mapping[str, Any]) -> None:
        self._known["comparison"] = _plain(Comparison, event)

    def _take_end(self, event: Mapping[str, Any]) -> None:
        self._known |= {"exitstatus": int(event["exitstatus"]), "duration": float(event.get("duration") or 0.0)}
        self.ended = True

    def _take_died(self, event: Mapping[str, Any]) -> None:
        self._known["returncode"] = int(event["returncode"])
        self.ended = True

    def _take_interrupted(self, _event: Mapping[str, Any]) -> None:
        self._known["interrupted"] = True

    def _of(self, nodeid: str, place: Anchor | None) -> CaseDraft:
        draft = self._cases.get(nodeid)
        if draft is None:
            place = self._places.get(nodeid) or place or Anchor(nodeid.partition("::")[0], None)
            draft = self._cases[nodeid] = CaseDraft(nodeid, place)
        elif draft.place.line is None and place is not None:
            draft.place = place
        return draft


def _passed(event: Mapping[str, Any], draft: CaseDraft) -> Phase | None:
    """The phase that most are, in a fraction of the time that ``_plain`` takes; None for any other."""
    place, get = draft.place, event.get
    if event["outcome"] != "passed" or not TELLING.isdisjoint(event):
        return None
    if place.line != get("line") or place.path != get("path"):
        return None
    worker = get("worker")
    return Phase(
        draft.nodeid,
        sys.intern(event["when"]),
        "passed",
        int(get("attempt") or 1),
        None,
        False,
        float(get("duration") or 0.0),
        float(get("start") or 0.0),
        float(get("stop") or 0.0),
        None if worker is None else sys.intern(worker),
        None,
        "",
        "",
        (),
        None,
        place,
        int(get("queries") or 0),
        float(get("query_seconds") or 0.0),
        _repeats(get("repeats") or ()),
    )


def _anchor(plain: Mapping[str, Any] | None) -> Anchor | None:
    if not plain or not plain.get("path"):
        return None
    line = plain.get("line")
    return Anchor(str(plain["path"]), None if line is None else int(line))


def _repeats(plain: Iterable[Mapping[str, Any]]) -> tuple[Repeat, ...]:
    return tuple(_plain(Repeat, one) for one in plain)


def _slower(plain: Iterable[Mapping[str, Any]]) -> tuple[Slower, ...]:
    return tuple(_plain(Slower, one) for one in plain)


def _texts(plain: Iterable[Any]) -> tuple[str, ...]:
    return tuple(map(str, plain))


# How a value is read, by the type of the field it goes to.
CASTS: Mapping[Any, Callable[[Any], Any]] = {
    str: str,
    str | None: str,
    int: int,
    int | None: int,
    float: float,
    float | None: float,
    bool: bool,
    Anchor | None: _anchor,
    Mapping[str, str]: dict,
    tuple[Repeat, ...]: _repeats,
    tuple[Slower, ...]: _slower,
    tuple[str, ...]: _texts,
    tuple[tuple[str, str], ...]: lambda pairs: tuple((str(name), str(text)) for name, text in pairs),
}
KINDS: tuple[type[Any], ...] = (Phase, Repeat, Server, Span, Shard, Problem, CollectError, Slower, Comparison)
CASTS_OF: Mapping[type[Any], tuple[tuple[str, Callable[[Any], Any]], ...]] = {
    kind: tuple((name, CASTS[told]) for name, told in get_type_hints(kind).items()) for kind in KINDS
}


def _plain(kind: type[Plain], event: Mapping[str, Any]) -> Plain:
    """The event as a value of that class; what a later version added is left out, null is the default."""
    return kind(**{name: cast(event[name]) for name, cast in CASTS_OF[kind] if event.get(name) is not None})
