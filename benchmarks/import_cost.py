"""What the plugin costs a project that uses none of its fixtures: pytest with it and without, alternated.

python benchmarks/import_cost.py
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from projects import environment

TARGET_MS = 60
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
COMMANDS = {"pytest": PYTEST, "pytest -p no:realdb_ci": (*PYTEST, "-p", "no:realdb_ci")}
SUITE = '''"""A suite without a database."""


def test_arithmetic():
    """No fixture at all."""
    assert 1 + 1 == 2


def test_folder(tmp_path):
    """One of pytest's own."""
    assert tmp_path.is_dir()
'''


@dataclass(frozen=True)
class Cost:
    """Milliseconds of one process: on the clock, and of processor time, which other work disturbs less."""

    wall: float
    cpu: float


def measure(home: Path, rounds: int) -> dict[str, list[Cost]]:
    """Whole processes; a first run of each fills the caches and does not count."""
    project = home / "project"
    project.mkdir()
    (project / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (project / "test_plain.py").write_text(SUITE, encoding="utf-8")
    costs: dict[str, list[Cost]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        names = list(COMMANDS) if number % 2 else list(reversed(COMMANDS))
        for name in names:
            cost = _once(COMMANDS[name], project, environment(home, {}))
            if number:
                costs[name].append(cost)
    return costs


def _once(command: Sequence[str], project: Path, env: dict[str, str]) -> Cost:
    used, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=project, env=env, check=True, capture_output=True)
    wall, now = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return Cost(wall * 1000, cpu * 1000)


def table(costs: dict[str, list[Cost]]) -> str:
    """The medians as a Markdown table, and the target checked against the median of the rounds' differences.

    The two runs of a round are neighbours in time: what slows the machine down for a while slows both.
    """
    lines = ["| command | median ms | range ms | median CPU ms |", "|---|---:|---:|---:|"]
    for name, found in costs.items():
        lines.append(f"| `{name}` | {_spread([cost.wall for cost in found])} | {_median(c.cpu for c in found)} |")
    with_it, without = costs.values()
    walls = [one.wall - other.wall for one, other in zip(with_it, without, strict=True)]
    cpus = [one.cpu - other.cpu for one, other in zip(with_it, without, strict=True)]
    met = "met" if statistics.median(walls) <= TARGET_MS else "MISSED"
    label = f"difference within a round (target: at most {TARGET_MS} ms, {met})"
    lines.append(f"| {label} | {_spread(walls)} | {_median(cpus)} |")
    return "\n".join(lines)


def _median(values: Iterable[float]) -> str:
    return f"{statistics.median(values):.0f}"


def _spread(values: Sequence[float]) -> str:
    return f"{_median(values)} | {min(values):.0f} to {max(values):.0f}"


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="realdb-ci-bench-") as home:
        costs = measure(Path(home), options.rounds)
    print(f"{options.rounds} rounds, Python {platform.python_version()}, {os.cpu_count()} cores\n")
    print(table(costs))


if __name__ == "__main__":
    main()
