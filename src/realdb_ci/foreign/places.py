"""Places: where tests are written and where they fail, as paths from the root of the repository."""

from __future__ import annotations

import os
import posixpath
import re
from functools import cache
from pathlib import Path

from realdb_ci.results import Anchor

# Characters of a traceback's beginning, or end, that its deepest line is looked for in.
SEARCHED = 20_000
# How a line of code is told in a traceback, and whether the deepest one is the last. Every piece is bounded, so
# that no text makes the search slow.
_FRAMES = (
    (re.compile(r"^(?P<path>[^\s:][^:\n]{0,300}):(?P<line>\d{1,7}): ", re.MULTILINE), True),  # pytest
    (re.compile(r'^\s{0,20}File "(?P<path>[^"\n]{1,300})", line (?P<line>\d{1,7})', re.MULTILINE), True),  # Python
    (
        re.compile(r"(?:[(@]|at |\u276f )(?P<path>(?:file://|webpack:///)?[^\s():]{1,300}):(?P<line>\d{1,7}):\d"),
        False,
    ),  # JavaScript
    (re.compile(r"^(?:at )?(?P<path>[^\s:]{1,300}):(?P<line>\d{1,7})$", re.MULTILINE), False),  # C++, PHP
    (re.compile(r" in (?P<path>[^\n]{1,300}?):line (?P<line>\d{1,7})"), False),  # .NET
    (re.compile(r"panicked at '?(?P<path>[^\s:']{1,300}):(?P<line>\d{1,7}):"), False),  # Rust
    (re.compile(r"^\s{0,20}(?P<path>[\w./-]{1,300}\.go):(?P<line>\d{1,7}): ", re.MULTILINE), False),  # Go
)
# Folders of other people's code that often lie inside a checkout.
FOREIGN_FOLDERS = frozenset({"site-packages", "dist-packages", "node_modules", ".venv", "venv", ".tox", ".nox"})
# Where a machine keeps what it came with.
SYSTEM = ("/usr/", "/opt/", "/lib", "/Library/", "/System/")
# How a path begins that is none from the root.
ELSEWHERE = ("/", "../", "<")
_IS_TEST_MODULE = re.compile(r"test_\w*|\w*_test")


class Places:
    """Where things are in one checkout.

    Args:
        root: the root of the repository; files may have been written on another machine.
        near: the folder of the file that names them: a project in the checkout names files from its own root.
    """

    def __init__(self, root: Path, near: Path) -> None:
        self._root, near = root.resolve(), near.resolve()
        above = near.relative_to(self._root).parts if near.is_relative_to(self._root) else ()
        self._prefix = f"{self._root}/"
        # The root first, then what is nearest to the file.
        self._bases = ("", *("/".join(above[:end]) + "/" for end in range(len(above), 0, -1)))
        self.relative = cache(self._relative)
        self.module = cache(self._module)
        self.here = cache(self._here)

    def anchor(self, text: str, *, trusted: bool) -> Anchor | None:
        """The deepest line of the repository that a traceback goes through, or None.

        Args:
            text: the traceback.
            trusted: its relative paths are taken for the project's, whether or not they exist here.
        """
        for pattern, deepest_last in _FRAMES:
            found = list(pattern.finditer(text[-SEARCHED:] if deepest_last else text[:SEARCHED]))
            for one in reversed(found) if deepest_last else found:
                path = self.relative(one["path"])
                ours = self.here(path) == path or (trusted and deepest_last and not path.startswith(ELSEWHERE))
                if ours and not FOREIGN_FOLDERS.intersection(path.split("/")):
                    return Anchor(path, int(one["line"]))
        return None

    def _here(self, path: str) -> str | None:
        """The path from the root of a file that exists here, or None."""
        if path.startswith(ELSEWHERE) or "\0" in path:
            return None
        return next((base + path for base in self._bases if os.path.isfile(self._prefix + base + path)), None)  # noqa: PTH113 - asked for thousands of names

    def _relative(self, path: str) -> str:
        """A path as it is from the root; one of another machine by the longest end of it that exists here."""
        plain = path.strip().replace("\\", "/").removeprefix("file://").removeprefix("webpack:///")
        plain = posixpath.normpath(plain) if plain else ""
        below = f"{self._root}/"
        if plain.startswith(below):
            return plain.removeprefix(below)
        if not plain.startswith(ELSEWHERE) and plain[1:2] != ":":
            return self.here(plain) or plain
        parts = plain.strip("/").split("/")
        if plain.startswith(SYSTEM) or FOREIGN_FOLDERS.intersection(parts):
            return plain
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        return next(filter(None, map(self.here, ends)), plain)

    def _module(self, dotted: str, file: str) -> tuple[str, str, tuple[str, ...]]:
        """``tests.test_a.TestB``: the module's path as pytest told it, its path from the root, the classes in it.

        Args:
            dotted: module and classes, as pytest writes them into a class name.
            file: the file that the element names; empty where it names none.
        """
        parts = dotted.split(".")
        if file:
            path = self.relative(file)
            module = path.removesuffix(".py").split("/")
            # The longest end of the path that the name holds: a prefix may stand before, classes after it.
            ends = (module[start:] for start in range(len(module)))
            found = (after for end in ends if (after := _after(parts, end)) is not None)
            return file, path, tuple(next(found, _classes(parts)))
        for start in range(len(parts)):
            for cut in range(len(parts), start, -1):
                told = "/".join(parts[start:cut]) + ".py"
                if path_here := self.here(told):
                    return told, path_here, tuple(parts[cut:])
        classes = _classes(parts)
        told = "/".join(parts[: len(parts) - len(classes)]) + ".py"
        return told, told, tuple(classes)


def _after(parts: list[str], module: list[str]) -> list[str] | None:
    """What follows a module in a dotted name that holds it."""
    for start in range(len(parts) - len(module) + 1):
        if parts[start : start + len(module)] == module:
            return parts[start + len(module) :]
    return None


def _classes(parts: list[str]) -> list[str]:
    """The parts of a dotted name that are classes: those after the test module, else those with a capital."""
    modules = [number for number, part in enumerate(parts) if _IS_TEST_MODULE.fullmatch(part)]
    if modules:
        return parts[modules[-1] + 1 :]
    first = next((number for number, part in enumerate(parts) if number and part[:1].isupper()), len(parts))
    return parts[first:]
