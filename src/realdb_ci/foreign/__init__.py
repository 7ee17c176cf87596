"""Foreign files: what other test runners wrote as JUnit XML, read as a suite of ours.

A room of one direction: ``stream`` tells a file's elements (``mending`` makes XML of what nearly is), ``document``
gathers them into one record a test, ``cases`` makes those into what reports are made from; ``dialects`` is the
table of what sets the producers apart. It streams: a file takes the memory of its tests, not of its text.
"""

from __future__ import annotations

from pathlib import Path

from realdb_ci.foreign.cases import Cases
from realdb_ci.foreign.document import Document, NotJUnit
from realdb_ci.foreign.numbers import moment, seconds
from realdb_ci.foreign.places import Places
from realdb_ci.foreign.stream import tell
from realdb_ci.results import Problem, Suite, collector_paused

__all__ = ["NotJUnit", "read"]


def read(path: Path, *, project: str, root: Path) -> Suite:
    """Read a JUnit file.

    Args:
        path: the file.
        project: the suite's name in reports.
        root: the root of the repository, where the files that it names are looked for.

    Returns:
        The tests that could be read; one that breaks off, or holds nothing, has a problem that says so.

    Raises:
        NotJUnit: it is XML of another kind.
        OSError: it cannot be read.
    """
    with collector_paused():
        document, broken = tell(path, lambda restore: Document(restore, Cases(Places(root, path.parent))))
        cases = document.teller
        found = cases.all
    frames = cases.frames
    problems = (_problem(path, broken, len(found)),) if broken or not frames else ()
    return Suite(
        project,
        start=min((start for frame in frames if (start := moment(frame.attributes.get("timestamp")))), default=0.0),
        duration=_duration(cases),
        cases=found,
        collect_errors=tuple(cases.collect_errors.values()),
        problems=problems,
        exitstatus=0,
        producer=next((frame.dialect.name for frame in frames if frame.dialect.name), "JUnit"),
        sources=(str(path),),
        properties=tuple(cases.properties),
        sections=tuple(cases.sections),
    )


def _problem(path: Path, broken: str, read_so_far: int) -> Problem:
    if not broken:
        return Problem(f"{path} holds no test suite", why="it has no element that JUnit files have", exit_code=1)
    kept = (
        f"The {read_so_far} tests before that are in this report."
        if read_so_far
        else "Nothing of it could be read."
    )
    return Problem(
        f"{path} could not be read to its end",
        why=broken,
        remedy=f"{kept} See whether the process that wrote it was stopped, or the disk was full.",
        exit_code=1,
    )


def _duration(cases: Cases) -> float:
    """Seconds as the file tells them: of its root, else of its suites, else of its tests."""
    told = [seconds(frame.attributes.get("time")) for frame in cases.frames]
    roots = [time for frame, time in zip(cases.frames, told, strict=True) if not frame.depth]
    return sum(roots) or sum(told) or sum(case.duration for case in cases.all)
