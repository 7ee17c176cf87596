"""Inputs: what a workflow told the Action, read once from what the runner put into the environment."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from realdb_ci.config import ENGINE_CHOICES
from realdb_ci.errors import SettingError

PREFIX = "INPUT_"
# Keys of ``with`` that the runner itself understands for a Docker action.
RUNNERS_OWN = ("args", "entrypoint")
CACHES = ("packages", "snapshots", "timings", "images")
# What "true" stands for: most registries give an image faster than a cache does.
USUAL_CACHES = frozenset(CACHES) - {"images"}
# What people write who take the input for a command; each of these names is a package of the index, too.
COMMANDS = frozenset({"pip", "pip3", "uv", "python", "python3", "poetry", "pdm", "pipenv", "hatch", "conda"})
_PYTHON = re.compile(r"(?:(?:cpython|pypy)[-@]?)?\d+(?:\.\d+){0,2}t?", re.ASCII)
_SHARD = re.compile(r"([1-9]\d{0,3})/([1-9]\d{0,3})", re.ASCII)


@dataclass(frozen=True)
class Shard:
    """One part of a suite that several runners share.

    Attributes:
        number: which part, counted from 1.
        total: into how many parts the suite is split.
    """

    number: int
    total: int

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"


def _lines(text: str) -> tuple[str, ...]:
    lines = (line.strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def _line(text: str) -> str:
    if "\n" in text or "\r" in text:
        raise ValueError("it is one line")
    return text


def _words(text: str) -> tuple[str, ...]:
    """Words as a shell would split them; there is no shell, so nothing in them is run."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    try:
        return tuple(shlex.split("\n".join(lines).replace("\\\n", " ")))
    except ValueError as problem:
        raise ValueError(f"its quotes do not close ({problem})") from None


def _packages(text: str) -> tuple[str, ...]:
    words = _words(text)
    if words and words[0] in COMMANDS:
        raise ValueError(f"it is what follows 'uv pip install', and {words[0]!r} would be a package to install")
    return words


def _engine(text: str) -> str:
    if text and text not in ENGINE_CHOICES:
        raise ValueError(f"it is one of {', '.join(ENGINE_CHOICES)}, or empty")
    return text


def _python(text: str) -> str:
    if text and not _PYTHON.fullmatch(text):
        raise ValueError("it is a version such as 3.13")
    return text


def _shard(text: str) -> Shard | None:
    if not text:
        return None
    found = _SHARD.fullmatch(text)
    if not found:
        raise ValueError("it is a part and the number of parts, such as 2/4")
    number, total = int(found[1]), int(found[2])
    if number > total:
        raise ValueError(f"there is no part {number} of {total}")
    return Shard(number, total)


def _caches(text: str) -> frozenset[str]:
    if text in ("true", "True", "TRUE"):
        return USUAL_CACHES
    if text in ("false", "False", "FALSE", ""):
        return frozenset()
    chosen = frozenset(re.split(r"[\s,]+", text))
    if not chosen <= set(CACHES):
        raise ValueError(f"it is true, false, or some of {', '.join(CACHES)}")
    return chosen


def _input(default: str, read: Callable[[str], Any]) -> Any:
    """A field read from an input of its name; its default is what that input's default means."""
    return field(default=read(default), metadata={"read": read, "default": default})


@dataclass(frozen=True)
class Inputs:
    """The Action's inputs; their names here have underscores where the workflow writes hyphens.

    Attributes:
        services: one text a service: an image, ``postgres=<image or url>``; none means what the tests ask for.
        working_directory: the project's folder, below the workspace.
        pytest_args: arguments for pytest.
        install: arguments for ``uv pip install``; none means to find out what the project needs.
        python_version: the Python to test with, empty for what the project says.
        engine: how to get servers, empty for what the project says.
        shard: the part of the suite to run, or None for all of it.
        cache: what to keep between runs.
        token: to speak to GitHub with; it is not handed to the tested project.
        report_directory: the folder for events and reports, below the workspace.
        matrix: the job's matrix as JSON, which tells its reports from those of other jobs.
    """

    services: tuple[str, ...] = _input("", _lines)
    working_directory: str = _input(".", _line)
    pytest_args: tuple[str, ...] = _input("", _words)
    install: tuple[str, ...] = _input("", _packages)
    python_version: str = _input("", _python)
    engine: str = _input("", _engine)
    shard: Shard | None = _input("", _shard)  # noqa: RUF009  # a field, like the others
    cache: frozenset[str] = _input("true", _caches)
    token: str = field(default="", repr=False, metadata={"read": _line, "default": "${{ github.token }}"})
    report_directory: str = _input(".realdb-ci", _line)
    matrix: str = field(default="", metadata={"read": str, "default": "${{ toJSON(matrix) }}"})

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> Inputs:
        """Read them.

        Args:
            environ: the environment; names keep their hyphens, as in ``INPUT_PYTEST-ARGS``.

        Raises:
            SettingError: naming the input, and what it may be.
        """
        given = {
            name.removeprefix(PREFIX).lower(): value.strip()
            for name, value in environ.items()
            if name.startswith(PREFIX) and name.removeprefix(PREFIX).lower() not in RUNNERS_OWN
        }
        known = {one.name.replace("_", "-"): one for one in fields(cls)}
        values = {}
        for name, text in given.items():
            if name not in known:
                raise _unknown(name, list(known))
            if text:
                values[known[name].name] = _read(name, text, known[name].metadata["read"])
        return cls(**values)

    def project(self, workspace: Path) -> Path:
        """The project's folder.

        Raises:
            SettingError: it is not a folder of the workspace.
        """
        folder = _inside("working-directory", workspace, self.working_directory)
        if not folder.is_dir():
            raise SettingError(
                f"The input 'working-directory' names {self.working_directory!r}, which is not a folder",
                why="it does not exist in the workspace" if not folder.exists() else "it is a file",
                remedy="Name the project's folder from the root of the repository; check out the repository first.",
            )
        return folder

    def out(self, workspace: Path) -> Path:
        """The folder for events and reports, which need not exist yet.

        Raises:
            SettingError: it does not lie in the workspace.
        """
        return _inside("report-directory", workspace, self.report_directory)


def _unknown(name: str, known: list[str]) -> SettingError:
    near = difflib.get_close_matches(name, known, n=1)
    return SettingError(
        f"Unknown input {name!r}",
        why="the Action has no input of this name",
        remedy=f"Did you mean {near[0]!r}?" if near else f"The inputs are: {', '.join(known)}.",
    )


def _read(name: str, text: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(_evaluated(text))
    except ValueError as problem:
        shown = "" if name == "token" else f" cannot be {text[:200]!r}"
        raise SettingError(
            f"The input {name!r}{shown or ' cannot be used'}",
            why=str(problem),
            remedy=f"Change {name!r} below 'with' in the workflow.",
        ) from None


def _evaluated(text: str) -> str:
    if "${{" in text:
        raise ValueError("it holds an expression that was not evaluated; GitHub does so only in workflow files")
    return text


def _inside(name: str, workspace: Path, text: str) -> Path:
    """The path in the workspace, links followed; nothing outside is ours to read or write."""
    try:
        path = (workspace / text).resolve()
        inside = path.is_relative_to(workspace.resolve())
    except (OSError, ValueError, RuntimeError):
        inside = False
    if not inside:
        raise SettingError(
            f"The input {name!r} cannot be {text[:200]!r}",
            why="it leads out of the workspace",
            remedy="Name a folder by its path from the root of the repository.",
        )
    return path
