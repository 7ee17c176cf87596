"""Dialects: how the producers of JUnit files differ, as one table. The first that fits is the file's.

Each was read from files that the producer itself wrote, where it could be run (``fixtures/junit``), else from its
documentation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Attributes = Mapping[str, str]


@dataclass(frozen=True)
class Dialect:
    """What sets a producer apart.

    Attributes:
        name: the producer; empty for any.
        recognise: whether a file's first element and a suite in it are this producer's, by their attributes.
        python: class names are dotted Python modules, and tests have pytest's names.
        first_line: the number of a file's first line.
        repeats: several elements of one name are attempts at one test; else they are tests of their own.
        hostname_is_project: the suite's host name tells the same tests in several set-ups apart.
        keeps_properties: its properties tell of tests, and not of the machine.
        escape: how it writes characters that XML forbids, their number as a group.
        base: of that number.
    """

    name: str
    recognise: Callable[[Attributes, Attributes], bool]
    python: bool = False
    first_line: int = 1
    repeats: bool = False
    hostname_is_project: bool = False
    keeps_properties: bool = True
    escape: re.Pattern[str] | None = None
    base: int = 10

    def restore(self, text: str) -> str:
        """A text with the characters that the producer had to escape."""
        if self.escape is None:
            return text
        return self.escape.sub(lambda found: chr(int(found[1], self.base)), text)


def _root_named(*names: str) -> Callable[[Attributes, Attributes], bool]:
    return lambda root, _suite: root.get("name") in names


def _suite_with(names: str) -> Callable[[Attributes, Attributes], bool]:
    """Whether a suite has these attributes in this order: programs do not change it, and few share it."""
    order = tuple(names.split())
    return lambda _root, suite: tuple(suite) == order


def _is_pytest(root: Attributes, suite: Attributes) -> bool:
    in_order = _suite_with("name errors failures skipped tests time timestamp hostname")
    return root.get("name") == "pytest tests" or suite.get("name") == "pytest" or in_order(root, suite)


def _is_surefire(_root: Attributes, suite: Attributes) -> bool:
    return "surefire" in suite.get("xsi:noNamespaceSchemaLocation", "")


GENERIC = Dialect("", lambda _root, _suite: True)
DIALECTS = (
    # Our own junit.xml.
    Dialect("realdb-ci", _root_named("realdb-ci"), python=True),
    # _pytest/junitxml.py: lines are counted from 0 (xunit1), a control character becomes #x1B.
    Dialect(
        "pytest",
        _is_pytest,
        python=True,
        first_line=0,
        repeats=True,
        escape=re.compile(r"#x(0[0-8BCEF]|1[0-9A-F])(?![0-9A-F])"),
        base=16,
    ),
    Dialect(
        "surefire", _is_surefire, keeps_properties=False, escape=re.compile(r"&(?:amp)?#([0-9]|[12]\d|3[01]);")
    ),
    # With its test-retry plugin it writes each attempt as a test.
    Dialect("gradle", _suite_with("name tests skipped failures errors timestamp hostname time"), repeats=True),
    Dialect("googletest", _root_named("AllTests")),
    Dialect(
        "playwright",
        _suite_with("name timestamp hostname tests failures skipped time errors"),
        hostname_is_project=True,
    ),
    Dialect("nextest", _root_named("nextest-run")),
    Dialect("vitest", _root_named("vitest tests")),
    Dialect("jest", _root_named("jest tests")),
    Dialect("mocha", _root_named("Mocha Tests")),
)


def recognise(root: Attributes, suite: Attributes) -> Dialect:
    """The dialect of a suite.

    Args:
        root: attributes of the file's first element.
        suite: the suite's own; empty where only the first element is known yet.
    """
    return next((dialect for dialect in DIALECTS if dialect.recognise(root, suite)), GENERIC)
