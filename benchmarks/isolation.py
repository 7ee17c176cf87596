"""Whole pytest processes on a real PostgreSQL: realdb-ci against the ways people isolate tests by hand.

python benchmarks/isolation.py --image localhost:5000/postgres:17-alpine
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from realdb_ci import services
from realdb_ci.config import Config
from realdb_ci.errors import RealdbError
from realdb_ci.servers import Servers
from realdb_ci.services.contract import Server
from realdb_ci.services.postgres import database

HERE = Path(__file__).resolve().parent
MODULES = 6
# The plugin is what is measured; the others run without it.
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
PEERS = {
    "realdb_ci": "realdb-ci",
    "article": "the article's conftest",
    "truncate": "truncate after each test",
    "create_drop": "create and drop for each test",
    "module_container": "a container for each module",
    "floor": "floor: server already up, no isolation",
}
MARGIN = 1.15


@dataclass(frozen=True)
class Sample:
    """One run of one peer.

    Attributes:
        wall: seconds from the process's start to its end.
        boot: seconds the server took, where the run booted it through realdb-ci.
    """

    wall: float
    boot: float | None


@dataclass(frozen=True)
class Bench:
    """What all runs share.

    Attributes:
        home: a temporary folder with one folder a peer.
        server: the floor's server.
        options: the command line.
    """

    home: Path
    server: Server
    options: argparse.Namespace

    def prepare(self, peer: str) -> None:
        """Make the peer's folder: its conftest, and the same tests as the others have."""
        folder = self.home / peer
        folder.mkdir()
        shutil.copy(HERE / "peers" / f"{peer}.py", folder / "conftest.py")
        for number in range(MODULES):
            shutil.copy(HERE / "shelf_tests.py", folder / f"test_shelf_{number}.py")
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")

    def run(self, peer: str, label: str) -> Sample:
        """Run the peer's suite once, and make sure that it really ran."""
        boot = self.home / f"{peer}-boot"
        variables = {
            "BENCH_IMAGE": self.options.image,
            "BENCH_BOOT": str(boot),
            "BENCH_TESTS": str(self.options.tests // MODULES),
        }
        if peer == "floor":
            name = f"floor_{label}"
            variables["BENCH_URL"] = database.create(self.server, name)
        began = time.perf_counter()
        done = subprocess.run(
            self._command(peer),
            cwd=self.home / peer,
            env=environment(self.home, variables),
            capture_output=True,
            text=True,
            check=False,
        )
        wall = time.perf_counter() - began
        if done.returncode or f"{self.options.tests} passed" not in done.stdout:
            sys.exit(f"{peer} did not pass:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        if peer == "floor":
            database.drop(self.server.url, name)
        return Sample(wall, float(boot.read_text(encoding="utf-8")) if boot.exists() else None)

    def _command(self, peer: str) -> Sequence[str]:
        if peer != "realdb_ci":
            return (*PYTEST, "-p", "no:realdb_ci")
        return (
            *PYTEST,
            f"--realdb-engine={self.options.engine}",
            f"--realdb-service=postgres={self.options.image}",
        )


def environment(home: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a run: no settings of ours, and bytecode cached as on a user's machine."""
    ours = re.compile(r"REALDB_CI_|PYTEST_|PYTHONDONTWRITEBYTECODE|PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not ours.match(name)}
    return {
        **kept,
        "PYTHONPYCACHEPREFIX": str(home / "pycache"),
        "PYTHONPATH": str(HERE.parent / "fixtures" / "bookshelf"),
        # The reaper's image is not to be had everywhere; nobody starts it, so nobody pays for it.
        "TESTCONTAINERS_RYUK_DISABLED": "true",
        **variables,
    }


@contextmanager
def bench(options: argparse.Namespace) -> Iterator[Bench]:
    """The folders, and the server that is up before any clock starts."""
    config = Config(engine=options.engine, services=(f"postgres={options.image}",))
    with tempfile.TemporaryDirectory(prefix="realdb-ci-bench-") as home, Servers() as servers:
        server = servers.get(services.wishes(config)["postgres"])
        yield Bench(Path(home), server, options)


def measure(running: Bench, peers: Sequence[str]) -> dict[str, list[Sample]]:
    """One run of each that does not count, then the rounds, each peer once a round."""
    samples: dict[str, list[Sample]] = {peer: [] for peer in peers}
    for peer in peers:
        running.prepare(peer)
        running.run(peer, "warm")
    for number in range(running.options.rounds):
        # Whoever is first in one round is not in the next.
        turn = number % len(peers)
        for peer in (*peers[turn:], *peers[:turn]):
            sample = running.run(peer, str(number))
            samples[peer].append(sample)
            print(f"round {number + 1} {peer}: {sample.wall:.2f} s", file=sys.stderr, flush=True)
    return samples


def table(samples: Mapping[str, Sequence[Sample]]) -> str:
    """The medians as a Markdown table, with the targets checked in the last column."""
    walls = {peer: [sample.wall for sample in runs] for peer, runs in samples.items()}
    medians = {peer: statistics.median(times) for peer, times in walls.items()}
    ours = medians.get("realdb_ci")
    lines = ["| peer | median s | range s | against realdb-ci | target |", "|---|---:|---:|---:|---|"]
    for peer, median in medians.items():
        ratio = f"{median / ours:.2f}" if ours else ""
        spread = f"{min(walls[peer]):.2f} to {max(walls[peer]):.2f}"
        target = _fastest(medians) if peer == "realdb_ci" else ""
        lines.append(f"| {PEERS[peer]} | {median:.2f} | {spread} | {ratio} | {target} |")
    boots = [sample.boot for sample in samples.get("realdb_ci", ()) if sample.boot is not None]
    if ours and boots and "floor" in medians:
        boot = statistics.median(boots)
        bound = medians["floor"] + boot
        met = "met" if ours <= MARGIN * bound else "MISSED"
        lines.append(
            f"| floor + boot of {boot:.2f} s | {bound:.2f} | | {bound / ours:.2f} "
            f"| realdb-ci <= {MARGIN} x this: {ours / bound:.2f}, {met} |"
        )
    return "\n".join(lines)


def _fastest(medians: Mapping[str, float]) -> str:
    rivals = [median for peer, median in medians.items() if peer not in ("realdb_ci", "floor")]
    if not rivals:
        return ""
    return "fastest: " + ("met" if medians["realdb_ci"] < min(rivals) else "MISSED")


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tests", type=int, default=300, help=f"a multiple of {MODULES * 5}")
    parser.add_argument("--image", default="postgres:17-alpine")
    parser.add_argument(
        "--engine", choices=("docker", "embedded"), default="docker", help="realdb-ci's and the floor's"
    )
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS), metavar="PEER")
    options = parser.parse_args()
    if options.tests <= 0 or options.tests % (MODULES * 5):
        parser.error(f"--tests is a multiple of {MODULES * 5}")
    try:
        with bench(options) as running:
            samples = measure(running, options.only)
            version = running.server.version
    except RealdbError as problem:
        sys.exit(str(problem))
    print(
        f"{options.tests} tests in {MODULES} modules, {options.rounds} rounds, {version} ({options.engine}), "
        f"Python {platform.python_version()}, {os.cpu_count()} cores\n"
    )
    print(table(samples))


if __name__ == "__main__":
    main()
