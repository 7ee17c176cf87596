"""The document: the elements of a JUnit file, gathered into one record a test, as they come."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

from realdb_ci.foreign.dialects import GENERIC, recognise
from realdb_ci.foreign.numbers import seconds
from realdb_ci.foreign.records import Frame, Mark, Record, named_file
from realdb_ci.foreign.stream import ROOT
from realdb_ci.foreign.texts import LIMIT, Budget, Text

# What a JUnit file can begin with; the last two are written by Eclipse and by hand.
ROOTS = frozenset({"testsuites", "testsuite", "testrun", "testcase"})
# Other formats that people take for JUnit, and what tells of them.
OTHERS = {
    "test-run": "NUnit 3",
    "test-results": "NUnit 2",
    "assemblies": "xUnit.net",
    "assembly": "xUnit.net",
    "TestRun": "Visual Studio (TRX)",
    "coverage": "a coverage report",
    "checkstyle": "Checkstyle",
    "robot": "Robot Framework (its --xunit file is JUnit)",
}
# What a test's outcome is told by: its kind, and whether it was one of an attempt that did not count.
FINAL = frozenset({"failure", "error", "skipped"})
RETRIED = {
    "flakyFailure": "failure",
    "flakyError": "error",
    "rerunFailure": "failure",
    "rerunError": "error",
    "rerun": "failure",
}
OUTPUTS = frozenset({"system-out", "system-err"})
SUITES = frozenset({"testsuites", "testsuite", "testrun"})
# Names of suites around a test that are kept, the nearest ones: however deep they nest, memory stays flat.
MOST_NAMES = 10
# unittest-xml-reporting puts the time of day behind a suite's name.
_STAMP = re.compile(r"-\d{14}$")
# Of one test or suite. A producer that writes all its settings helps nobody by that.
MOST_PROPERTIES = 100
# Failures of one test that are kept; GoogleTest writes one for each expectation.
MOST_MARKS = 100


class NotJUnit(Exception):
    """The file is XML of another kind.

    Args:
        root: the name of its first element.
    """

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.root = root

    @property
    def format(self) -> str:
        """What the file is, as far as its first element tells."""
        return OTHERS.get(self.root, f"XML that begins with <{self.root[:60]}>")


class Teller(Protocol):
    """Who is told what the document holds."""

    def case(self, attributes: Mapping[str, str], frame: Frame, record: Record | None) -> None:
        """A test; no record where its element is empty."""

    def suite(self, frame: Frame) -> None:
        """A suite has ended."""


Told = TypeVar("Told", bound=Teller)


class Document(Generic[Told]):
    """A JUnit file while it is being read.

    Args:
        restore: what every string goes through; see ``mending.restore``.
        teller: who is told of the tests and suites in it.
    """

    def __init__(self, restore: Callable[[str], str], teller: Told) -> None:
        self._restore = None if restore is str else restore
        self.teller = teller
        self._budget = Budget()
        self._root: Mapping[str, str] | None = None
        self._frames = [Frame({})]
        self._case: Mapping[str, str] = {}
        self._record: Record | None = None
        self._mark: Mark | None = None
        self._inside = False
        self._sink: Text | None = None
        self._outer: list[Text | None] = []
        self._openers = {
            **dict.fromkeys(SUITES, self._open_suite),
            **dict.fromkeys((*FINAL, *RETRIED), self._open_mark),
            **dict.fromkeys(OUTPUTS, self._open_output),
            "property": self._open_property,
        }

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins.

        Raises:
            NotJUnit: it is the first one, and no JUnit file begins with it.
        """
        if self._restore is not None:
            attributes = {name: self._restore(value) for name, value in attributes.items()}
        if self._root is None and tag != ROOT:
            if tag not in ROOTS:
                raise NotJUnit(tag)
            self._root = attributes
        if tag == "testcase":
            self._case, self._record, self._inside = attributes, None, True
        elif tag in self._openers:
            self._openers[tag](tag, attributes)

    def end(self, tag: str) -> None:
        """An element ends."""
        if tag == "testcase":
            self._close_case()
        elif tag in SUITES:
            self._close_suite()
        elif tag in self._openers:
            self._close_text(tag)

    def text(self, text: str) -> None:
        """A piece of text; only that of outcomes, outputs and properties is of use."""
        if self._sink is not None:
            self._sink.take(text if self._restore is None else self._restore(text))

    def _open_suite(self, tag: str, attributes: Mapping[str, str]) -> None:
        around = self._frames[-1]
        if tag != "testsuite":
            self._root = attributes
            self._frames.append(Frame(attributes, dialect=recognise(attributes, {})))
            return
        dialect = around.dialect
        if dialect is GENERIC:
            dialect = recognise(self._root or {}, attributes)
        name = _STAMP.sub("", attributes.get("name", ""))
        if name == "Root Suite":
            # Cypress names the file here, and not in the suites that follow.
            around.file = named_file(attributes) or around.file
        path = (*around.path[-MOST_NAMES:], name) if name else around.path
        self._frames.append(
            Frame(attributes, path, dialect, named_file(attributes) or around.file, around.depth + 1)
        )

    def _close_suite(self) -> None:
        frame = self._frames.pop()
        self._budget.spend(frame.record.kept)
        self.teller.suite(frame)
        # What a suite counts and does not show is told once, not again by those around it.
        self._frames[-1].bad += frame.bad or frame.missing

    def _close_case(self) -> None:
        frame, record = self._frames[-1], self._record
        if record is not None and any(mark.kind != "skipped" for mark in record.marks):
            frame.bad += 1
            self._budget.spend(record.kept)
        self.teller.case(self._case, frame, record)
        self._inside = False

    def _open_mark(self, tag: str, attributes: Mapping[str, str]) -> None:
        kind, retried = RETRIED.get(tag, tag), tag in RETRIED
        message, time = attributes.get("message", "")[:LIMIT], seconds(attributes.get("time"))
        self._mark = Mark(kind, message, attributes.get("type", ""), retried, time, self._budget.text())
        marks = self._holder().marks
        if len(marks) < MOST_MARKS:
            marks.append(self._mark)
        self._open_text(self._mark.text)

    def _open_output(self, tag: str, _attributes: Mapping[str, str]) -> None:
        text = self._budget.text()
        (self._mark or self._holder()).sections.append((tag, text))
        self._open_text(text)

    def _open_property(self, _tag: str, attributes: Mapping[str, str]) -> None:
        properties, text = self._holder().properties, self._budget.text()
        if len(properties) < MOST_PROPERTIES:
            properties.append((attributes.get("name", ""), attributes.get("value", text)))
        self._open_text(text)

    def _open_text(self, text: Text) -> None:
        self._outer.append(self._sink)
        self._sink = text

    def _close_text(self, tag: str) -> None:
        self._sink = self._outer.pop()
        if tag not in OUTPUTS and tag != "property":
            self._mark = None

    def _holder(self) -> Record:
        """The record of the test that is open, else of the suite."""
        if not self._inside:
            return self._frames[-1].record
        if self._record is None:
            self._record = Record()
        return self._record
