"""Sources: the files a report is made from, found by the names people give and read for what they are."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from realdb_ci import foreign, results
from realdb_ci.errors import SettingError
from realdb_ci.results import Problem, Results, Suite

# What is looked for in a folder.
SUFFIXES = frozenset({".jsonl", ".xml"})
# Folders of other people's files.
PASSED_OVER = frozenset({".git", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".nox", "site-packages"})
# Where a file's first words are looked for.
START = 1 << 16
# How our own junit.xml begins, which tells what the events file beside it tells better.
OURS = b'<testsuites name="realdb-ci"'
JUNIT, EVENTS = "junit.xml", "events.jsonl"


@dataclass(frozen=True)
class Source:
    """A file to read.

    Attributes:
        path: as people know it, from the folder they are in.
        named: they named it; it was not found in a folder or by a pattern.
    """

    path: Path
    named: bool


def find(words: Sequence[str], out: Path) -> tuple[Source, ...]:
    """The files that these words mean: files, folders, and patterns with ``*``, ``?``, ``[...]`` and ``**``.

    Args:
        words: as they stand on the command line.
        out: where the report goes; the one of an earlier time is not found there.

    Raises:
        SettingError: a word means no file.
    """
    found: dict[str, Source] = {}
    for word in words:
        sources = [source for source in _meant(word) if source.named or not _is_report(source.path, out)]
        if not sources:
            raise SettingError(
                f"No file {word!r}" if not glob.has_magic(word) else f"No file matches {word!r}",
                why=_why(word),
                remedy="Name events.jsonl files, JUnit XML files, folders that hold them, or patterns in quotes.",
            )
        for source in sources:
            found.setdefault(os.path.realpath(source.path), source)
    return tuple(source for source in found.values() if not _repeats_events(source.path, found))


def read(source: Source, root: Path) -> Results | None:
    """Read a file for what it is, whatever its name.

    Args:
        source: the file.
        root: the root of the repository.

    Returns:
        What it tells; a file that cannot be read tells of that. None for one that was not named and is something
        else.
    """
    try:
        return _read(source, root)
    except OSError as problem:
        return _broken(source, "cannot be read", problem.strerror or str(problem))
    except foreign.NotJUnit as problem:
        if not source.named:
            return None
        remedy = "Name JUnit XML files; most test runners can write them."
        return _broken(source, "is no JUnit file", f"it is {problem.format}", remedy)


def _meant(word: str) -> Iterator[Source]:
    path = Path(word)
    if path.is_dir():
        yield from (Source(file, named=False) for file in _inside(path))
    elif path.exists():
        yield Source(path, named=True)
    else:
        for name in sorted(glob.glob(word, recursive=True, include_hidden=True)):  # noqa: PTH207 - it may be absolute
            if Path(name).is_file() and not PASSED_OVER.intersection(Path(name).parts[:-1]):
                yield Source(Path(name), named=False)


def _inside(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in PASSED_OVER)
        yield from (Path(here, name) for name in sorted(names) if Path(name).suffix.lower() in SUFFIXES)


def _is_report(path: Path, out: Path) -> bool:
    """Whether this is the junit.xml that a report left in the output folder."""
    return path.name == JUNIT and path.parent.resolve() == out.resolve() and _is_ours(path)


def _repeats_events(path: Path, found: dict[str, Source]) -> bool:
    """Whether this is our own junit.xml, and the events that it was made from are read as well."""
    return path.name == JUNIT and os.path.realpath(path.with_name(EVENTS)) in found and _is_ours(path)


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return OURS in file.read(START)
    except OSError:
        return False


def _why(word: str) -> str:
    if Path(word).is_dir():
        return "the folder holds no .jsonl or .xml file"
    return "nothing there has such a name" if glob.has_magic(word) else "it does not exist"


def _read(source: Source, root: Path) -> Results | None:
    with source.path.open("rb") as file:
        start = file.read(START)
    if results.HEAD.encode() in start:
        told = results.read(source.path).suites
        return Results(tuple(replace(suite, sources=(str(source.path),)) for suite in told))
    text = start.lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n")
    if text.startswith(b"<"):
        return Results((foreign.read(source.path, project=_project(source.path), root=root),))
    if not source.named and (text.startswith(b"{") or source.path.suffix.lower() not in SUFFIXES):
        return None
    why = "it holds neither events nor XML" if text else "it is empty"
    return _broken(source, "cannot be read", why)


def _project(path: Path) -> str:
    """A name for the suite of a JUnit file: its path; the folder's where each class has a file of its own."""
    if not path.name.startswith("TEST-"):
        return path.as_posix()
    return path.parent.as_posix() if path.parent.parts else path.parent.resolve().name


def _broken(source: Source, what: str, why: str, remedy: str = "") -> Results:
    """A file that tells nothing but that."""
    remedy = remedy or "See whether the process that wrote it was stopped, or the disk was full."
    problem = Problem(f"{source.path} {what}", why=why, remedy=remedy, exit_code=1)
    name = source.path.as_posix()
    return Results((Suite(name, problems=(problem,), exitstatus=0, sources=(str(source.path),)),))
