"""Records: what the elements of a JUnit file hold, before anybody says what it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from realdb_ci.foreign.dialects import GENERIC, Dialect
from realdb_ci.foreign.numbers import whole
from realdb_ci.foreign.texts import Text

FILES = frozenset({"file", "filename", "filepath", "file_path", "path"})


@dataclass(slots=True)
class Mark:
    """An element that says how a test, or an attempt at it, ended.

    Attributes:
        kind: failure, error or skipped.
        retried: it tells of an attempt that did not count.
        time: seconds, where the element tells them.
        sections: captured output, as (name, text).
    """

    kind: str
    message: str = ""
    type: str = ""
    retried: bool = False
    time: float = 0.0
    text: Text = field(default_factory=lambda: Text(0))
    sections: list[tuple[str, Text]] = field(default_factory=list)


@dataclass(slots=True)
class Record:
    """What the element of a test, or of a suite beside its tests, holds; most hold nothing."""

    marks: list[Mark] = field(default_factory=list)
    sections: list[tuple[str, Text]] = field(default_factory=list)
    properties: list[tuple[str, str | Text]] = field(default_factory=list)

    @property
    def says_nothing(self) -> bool:
        """Whether it tells no more than that the test passed, and what it printed."""
        return not self.marks and not self.properties and not any(text.marked for _, text in self.sections)

    @property
    def kept(self) -> int:
        """How many characters of text it keeps."""
        texts = [mark.text for mark in self.marks]
        texts += [text for _, text in self.sections + [one for mark in self.marks for one in mark.sections]]
        return sum(text.kept for text in texts)


@dataclass(slots=True)
class Frame:
    """A suite that is open.

    Attributes:
        attributes: its own.
        path: the names of the suites around it and its own, outermost first, the nearest ten.
        dialect: what its producer writes.
        file: the file that it, or a suite around it, names.
        depth: 1 for a suite within no other one, 0 for the element around all suites.
        bad: how many of its tests, and of those in suites within it, have shown a failure or an error.
    """

    attributes: Mapping[str, str]
    path: tuple[str, ...] = ()
    dialect: Dialect = GENERIC
    file: str = ""
    depth: int = 0
    bad: int = 0
    record: Record = field(default_factory=Record)

    @property
    def name(self) -> str:
        """The innermost suite's name."""
        return self.path[-1] if self.path else ""

    @property
    def missing(self) -> int:
        """How many failures and errors the suite counts, where none of its tests shows any."""
        counted = (whole(self.attributes.get(name)) or 0 for name in ("failures", "errors"))
        return 0 if self.bad else sum(counted)


def named_file(attributes: Mapping[str, str]) -> str:
    """The file that an element names, in any of the spellings; empty where it names none."""
    if FILES.isdisjoint(attributes):
        return ""
    return next(attributes[name] for name in attributes if name in FILES)
