"""Reports: one module a surface. Each reads a ``Digest`` of the results, none changes the verdict.

Surfaces are tried in ladders: the first one that holds is enough. One that could not be reached is told by those
that are made after it, last of all by the log.
"""

from __future__ import annotations

import importlib
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from realdb_ci.errors import RealdbError
from realdb_ci.results import collector_paused

if TYPE_CHECKING:
    from rich.console import Console

    from realdb_ci.github import Client, GitHub
    from realdb_ci.reports.digest import Digest
    from realdb_ci.results import Results

# In the order they are made; the terminal speaks last, where people look first.
LADDERS = (
    ("junit",),
    ("sarif",),
    ("html",),
    ("check", "commands"),
    ("comment",),
    ("summary",),
    ("outputs",),
    ("terminal",),
)


@dataclass(frozen=True)
class Missed:
    """A surface that could not be reached, and why."""

    surface: str
    why: str


@dataclass(frozen=True)
class Place:
    """Where reports go.

    Attributes:
        out: the output folder.
        console: the person's terminal, or the log.
        github: the job on GitHub that we run in, or None elsewhere.
        client: speaks to GitHub; None where no token was handed over.
        missed: the surfaces that could not be reached so far.
    """

    out: Path
    console: Console
    github: GitHub | None = None
    client: Client | None = None
    missed: tuple[Missed, ...] = ()


class Partly(Exception):
    """A surface holds, and not all of it could be made."""


class Surface(Protocol):
    """What a module of this room offers.

    Attributes:
        FILE: the name of its file in the output folder, or None where it makes none.
    """

    FILE: str | None

    def publish(self, digest: Digest, place: Place) -> bool:
        """Make this report.

        Returns:
            Whether it was made; False where this surface does not exist here.

        Raises:
            OSError: it cannot be written.
            RealdbError: it cannot be reached.
            Partly: it was made, and something is missing in it.
        """


def publish(results: Results, out: Path, console: Console, github: GitHub | None = None) -> None:
    """Make every report; one that cannot be made is named, and the others are made all the same.

    Args:
        results: the run.
        out: the output folder.
        console: where the terminal's report goes.
        github: the job on GitHub that we run in, as ``github.read`` tells.
    """
    from realdb_ci.reports.digest import Digest

    digest, place = Digest(results, time.time()), Place(out, console, github, _client(github))
    written = []
    with collector_paused():
        for ladder in LADDERS:
            for name in ladder:
                surface = _surface(name)
                try:
                    held = surface.publish(digest, place)
                except Exception as problem:  # noqa: BLE001 - whatever went wrong, it is no news about the tests
                    held = isinstance(problem, Partly)
                    place = replace(place, missed=(*place.missed, Missed(name, _reason(problem))))
                if held:
                    written += [surface.FILE] if surface.FILE else []
                    break
    console.print(f"Reports in {out}: {', '.join(written)}", style="dim", markup=False, soft_wrap=True)


def files() -> tuple[str, ...]:
    """The names of the files that reports make in the output folder."""
    made = (_surface(name).FILE for ladder in LADDERS for name in ladder)
    return tuple(name for name in made if name is not None)


def _surface(name: str) -> Surface:
    surface: Surface = importlib.import_module(f"{__name__}.{name}")
    return surface


def _client(github: GitHub | None) -> Client | None:
    from realdb_ci.github import Client

    return Client(github) if github is not None and github.token else None


def _reason(problem: Exception) -> str:
    if isinstance(problem, RealdbError):
        why = f"{problem.what}: {problem.why}" if problem.why else problem.what
        return f"{why}. {problem.remedy}" if problem.remedy else why
    return str(problem) if isinstance(problem, Partly) else f"{type(problem).__name__}: {problem}"
