"""Whole pytest processes on a real PostgreSQL: realdb-ci against other plugins, and against isolation by hand.

python benchmarks/isolation.py --image localhost:5000/postgres:18-alpine
python benchmarks/isolation.py --image localhost:5000/postgres:18-alpine --suite commit
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from projects import HERE, PEERS, Project, alternated, copied, interpreter, workshop
from tables import circumstances, markdown, verdict

from realdb_ci.errors import RealdbError
from realdb_ci.services.contract import Server
from realdb_ci.services.postgres import database

TITLES = {
    "realdb_ci": "realdb-ci",
    "article": "the article's conftest",
    "pytest_postgresql": "pytest-postgresql, server already up",
    "pytest_mock_resources": "pytest-mock-resources",
    "pytest_databases": "pytest-databases",
    "truncate": "testcontainers, truncate after each test",
    "create_drop": "testcontainers, create and drop for each test",
    "module_container": "testcontainers, a container for each module",
    "floor": "floor: server already up, no isolation",
}
# Nobody pays for a plugin that is not measured: only these are loaded, each in its own peer.
PLUGINS = ("realdb_ci", "pytest_postgresql", "pytest_mock_resources", "pytest_databases")
# realdb-ci takes at most this part of ...
SHARES = {
    "savepoint": dict.fromkeys([peer for peer in TITLES if peer not in ("realdb_ci", "floor")], 1.0),
    "commit": {"pytest_postgresql": 1 / 3},
}
# ... and this part of the floor with the boot that it does not have.
MARGIN = 1.15


@dataclass(frozen=True)
class Suite:
    """What all its peers run.

    Attributes:
        tests: the module of tests.
        bodies: how many test functions it has.
        modules: how many copies of it there are.
        files: what the tests import.
        peers: who can run it.
    """

    tests: Path
    bodies: int
    modules: int
    files: Sequence[Path]
    peers: Sequence[str]


SUITES = {
    "savepoint": Suite(HERE / "shelf_tests.py", 5, 6, (), tuple(TITLES)),
    "commit": Suite(
        HERE / "commit_tests.py",
        3,
        5,
        (HERE / "warehouse.py",),
        ("realdb_ci", "pytest_postgresql", "pytest_mock_resources", "pytest_databases", "truncate"),
    ),
}


@dataclass(frozen=True)
class Sample:
    """One run of one peer.

    Attributes:
        wall: seconds from the process's start to its end.
        boot: seconds the server took, where the run booted it through realdb-ci.
    """

    wall: float
    boot: float | None


class Bench:
    """The peers' projects on one suite.

    Args:
        home: a temporary folder with one folder a peer.
        server: the one for peers that bring none.
        options: the command line.
    """

    def __init__(self, home: Path, server: Server, options: argparse.Namespace) -> None:
        self._home = home
        self._server = server
        self._suite = SUITES[options.suite]
        self._options = options

    def project(self, peer: str) -> Project:
        """Make the peer's folder: its conftest, and the same tests as the others have."""
        suite, options = self._suite, self._options
        modules = {f"test_suite_{number}.py": suite.tests for number in range(suite.modules)}
        own = {"conftest.py": PEERS / f"{peer}.py", "common.py": PEERS / "common.py"}
        files = {file.name: file for file in suite.files}
        return Project(
            copied(self._home / peer, {**own, **files, **modules}),
            options.tests,
            (*(("-p", peer) if peer in PLUGINS else ()), *self._arguments(peer)),
            interpreter(peer, Path(options.cache)),
            {
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "BENCH_IMAGE": options.image,
                "BENCH_SUITE": options.suite,
                "BENCH_TESTS": str(options.tests // suite.modules),
                "BENCH_BOOT": str(self._boot(peer)),
            },
        )

    def run(self, project: Project, label: str) -> Sample:
        """Run the peer's suite once."""
        peer = project.folder.name
        if peer == "floor":
            wall = project.run(BENCH_URL=database.create(self._server, f"floor_{label}"))
            database.drop(self._server.url, f"floor_{label}")
        else:
            wall = project.run()
        boot = self._boot(peer)
        return Sample(wall, float(boot.read_text(encoding="utf-8")) if boot.exists() else None)

    def _boot(self, peer: str) -> Path:
        return self._home / f"{peer}-boot"

    def _arguments(self, peer: str) -> Sequence[str]:
        if peer == "realdb_ci":
            return (
                f"--realdb-engine={self._options.engine}",
                f"--realdb-service=postgres={self._options.image}",
            )
        if peer == "pytest_postgresql":
            url = urlsplit(self._server.url)
            return (
                f"--postgresql-host={url.hostname}",
                f"--postgresql-port={url.port}",
                f"--postgresql-user={unquote(url.username or '')}",
                f"--postgresql-password={unquote(url.password or '')}",
            )
        return ()


def measure(bench: Bench, peers: Sequence[str], rounds: int) -> dict[str, list[Sample]]:
    """One run of each that does not count, then the rounds, each peer once a round."""
    samples: dict[str, list[Sample]] = {peer: [] for peer in peers}
    projects = {peer: bench.project(peer) for peer in peers}
    for peer in peers:
        bench.run(projects[peer], "warm")
    for number, peer in alternated(peers, rounds):
        sample = bench.run(projects[peer], str(number))
        samples[peer].append(sample)
        print(f"round {number + 1} {peer}: {sample.wall:.2f} s", file=sys.stderr, flush=True)
    return samples


def judge(samples: Mapping[str, Sequence[Sample]], shares: Mapping[str, float]) -> tuple[str, bool]:
    """The medians as a Markdown table with the targets in its last column, and whether all are met."""
    medians = {peer: statistics.median(sample.wall for sample in runs) for peer, runs in samples.items()}
    ours, missed, rows = medians.get("realdb_ci", 0.0), 0, []
    for peer, runs in samples.items():
        walls = [sample.wall for sample in runs]
        target, met = _target(ours, medians[peer], shares.get(peer))
        missed += not met
        spread = f"{min(walls):.2f} to {max(walls):.2f}"
        rows.append((TITLES[peer], f"{medians[peer]:.2f}", spread, _ratio(medians[peer], ours), target))
    boots = [sample.boot for sample in samples.get("realdb_ci", ()) if sample.boot is not None]
    if boots and "floor" in medians:
        bound = medians["floor"] + statistics.median(boots)
        target, met = _target(ours, bound, MARGIN)
        missed += not met
        label = f"floor + boot of {statistics.median(boots):.2f} s"
        rows.append((label, f"{bound:.2f}", "", _ratio(bound, ours), target))
    header = ("peer", "median s", "range s", "against realdb-ci", "target: realdb-ci takes at most")
    return markdown(header, rows), not missed


def _ratio(median: float, ours: float) -> str:
    return f"{median / ours:.2f}" if ours else ""


def _target(ours: float, theirs: float, share: float | None) -> tuple[str, bool]:
    if not ours or share is None:
        return "", True
    met = ours <= share * theirs
    return f"{share:.2f} x this: {ours / theirs:.2f}, {verdict(met=met)}", met


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=SUITES, default="savepoint")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tests", type=int, default=300)
    parser.add_argument("--image", default="postgres:17-alpine")
    parser.add_argument(
        "--engine", choices=("docker", "embedded"), default="docker", help="realdb-ci's and the floor's"
    )
    parser.add_argument("--only", nargs="+", choices=TITLES, metavar="PEER")
    parser.add_argument(
        "--cache",
        default=str(Path(tempfile.gettempdir()) / "realdb-ci-bench-peers"),
        help="where the environments of the other plugins are kept",
    )
    options = parser.parse_args()
    suite = SUITES[options.suite]
    if options.tests <= 0 or options.tests % (suite.modules * suite.bodies):
        parser.error(f"--tests is a multiple of {suite.modules * suite.bodies}")
    peers = [peer for peer in suite.peers if not options.only or peer in options.only]
    try:
        with workshop(options.image, options.engine) as (home, server):
            samples = measure(Bench(home, server, options), peers, options.rounds)
    except RealdbError as problem:
        sys.exit(str(problem))
    table, met = judge(samples, SHARES[options.suite])
    print(
        f"{options.suite} suite, {options.tests} tests in {suite.modules} modules, {options.rounds} rounds, "
        f"{server.version} ({options.engine}), {circumstances()}\n\n{table}"
    )
    sys.exit(not met)


if __name__ == "__main__":
    main()
