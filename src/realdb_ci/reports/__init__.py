"""Reports: one module a surface. Each reads ``Results``, none changes the verdict."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console

    from realdb_ci.results import Results

# The surfaces, in the order they are made; the terminal speaks last, where people look first.
MODULES = ("junit", "summary", "terminal")


@dataclass(frozen=True)
class Place:
    """Where reports go.

    Attributes:
        out: the output folder.
        console: the person's terminal, or the log.
    """

    out: Path
    console: Console


class Surface(Protocol):
    """What a module of this room offers.

    Attributes:
        FILE: the name of its file in the output folder, or None where it makes none.
    """

    FILE: str | None

    def publish(self, results: Results, place: Place) -> None:
        """Make this report.

        Raises:
            OSError: it cannot be written.
        """


def publish(results: Results, out: Path, console: Console) -> None:
    """Make every report; one that cannot be written is named, and the others are made all the same.

    Args:
        results: the run.
        out: the output folder.
        console: where the terminal's report goes.
    """
    place = Place(out, console)
    written = []
    for name in MODULES:
        surface: Surface = importlib.import_module(f"{__name__}.{name}")
        try:
            surface.publish(results, place)
            written += [surface.FILE] if surface.FILE else []
        except OSError as problem:
            console.print(f"realdb-ci: the report {name!r} could not be written: {problem}", markup=False)
    console.print(f"Reports in {out}: {', '.join(written)}", style="dim", markup=False, soft_wrap=True)
