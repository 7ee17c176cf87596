"""Cases: the records of a JUnit file as the tests, phases and errors that reports are made from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice

from realdb_ci.foreign.dialects import Dialect
from realdb_ci.foreign.messages import message
from realdb_ci.foreign.names import Names
from realdb_ci.foreign.numbers import seconds, whole
from realdb_ci.foreign.phases import passed, phases, plain, sections
from realdb_ci.foreign.places import Places
from realdb_ci.foreign.records import Frame, Mark, Record
from realdb_ci.results import BAD, Case, CollectError, again

LINES = frozenset({"line", "lineno", "lineNo", "line_number", "lineNumber"})
STATES = frozenset({"status", "result"})
# How one of them says that a test was not run, or that it failed.
NOT_RUN = frozenset({"notrun", "not_run", "disabled", "skipped", "ignored", "suppressed", "pending", "inactive"})
NOT_GREEN = frozenset({"fail", "failed", "failure", "error", "errored", "broken"})
# What Jest gives a module that it could not load for a class.
NOT_LOADED = "Test suite failed to run"
MOST_ATTACHMENTS = 50
# Of one file.
MOST_PROPERTIES = 1_000
# The message of an attempt that failed and left nothing but its element.
NOT_TOLD = "the file does not say what failed"
_ATTACHMENT = re.compile(r"\[\[ATTACHMENT\|([^\]\n]{1,1000})\]\]")


class Cases:
    """The tests of one file; the ``Teller`` of its document.

    Attributes:
        collect_errors: what stopped tests from being run.
        properties: of suites, as (name, value).
        sections: output of suites, as (name, text).
        frames: the outermost suites, and the element around them.
    """

    def __init__(self, places: Places) -> None:
        self.collect_errors: dict[str, CollectError] = {}
        self.properties: list[tuple[str, str]] = []
        self.sections: list[tuple[str, str]] = []
        self.frames: list[Frame] = []
        self._places = places
        self._names = Names(places)
        # Of suites that have ended, and of the one that is open: only within one can two elements be one test.
        self._ended: list[dict[str, Case]] = []
        self._open: dict[str, Case] = {}
        # The names in the first so many suites that have ended.
        self._taken: set[str] = set()
        self._counted = 0
        self._repeated: dict[str, int] = {}

    @property
    def all(self) -> tuple[Case, ...]:
        """The tests, in the order of the file."""
        return tuple(chain.from_iterable(suite.values() for suite in (*self._ended, self._open)))

    def case(self, attributes: Mapping[str, str], frame: Frame, record: Record | None) -> None:
        """Take a test."""
        nodeid, path = self._names.of(attributes, frame)
        duration = seconds(attributes.get("time") or attributes.get("duration"))
        case = Case(nodeid, path, _line(attributes, frame), (passed(nodeid, duration),))
        if record is None and not STATES.isdisjoint(attributes):
            record = _stated(attributes)
        if record is None or record.says_nothing:
            self._take(case, frame.dialect)
        elif _is_module(attributes, frame, record):
            self._take_module(nodeid, path, frame, record.marks[0])
        else:
            self._take(self._told(case, duration, frame.dialect, record), frame.dialect)

    def suite(self, frame: Frame) -> None:
        """Take what a suite holds beside its tests, and close it."""
        if self._open:
            self._ended.append(self._open)
            self._open = {}
        name = " > ".join(frame.path) or "the whole file"
        for mark in frame.record.marks[:1]:
            self._take_module(name, self._places.relative(frame.file), frame, mark)
        if not frame.record.marks and frame.missing:
            counted = f"It counts {frame.missing} failures or errors, and none of its tests shows one."
            self.collect_errors.setdefault(name, CollectError(name, frame.file, message=counted))
        if frame.dialect.keeps_properties:
            self.properties += islice(plain(frame.record.properties), MOST_PROPERTIES - len(self.properties))
        self.sections += sections(frame.record.sections, frame.dialect)
        if frame.depth <= 1:
            self.frames.append(frame)

    def _take(self, case: Case, dialect: Dialect) -> None:
        while self._counted < len(self._ended):
            self._taken.update(self._ended[self._counted])
            self._counted += 1
        known = self._open.get(case.nodeid)
        if known is None and case.nodeid not in self._taken:
            self._open[case.nodeid] = case
        elif known is not None and dialect.repeats and (dialect.python or known.outcome in BAD):
            self._open[case.nodeid] = _together(known, case) if dialect.python else again(known, case)
        else:
            self._take(self._renamed(case), dialect)

    def _renamed(self, case: Case) -> Case:
        """A test under a name that no other one has."""
        number = self._repeated[case.nodeid] = self._repeated.get(case.nodeid, 1) + 1
        nodeid = f"{case.nodeid} #{number}"
        return replace(case, nodeid=nodeid, phases=tuple(one._replace(nodeid=nodeid) for one in case.phases))

    def _take_module(self, nodeid: str, path: str, frame: Frame, mark: Mark) -> None:
        text = frame.dialect.restore(mark.text.whole())
        anchor = self._places.anchor(text, trusted=frame.dialect.python)
        where = (anchor.path, anchor.line) if anchor else (path, None)
        nodeid = nodeid.removeprefix(f"{NOT_LOADED}::")
        error = CollectError(nodeid, *where, message(mark, frame.dialect), text)
        self.collect_errors.setdefault(nodeid, error)

    def _told(self, case: Case, duration: float, dialect: Dialect, record: Record) -> Case:
        """A test whose element holds something."""
        properties = tuple(plain(record.properties))
        case = replace(
            case,
            phases=phases(case.nodeid, duration, record, dialect, self._places),
            properties=properties,
            attachments=_attachments(record, properties),
        )
        return _ours(case) if dialect.name == "realdb-ci" else case


def _is_module(attributes: Mapping[str, str], frame: Frame, record: Record) -> bool:
    """Whether this is no test, but a module that could not be collected."""
    if not record.marks or record.marks[0].kind == "skipped":
        return False
    classname = attributes.get("classname", "")
    pytests = frame.dialect.python and (not classname or record.marks[0].type == "collection error")
    return pytests or classname == NOT_LOADED


def _line(attributes: Mapping[str, str], frame: Frame) -> int | None:
    if LINES.isdisjoint(attributes):
        return None
    number = whole(next(attributes[name] for name in LINES if name in attributes))
    return None if number is None else number + 1 - frame.dialect.first_line


def _stated(attributes: Mapping[str, str]) -> Record | None:
    """What the test's own element says of its outcome, where no element in it does."""
    states = {attributes[name].lower() for name in STATES if name in attributes}
    if states & NOT_RUN:
        return Record([Mark("skipped")])
    if states & NOT_GREEN:
        return Record([Mark("failure", "It is marked as failed, and nothing says why.")])
    return None


def _attachments(record: Record, properties: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    texts = [*record.sections, *(section for mark in record.marks for section in mark.sections)]
    found = [found[1] for _, text in texts for found in _ATTACHMENT.finditer(text.whole())]
    found += [value for name, value in properties if "attachment" in name.lower() and value]
    return tuple(dict.fromkeys(found))[:MOST_ATTACHMENTS]


def _together(known: Case, case: Case) -> Case:
    """A test that pytest wrote two elements for: its teardown failed as well, or it was tried again.

    What failed in an attempt that did not count is not in the file; an element that tells a failure tells the last.
    """
    if case.failures and all(phase.when == "teardown" for phase in case.failures):
        phases = tuple(phase._replace(attempt=known.attempts) for phase in case.phases)
        return replace(known, phases=known.phases + phases)
    earlier, later = (case, known) if known.outcome in BAD and case.outcome not in BAD else (known, case)
    phases = tuple(
        one._replace(outcome="rerun", message=NOT_TOLD) if one.outcome == "passed" else one
        for one in earlier.phases
    )
    return again(replace(earlier, phases=phases), later)


def _ours(case: Case) -> Case:
    """A test of our own junit.xml, where properties tell what has no element."""
    told = dict(case.properties)
    if "xpassed" in told:
        case = replace(case, phases=tuple(phase._replace(wasxfail="") for phase in case.phases))
    for _ in range((whole(told.get("attempts")) or 1) - 1):
        case = again(
            replace(case, phases=(passed(case.nodeid, 0.0)._replace(outcome="rerun", message=NOT_TOLD),)), case
        )
    return case
