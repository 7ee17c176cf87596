"""Installed: the files of a finished environment, so that the next run can have them without installing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# What is made anew in each place: the links to the interpreter, and what names them.
_OF_THE_PLACE = ("pyvenv.cfg", "CACHEDIR.TAG", ".gitignore", ".lock")


@dataclass(frozen=True)
class Installed:
    """What stands in an environment.

    Attributes:
        root: the environment's folder.
        files: size and time of change in nanoseconds by path below it, of what an installer put there.
    """

    root: Path
    files: dict[str, tuple[int, int]]

    @classmethod
    def of(cls, root: Path) -> Installed:
        """What stands there now."""
        return cls(root, {name: _mark(path) for name, path in _files(root) if not _is_compiled(path)})

    def to_keep(self) -> frozenset[str] | None:
        """The files and what Python has compiled of them since; None where they have changed.

        What a suite adds to its environment while it runs is not of the environment, and where it changes what was
        there, the next run must not begin with that.
        """
        now = dict(_files(self.root))
        if any(name not in now or _mark(now[name]) != mark for name, mark in self.files.items()):
            return None
        compiled = (name for name, path in now.items() if _is_compiled(path) and self._source(path) in self.files)
        return frozenset((*self.files, *compiled))

    def is_of_indexes(self) -> bool:
        """Whether all of it but our plugin is from package indexes.

        What is behind another address can change without a new version:
        https://packaging.python.org/en/latest/specifications/direct-url/
        """
        origins = (Path(name).parent.name for name in self.files if name.endswith(".dist-info/direct_url.json"))
        return all(name.startswith("realdb_ci-") for name in origins)

    def _source(self, compiled: Path) -> str:
        name = f"{compiled.name.partition('.')[0]}.py"
        return (compiled.parent.parent / name).relative_to(self.root).as_posix()


def links(root: Path) -> frozenset[str]:
    """The links in an environment, by their paths."""
    found = (Path(folder, name) for folder, folders, files in os.walk(root) for name in (*folders, *files))
    return frozenset(str(path) for path in found if path.is_symlink())


def can_run(root: Path) -> bool:
    """Whether the files of an environment have pytest and our plugin among them, without which no suite runs."""
    places = [*root.glob("lib/*/site-packages"), *root.glob("Lib/site-packages")]
    return all(
        any(found for place in places for found in place.glob(f"{name}-*.dist-info/METADATA"))
        for name in ("pytest", "realdb_ci")
    )


def put(restored: Path, root: Path) -> None:
    """Make the files of an environment the content of an empty one, which keeps what is of the place.

    Args:
        restored: a folder with its files, beside the environment; it is gone afterwards.
        root: the empty environment.

    Raises:
        OSError: they cannot be moved.
    """
    for path in [*root.glob("bin/*"), *root.iterdir()]:
        place = restored / path.relative_to(root)
        if not os.path.lexists(place):
            place.parent.mkdir(exist_ok=True)
            path.rename(place)
    shutil.rmtree(root)
    restored.rename(root)


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    """Plain files below a folder; the interpreter is a link."""
    for path in root.rglob("*"):
        of_the_place = path.parent == root and path.name in _OF_THE_PLACE
        if path.is_file() and not path.is_symlink() and not of_the_place:
            yield path.relative_to(root).as_posix(), path


def _is_compiled(path: Path) -> bool:
    return path.suffix == ".pyc" and path.parent.name == "__pycache__"


def _mark(path: Path) -> tuple[int, int]:
    known = path.stat()
    return known.st_size, known.st_mtime_ns
