"""Reading: an events file as Results, also one that stops in the middle or knows more than we do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from realdb_ci.results.cases import Anchor, Case, Phase
from realdb_ci.results.suites import CollectError, Problem, Results, Server, Span, Suite

Plain = TypeVar("Plain", Phase, Server, Span, Problem, CollectError)
# How every event begins; nothing inside an event looks like it, as quotes in texts are escaped.
HEAD = '{"event"'
# A phase after which nothing more is to come of an attempt: "???" is how xdist tells of a worker that crashed.
LAST_PHASES = ("teardown", "???")


def read(path: Path) -> Results:
    """Read an events file.

    Args:
        path: what ``Recorder`` wrote; a missing file is a run that recorded nothing.

    Raises:
        OSError: the file is there and cannot be read.
    """
    drafts: list[_Draft] = []
    for event in _events(path):
        kind = event["event"]
        # What comes before the first suite, or tells of one that never opened, still belongs to a project.
        if kind == "run" or not drafts or (kind == "died" and drafts[-1].ended):
            drafts.append(_Draft(str(event.get("project") or "")))
        drafts[-1].take(kind, event)
    return Results(tuple(draft.suite() for draft in drafts))


def _events(path: Path) -> Iterator[dict[str, Any]]:
    try:
        file = path.open(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            # The last line of a process that was killed may be torn, and the next one's first line glued to it.
            for text in (line, line[max(line.rfind(HEAD), 0) :]):
                try:
                    event = json.loads(text)
                except ValueError:
                    continue
                if isinstance(event, dict) and isinstance(event.get("event"), str):
                    yield event
                break


@dataclass
class _CaseDraft:
    """A test as it is being told; ``started`` and ``ended`` are the latest attempt that did."""

    place: Anchor
    phases: list[Phase] = field(default_factory=list)
    started: int = 0
    ended: int = 0


class _Draft:
    """A suite as it is being told."""

    def __init__(self, project: str) -> None:
        self._known: dict[str, Any] = {"project": project}
        self._lists: dict[str, list[Any]] = {"servers": [], "spans": [], "problems": [], "collect_errors": []}
        self._places: dict[str, Anchor] = {}
        self._cases: dict[str, _CaseDraft] = {}
        self._first = self._latest = 0.0
        self.ended = False

    def take(self, kind: str, event: Mapping[str, Any]) -> None:
        """Take the next event; one of a later version's kinds, or with wrong values, is passed over."""
        take = getattr(self, f"_take_{kind}", None)
        if take is None:
            return
        try:
            take(event)
            at = float(event.get("at", 0.0))
        except (TypeError, ValueError, KeyError, AttributeError):
            return
        self._first = self._first or at
        self._latest = max(self._latest, at)

    def suite(self) -> Suite:
        """The suite as far as it was told."""
        known: dict[str, Any] = {name: tuple(items) for name, items in self._lists.items()}
        known |= {"start": self._first, "duration": self._latest - self._first}
        return Suite(**(known | self._known), cases=tuple(_case(*one) for one in self._cases.items()))

    def _take_run(self, event: Mapping[str, Any]) -> None:
        texts = {name: str(event.get(name, "")) for name in ("project", "python", "pytest", "plugin")}
        args = tuple(str(one) for one in event.get("args", ()))
        self._known |= {**texts, "args": args, "workers": int(event.get("workers") or 0)}

    def _take_collected(self, event: Mapping[str, Any]) -> None:
        self._places = {case["nodeid"]: _anchor(case) or Anchor("", None) for case in event["cases"]}
        self._known["collected"] = tuple(self._places)

    def _take_start(self, event: Mapping[str, Any]) -> None:
        case = self._of(event["nodeid"], None)
        case.started = max(case.started, int(event.get("attempt") or 1))

    def _take_phase(self, event: Mapping[str, Any]) -> None:
        phase = _plain(Phase, {**event, "place": event})
        case = self._of(phase.nodeid, phase.place)
        case.phases.append(phase)
        if phase.subtest is None and phase.when in LAST_PHASES:
            case.ended = max(case.ended, phase.attempt)
        if phase.outcome == "rerun":
            # Another attempt is owed: a process that died before it has not passed the test.
            case.started = max(case.started, phase.attempt + 1)

    def _take_collect_error(self, event: Mapping[str, Any]) -> None:
        self._lists["collect_errors"].append(_plain(CollectError, event))

    def _take_server(self, event: Mapping[str, Any]) -> None:
        self._lists["servers"].append(_plain(Server, event))

    def _take_span(self, event: Mapping[str, Any]) -> None:
        self._lists["spans"].append(_plain(Span, event))

    def _take_problem(self, event: Mapping[str, Any]) -> None:
        self._lists["problems"].append(_plain(Problem, event))

    def _take_end(self, event: Mapping[str, Any]) -> None:
        self._known |= {"exitstatus": int(event["exitstatus"]), "duration": float(event.get("duration") or 0.0)}
        self.ended = True

    def _take_died(self, event: Mapping[str, Any]) -> None:
        self._known["returncode"] = int(event["returncode"])
        self.ended = True

    def _take_interrupted(self, _event: Mapping[str, Any]) -> None:
        self._known["interrupted"] = True

    def _of(self, nodeid: str, place: Anchor | None) -> _CaseDraft:
        case = self._cases.get(nodeid)
        if case is None:
            place = self._places.get(nodeid) or place or Anchor(nodeid.partition("::")[0], None)
            case = self._cases[nodeid] = _CaseDraft(place)
        if case.place.line is None and place is not None:
            case.place = place
        return case


def _case(nodeid: str, told: _CaseDraft) -> Case:
    finished = told.ended >= told.started
    return Case(nodeid, told.place.path, told.place.line, tuple(told.phases), finished)


def _anchor(plain: Mapping[str, Any] | None) -> Anchor | None:
    if not plain or not plain.get("path"):
        return None
    line = plain.get("line")
    return Anchor(str(plain["path"]), None if line is None else int(line))


# How a value is read, by the annotation of the field it goes to.
CASTS: Mapping[str, Callable[[Any], Any]] = {
    "str": str,
    "str | None": str,
    "int": int,
    "int | None": int,
    "float": float,
    "bool": bool,
    "Anchor | None": _anchor,
    "Mapping[str, str]": dict,
    "tuple[tuple[str, str], ...]": lambda pairs: tuple((str(name), str(text)) for name, text in pairs),
}

CASTS_OF: Mapping[type[Any], tuple[tuple[str, Callable[[Any], Any]], ...]] = {
    kind: tuple((one.name, CASTS[str(one.type)]) for one in fields(kind))
    for kind in (Phase, Server, Span, Problem, CollectError)
}


def _plain(kind: type[Plain], event: Mapping[str, Any]) -> Plain:
    """The event as a value of that class; what a later version added is left out, null is the default."""
    return kind(**{name: cast(event[name]) for name, cast in CASTS_OF[kind] if event.get(name) is not None})
