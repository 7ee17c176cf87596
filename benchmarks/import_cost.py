"""What the plugin costs a project that uses none of its fixtures: pytest with it and without, alternated.

python benchmarks/import_cost.py
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from isolation import environment

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


def measure(home: Path, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of whole processes; a first run of each fills the caches and does not count."""
    project = home / "project"
    project.mkdir()
    (project / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (project / "test_plain.py").write_text(SUITE, encoding="utf-8")
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        names = list(COMMANDS) if number % 2 else list(reversed(COMMANDS))
        for name in names:
            milliseconds = _once(COMMANDS[name], project, environment(home, {}))
            if number:
                times[name].append(milliseconds)
    return times


def _once(command: Sequence[str], project: Path, env: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=project, env=env, check=True, capture_output=True)
    return (time.perf_counter() - began) * 1000


def table(times: dict[str, list[float]]) -> str:
    """The medians as a Markdown table, and the target checked against the median of the rounds' differences.

    The two runs of a round are neighbours in time: what slows the machine down for a while slows both.
    """
    lines = ["| command | median ms | range ms |", "|---|---:|---:|"]
    for name, found in times.items():
        lines.append(f"| `{name}` | {statistics.median(found):.0f} | {min(found):.0f} to {max(found):.0f} |")
    differences = [with_it - without for with_it, without in zip(*times.values(), strict=True)]
    cost = statistics.median(differences)
    met = "met" if cost <= TARGET_MS else "MISSED"
    spread = f"{min(differences):.0f} to {max(differences):.0f}"
    lines.append(f"| difference within a round (target: at most {TARGET_MS}, {met}) | {cost:.0f} | {spread} |")
    return "\n".join(lines)


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="realdb-ci-bench-") as home:
        times = measure(Path(home), options.rounds)
    print(f"{options.rounds} rounds, Python {platform.python_version()}, {os.cpu_count()} cores\n")
    print(table(times))


if __name__ == "__main__":
    main()
