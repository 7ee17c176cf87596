"""What the plugin adds to a test (a clone's hand-over, a savepoint, the watch), and how workers share a server.

python benchmarks/overhead.py --image localhost:5000/postgres:18-alpine
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from projects import HERE, Project, alternated, copied, durations
from tables import circumstances, markdown, verdict

HAND_OVER_MS = 5.0
SAVEPOINT_MS = 1.0
WORKERS = "4"
SPEED_UP = 1.6
WATCH = 0.03


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: what was measured.
        value: the figure, with its unit.
        spread: how far its samples lie apart.
        target: the target in words, empty where there is none.
        met: whether it is.
    """

    what: str
    value: str
    spread: str
    target: str = ""
    met: bool = True

    def cells(self) -> Sequence[str]:
        """The line's cells."""
        judged = f"{self.target}: {verdict(met=self.met)}" if self.target else ""
        return self.what, self.value, self.spread, judged


def hand_over(suite: Callable[[str, int], Project], rounds: int) -> list[Row]:
    """The setup phase of tests with a clone, and within it the step that fetches the clone."""
    project = suite("test_clones.py", 60)
    setups: dict[str, list[float]] = {"at_once": [], "with_time": []}
    steps: list[float] = []
    for _ in range(rounds):
        events = project.events()
        for kind, found in setups.items():
            # The session's fixtures are in the first test's setup.
            found.extend(durations(events, "setup", f"::test_{kind}[")[1:])
        steps += [
            event["stop"] - event["start"]
            for event in events
            if event["event"] == "span" and event["name"] == "clone"
        ]
    median = statistics.median(setups["with_time"]) * 1000
    return [
        Row(
            "setup of a test with a clone that is ready",
            f"{median:.2f} ms",
            spread(setups["with_time"]),
            f"at most {HAND_OVER_MS:g} ms",
            median <= HAND_OVER_MS,
        ),
        Row("setup of such tests without a pause", ms(setups["at_once"]), spread(setups["at_once"])),
        Row("of it: to fetch the clone (all of them)", ms(steps), spread(steps)),
    ]


def savepoint(suite: Callable[[str, int], Project], rounds: int) -> list[Row]:
    """All phases of one test with the plugin's session, less those of its neighbour with a plain one."""
    project = suite("test_savepoints.py", 150)
    whole: dict[str, list[float]] = {"rolled_back": [], "plain": []}
    for _ in range(rounds):
        events = project.events()
        for kind, found in whole.items():
            # The first of each opens its connection.
            phases = [durations(events, when, f"::test_{kind}[") for when in ("setup", "call", "teardown")]
            found.extend([sum(one) for one in zip(*phases, strict=True)][1:])
    costs = [one - other for one, other in zip(*whole.values(), strict=True)]
    median = statistics.median(costs) * 1000
    return [
        Row("a test in a plain session", ms(whole["plain"]), spread(whole["plain"])),
        Row("the same test in `db_session`", ms(whole["rolled_back"]), spread(whole["rolled_back"])),
        Row(
            "difference between neighbours",
            f"{median:.2f} ms",
            spread(costs),
            f"at most {SAVEPOINT_MS:g} ms",
            median <= SAVEPOINT_MS,
        ),
    ]


def workers(suite: Callable[[str, int], Project], rounds: int) -> list[Row]:
    """Whole processes, one worker against four, on tests that wait."""
    project = suite("test_waiting.py", 400)
    walls: dict[str, list[float]] = {"0": [], WORKERS: []}
    for _, count in alternated(list(walls), rounds):
        walls[count].append(project.run("-n", count))
    ratio = statistics.median(walls["0"]) / statistics.median(walls[WORKERS])
    rows = [
        Row(
            f"400 tests that wait 20 ms each, `-n {count}`",
            f"{statistics.median(found):.2f} s",
            f"{min(found):.2f} to {max(found):.2f} s",
        )
        for count, found in walls.items()
    ]
    return [*rows, Row("as many times faster", f"{ratio:.2f}", "", f"at least {SPEED_UP}", ratio >= SPEED_UP)]


def watch(suite: Callable[[str, int], Project], rounds: int) -> list[Row]:
    """Whole tests that only query, from one's start to the next one's, against their unwatched neighbours."""
    project = suite("test_queries.py", 200)
    took: dict[str, list[float]] = {"with": [], "without": []}
    for _ in range(rounds):
        starts = [event for event in project.events() if event["event"] == "start"]
        # The first two open connections and fill caches.
        for one, following in pairwise(starts[2:]):
            way = one["nodeid"].rpartition(" ")[2].rstrip("]")
            took[way].append(following["at"] - one["at"])
    costs = [one / other - 1 for one, other in zip(*took.values(), strict=False)]
    cost = statistics.median(costs)
    return [
        Row("a test of 50 queries, its statements watched", ms(took["with"]), spread(took["with"])),
        Row("the same, not watched", ms(took["without"]), spread(took["without"])),
        Row(
            "the watch's part, between neighbours",
            f"{cost:.1%}",
            f"{statistics.quantiles(costs, n=10)[0]:.1%} to {statistics.quantiles(costs, n=10)[-1]:.1%}",
            f"at most {WATCH:.0%}",
            cost <= WATCH,
        ),
    ]


def ms(seconds: Sequence[float]) -> str:
    """The median."""
    return f"{statistics.median(seconds) * 1000:.2f} ms"


def spread(seconds: Sequence[float]) -> str:
    """The range of the middle four fifths."""
    tenths = statistics.quantiles(seconds, n=10)
    return f"{tenths[0] * 1000:.2f} to {tenths[-1] * 1000:.2f} ms"


PARTS = {"hand-over": hand_over, "savepoint": savepoint, "watch": watch, "workers": workers}


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--image", default="postgres:17-alpine")
    parser.add_argument("--engine", choices=("docker", "embedded"), default="docker")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    options = parser.parse_args()
    service = (f"--realdb-engine={options.engine}", f"--realdb-service=postgres={options.image}")
    with tempfile.TemporaryDirectory(prefix="realdb-ci-bench-") as home:
        folder = copied(Path(home) / "overhead", {"warehouse.py": HERE / "warehouse.py"})
        shutil.copytree(HERE / "overhead_suite", folder, dirs_exist_ok=True)

        def suite(module: str, tests: int) -> Project:
            variables = {"BENCH_TESTS": str(tests), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
            number = {"test_clones.py": 2 * tests, "test_savepoints.py": 2 * tests + 1}.get(module, tests)
            return Project(
                folder, number, ("-p", "realdb_ci", "-p", "xdist", *service, module), variables=variables
            )

        rows = [row for part in options.only for row in PARTS[part](suite, options.rounds)]
    print(f"{options.rounds} rounds, {options.image} ({options.engine}), {circumstances()}\n")
    print(markdown(("what", "median", "spread", "target"), [row.cells() for row in rows]))
    sys.exit(not all(row.met for row in rows))


if __name__ == "__main__":
    main()
