"""JUnit files that tests write themselves."""

from __future__ import annotations

from pathlib import Path

from realdb_ci import foreign
from realdb_ci.results import Case, Suite


def read(path: Path, content: str | bytes, root: Path | None = None) -> Suite:
    """Write a JUnit file below a folder and read it; text is written as UTF-8."""
    file = path / "junit.xml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return foreign.read(file, project="desk", root=root or path)


def suite(*cases: str, **attributes: str) -> str:
    """A suite with these elements in it."""
    told = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f"<testsuite{told}>{''.join(cases)}</testsuite>"


def only(told: Suite) -> Case:
    """The one test of a suite that has one, and no problem."""
    assert told.problems == ()
    [case] = told.cases
    return case
