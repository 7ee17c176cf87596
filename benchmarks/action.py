"""How long the Action takes from ``docker run`` to the first test, as ratios within one run of this program.

    python benchmarks/action.py [--image postgres:17-alpine] [--rounds 3] [--rate 60 --index URL]

The Action runs as GitHub's runner would run it (tests/runner), on fixtures/bookshelf, with a registry and a cache
service on this machine; its own image is built before. Rounds alternate between

- cold: nothing is there, neither the database's image nor anything in the cache;
- one after another: the same, but the server has to be ready before the project's environment is begun;
- warm: the image is there, the cache has the environment and the data of a server with the finished schema.

The project's environment is made in memory, in all three. A machine that has deleted thousands of files in the last
minutes, as this program does, makes new ones slowly: ext4 passes over the inodes that were deleted recently. The
machines of hosted runners are new; ``--disk`` measures it nevertheless.

The registry is on this machine, so that a pull is work for its processors alone, and there is little that could be
done meanwhile. ``--rate`` has it send that many megabytes a second at most, as one across a network does, and with
``--index`` a package index as well, which is that one's content and answers ten milliseconds after it was asked.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(ROOT / "tests" / "runner"))
sys.path.insert(0, str(ROOT / "tests" / "github"))

from building_image import CERTIFICATES, IMAGE, PYTHON, build  # noqa: E402
from cache_service import Store, serving  # noqa: E402
from copies import Copies  # noqa: E402
from copies import serving as serving_images  # noqa: E402
from fake_github import serving as serving_github  # noqa: E402
from imitation import DOCKER, GATEWAY, Machine  # noqa: E402
from index import serving as serving_packages  # noqa: E402
from load import Load  # noqa: E402
from projects import alternated  # noqa: E402
from tables import circumstances, markdown, verdict  # noqa: E402

MIRROR = os.environ.get("REALDB_CI_MIRROR", "localhost:5000")
SAMPLE = "bookshelf"
# Seconds that the index takes to answer.
LATENCY = 0.01
WORK = "work of all processors until then: s"
COLD, SERIAL, WARM = "cold", "one after another", "warm"
# Stands in for the image's entry point.
ONE_AFTER_ANOTHER = """#!/opt/realdb-ci/bin/python -Iu
from realdb_ci import action
from realdb_ci.servers import Servers

begin = Servers.begin


def begin_and_wait(self, wish):
    begin(self, wish)
    self.get(wish)


Servers.begin = begin_and_wait
action.main()
"""


@dataclass
class Place:
    """Where the Action runs.

    Attributes:
        registry: what has the database's image.
        api: the address of a stand-in for GitHub.
        copies: what the registry serves.
        imposed: options of ``docker run``.
        environ: variables for the Action.
        pulled: tags that the daemon has got.
    """

    registry: str
    api: str
    copies: Copies
    imposed: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    pulled: list[str] = field(default_factory=list)

    def new(self) -> str:
        """The tag of an image that the daemon does not have."""
        tag = f"benchmark-{len(self.pulled)}-{os.urandom(4).hex()}"
        self.copies.add(tag)
        self.pulled.append(tag)
        return tag

    def forget(self) -> None:
        """Remove the images from the daemon."""
        for tag in self.pulled:
            _docker("image", "rm", f"{self.registry}/postgres:{tag}")


@dataclass(frozen=True)
class Measured:
    """One run.

    Attributes:
        first_test: seconds from ``docker run`` to the first line of a test.
        ready: seconds from there to when server and environment were ready.
        work: seconds that all processors of the machine together worked until the first test.
    """

    first_test: float
    ready: float
    work: float


def measure(work: Path, cache: str, place: Place, tag: str, *options: str) -> Measured:
    """Run the Action once on a fresh machine, with these options of ``docker run`` beside the place's."""
    images = {"REALDB_CI_MIRROR": place.registry, "RYUK_CONTAINER_IMAGE": f"{MIRROR}/ryuk:0.8.1"}
    environ = {**images, **place.environ}
    imposed = (*place.imposed, *options)
    machine = Machine(work, IMAGE, environ=environ, api=place.api, cache=cache, imposed=imposed)
    machine.check_out(ROOT / "fixtures" / SAMPLE)
    began = time.time()
    with Load() as load:
        done = machine.run(with_={"working-directory": SAMPLE, "services": f"postgres:{tag}"})
    assert done.code == 0, done.raw
    lines = (machine.workspace / done.outputs["events"]).read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    first = next(event["at"] for event in events if event["event"] == "phase" and event["when"] == "setup")
    server = next(event["ready"] for event in events if event["event"] == "server")
    installed = next(
        event["stop"] for event in events if event["event"] == "span" and event["name"] == "environment"
    )
    return Measured(first - began, max(installed, server) - began, load.until(first))


def _docker(*words: str) -> str:
    return subprocess.run([DOCKER, *words], check=True, capture_output=True, text=True).stdout


def runs(rounds: int, place: Place) -> dict[str, list[Measured]]:
    """Measure each way in each round."""
    took: dict[str, list[Measured]] = {COLD: [], SERIAL: [], WARM: []}
    with folder() as scripts:
        script = scripts / "entry"
        scripts.mkdir()
        script.write_text(ONE_AFTER_ANOTHER, encoding="utf-8")
        script.chmod(0o755)
        serially = ("-v", f"{script}:/entry:ro", "--entrypoint", "/entry")

        def cold(*options: str) -> Measured:
            with serving(Store(), GATEWAY) as url, folder() as work:
                return measure(work, url, place, place.new(), *options)

        warmed, kept = Store(), place.new()

        def warm() -> Measured:
            with serving(warmed, GATEWAY) as url:
                if not warmed.entries:
                    with folder() as work:
                        measure(work, url, place, kept)
                with folder() as work:
                    return measure(work, url, place, kept)

        cold()  # fills what is kept between runs by others than the Action: the daemon, the index
        ways: dict[str, Callable[[], Measured]] = {COLD: cold, SERIAL: lambda: cold(*serially), WARM: warm}
        for _, way in alternated(list(ways), rounds):
            took[way].append(ways[way]())
    return took


def entry(rounds: int) -> float:
    """Seconds the program needs for imports and inputs: a run that an input ends, less an empty container."""

    def median(*words: str) -> float:
        took = []
        for _ in range(rounds):
            began = time.monotonic()
            subprocess.run([DOCKER, "run", "--rm", *words], check=False, capture_output=True)
            took.append(time.monotonic() - began)
        return statistics.median(took)

    # Without the variables of a runner it would look for a project in the container's root.
    given = ("-e", "INPUT_ENGINE=none", "-e", "GITHUB_WORKSPACE=/tmp")
    return median(*given, IMAGE) - median("--entrypoint", "true", IMAGE)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for one machine."""
    with tempfile.TemporaryDirectory(prefix="realdb-ci-benchmark-") as name:
        yield Path(name) / "_work"


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", default="postgres:17-alpine")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--disk", action="store_true", help="make the project's environment on the disk")
    parser.add_argument("--rate", type=float, default=0.0, metavar="MB/S", help="what the registry sends at most")
    parser.add_argument("--index", metavar="URL", help="a package index to be as far away; needs --rate")
    options = parser.parse_args()
    rounds, imposed = options.rounds, () if options.disk else ("--tmpfs", "/var/cache:exec")
    base = os.environ.get("REALDB_CI_PYTHON_BASE")
    if not base:
        mark = hashlib.sha256(CERTIFICATES.read_bytes()).hexdigest()[:12]
        build(ROOT / "tests" / "runner" / "base", PYTHON, f"realdb-ci/base:bookworm-slim-{mark}")
        base = PYTHON
    build(ROOT, IMAGE, base)
    with folder() as files:
        files.mkdir()
        copies = Copies(f"{MIRROR}/{options.image}", files)
        rate = options.rate * 1e6
        indexed = serving_packages(options.index, GATEWAY, rate, LATENCY) if options.index else nullcontext()
        with serving_images(copies, rate) as registry, indexed as index, serving_github(GATEWAY) as github:
            place = Place(registry, github.url, copies, imposed, {"UV_DEFAULT_INDEX": index} if index else {})
            took = runs(rounds, place)
            place.forget()
    far = f"a registry that sends {options.rate:g} MB/s" if options.rate else "a registry on this machine"
    far += ", packages from an index that does, too" if options.index else ""
    print(f"{rounds} rounds, {options.image} ({copies.size / 1e6:.0f} MB) from {far}, {circumstances()}\n")
    medians = {
        way: [
            statistics.median(getattr(one, field) for one in samples) for field in ("ready", "first_test", "work")
        ]
        for way, samples in took.items()
    }
    rows = []
    for way, samples in took.items():
        seconds = sorted(one.first_test for one in samples)
        ratio = medians[way][1] / medians[COLD][1]
        spread = f"{seconds[0]:.2f} to {seconds[-1]:.2f}"
        told = [f"{one:.2f}" for one in medians[way]]
        rows.append((way, told[0], told[1], spread, f"{ratio:.2f}", told[2]))
    header = ("way", "server and environment ready: s", "first test runs: s", "range", "first test / cold", WORK)
    print(markdown(header, rows))
    overlap, program = 1 - medians[COLD][1] / medians[SERIAL][1], entry(max(rounds, 5))
    targets = [
        ("warm / cold, to the first test", medians[WARM][1] / medians[COLD][1], 0.5, "at most"),
        ("saved by doing both at once, to the first test", overlap, 0.25, "at least"),
        ("imports and inputs of the program, s", program, 0.5, "at most"),
    ]
    figures = []
    for name, value, target, side in targets:
        met = value <= target if side == "at most" else value >= target
        figures.append((name, f"{value:.2f}", f"{side} {target:g}", verdict(met=met)))
    print("\n" + markdown(("figure", "measured", "target", ""), figures))


if __name__ == "__main__":
    main()
