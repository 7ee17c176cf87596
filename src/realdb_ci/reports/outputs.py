"""Step outputs: what later steps of a workflow may ask for."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from realdb_ci.reports import Place, html, junit
from realdb_ci.reports.digest import Digest
from realdb_ci.results import Results

FILE = None
EVENTS = "events.jsonl"


def publish(digest: Digest, place: Place) -> bool:
    """Hand the outputs to the runner, on GitHub."""
    if place.github is None or place.github.output is None:
        return False
    with place.github.output.open("a", encoding="utf-8") as file:
        file.write(render(outputs(digest.results, place.out)))
    return True


def outputs(results: Results, out: Path) -> dict[str, str]:
    """The outputs by name. Those that count add up to ``tests``.

    Args:
        results: the run.
        out: the output folder, as later steps can reach it.
    """
    counts = results.counts
    return {
        "outcome": results.verdict.replace(" ", "-"),
        "tests": str(sum(counts.values())),
        "passed": str(counts["passed"] + counts["xpassed"]),
        "failed": str(counts["failed"]),
        "errors": str(counts["error"]),
        "skipped": str(counts["skipped"] + counts["xfailed"]),
        "flaky": str(counts["flaky"]),
        "duration": f"{results.duration:.3f}",
        "junit": (out / junit.FILE).as_posix(),
        "events": (out / EVENTS).as_posix(),
        "html": (out / html.FILE).as_posix(),
    }


def render(values: Mapping[str, str]) -> str:
    """The outputs as the runner reads them, each between lines that no value can contain."""
    delimiter = f"realdb_ci_{secrets.token_hex(16)}"
    return "".join(f"{name}<<{delimiter}\n{value}\n{delimiter}\n" for name, value in values.items())
