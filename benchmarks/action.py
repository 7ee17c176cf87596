"""How long the Action takes from ``docker run`` to the first test, as ratios within one run of this program.

    python benchmarks/action.py [--rounds 3] [--rate 20]

The Action runs as GitHub's runner would run it (tests/runner), on fixtures/bookshelf, with a registry and a cache
service on this machine; its own image is built before. Rounds alternate between

- cold: nothing is there, neither the database's image nor anything in the cache;
- one after another: the same, but the server has to be ready before the project's environment is begun;
- warm: the image is there, the cache has the environment and the data of a server with the finished schema.

The project's environment is made in memory, in all three. A machine that has deleted thousands of files in the last
minutes, as this program does, makes new ones slowly: ext4 passes over the inodes that were deleted recently. The
machines of hosted runners are new; ``--disk`` measures it nevertheless.

The registry is on this machine, so that a pull is work for its processors alone, and there is little that could be
done meanwhile. ``--rate`` has it send that many megabytes a second at most, as one across a network does.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(ROOT / "tests" / "runner"))
sys.path.insert(0, str(ROOT / "tests" / "github"))

from building_image import CERTIFICATES, IMAGE, PYTHON, build  # noqa: E402
from cache_service import Store, serving  # noqa: E402
from fickle_registry import Fickle  # noqa: E402
from fickle_registry import serving as serving_images  # noqa: E402
from imitation import DOCKER, GATEWAY, Machine  # noqa: E402
from projects import alternated  # noqa: E402
from tables import circumstances, markdown, verdict  # noqa: E402

MIRROR = os.environ.get("REALDB_CI_MIRROR", "localhost:5000")
SAMPLE, SERVICE, ORIGIN = "bookshelf", "postgres:benchmark", f"{MIRROR}/postgres:17-alpine"
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


@dataclass(frozen=True)
class Place:
    """Where the Action runs.

    Attributes:
        registry: what has the database's image.
        imposed: options of ``docker run``.
    """

    registry: str
    imposed: tuple[str, ...]

    @property
    def image(self) -> str:
        """The database's."""
        return f"{self.registry}/{SERVICE}"

    def forget(self) -> None:
        """Remove the database's image from the daemon."""
        _docker("image", "rm", self.image)


@dataclass(frozen=True)
class Measured:
    """Seconds from ``docker run`` to the first line of a test, and to when server and environment were ready."""

    first_test: float
    ready: float


def measure(work: Path, cache: str, place: Place, *options: str) -> Measured:
    """Run the Action once on a fresh machine, with these options of ``docker run`` beside the place's."""
    environ = {"REALDB_CI_MIRROR": place.registry, "RYUK_CONTAINER_IMAGE": f"{MIRROR}/ryuk:0.8.1"}
    machine = Machine(work, IMAGE, environ=environ, cache=cache, imposed=(*place.imposed, *options))
    machine.check_out(ROOT / "fixtures" / SAMPLE)
    began = time.time()
    done = machine.run(with_={"working-directory": SAMPLE, "services": SERVICE})
    assert done.code == 0, done.raw
    lines = (machine.workspace / done.outputs["events"]).read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    first = next(event["at"] for event in events if event["event"] == "phase" and event["when"] == "setup")
    server = next(event["ready"] for event in events if event["event"] == "server")
    installed = next(
        event["stop"] for event in events if event["event"] == "span" and event["name"] == "environment"
    )
    return Measured(first - began, max(installed, server) - began)


def publish() -> None:
    """Put a copy of the database's image into the registry, in a layer that no other image or build has here."""
    _docker("pull", "--quiet", ORIGIN)
    config = json.loads(_docker("image", "inspect", ORIGIN))[0]["Config"]
    changes = [
        f"ENV {name}={json.dumps(value)}" for name, _, value in (one.partition("=") for one in config["Env"])
    ]
    changes += [f"ENTRYPOINT {json.dumps(config['Entrypoint'])}", f"CMD {json.dumps(config['Cmd'])}"]
    changes += [f"VOLUME {json.dumps(sorted(config['Volumes']))}"]
    container = _docker("create", ORIGIN).strip()
    with folder() as place:
        place.mkdir()
        _docker("export", "--output", str(place / "image.tar"), container)
        (place / "new").write_text(str(time.time()), encoding="utf-8")
        with tarfile.open(place / "image.tar", "a") as tar:
            tar.add(place / "new", "benchmark")
        changed = (word for one in changes for word in ("--change", one))
        _docker("import", *changed, str(place / "image.tar"), f"{MIRROR}/{SERVICE}")
    _docker("rm", "--volumes", container)
    _docker("push", "--quiet", f"{MIRROR}/{SERVICE}")
    _docker("image", "rm", f"{MIRROR}/{SERVICE}")


def _docker(*words: str) -> str:
    return subprocess.run([DOCKER, *words], check=True, capture_output=True, text=True).stdout


def runs(rounds: int, place: Place) -> dict[str, list[Measured]]:
    """Measure each way in each round."""
    took: dict[str, list[Measured]] = {COLD: [], SERIAL: [], WARM: []}
    publish()
    with folder() as scripts:
        script = scripts / "entry"
        scripts.mkdir()
        script.write_text(ONE_AFTER_ANOTHER, encoding="utf-8")
        script.chmod(0o755)
        serially = ("-v", f"{script}:/entry:ro", "--entrypoint", "/entry")

        def cold(*options: str) -> Measured:
            with serving(Store(), GATEWAY) as url, folder() as work:
                measured = measure(work, url, place, *options)
            place.forget()
            return measured

        warmed = Store()

        def warm() -> Measured:
            with serving(warmed, GATEWAY) as url:
                if not warmed.entries:
                    with folder() as work:
                        measure(work, url, place)
                _docker("pull", "--quiet", place.image)
                with folder() as work:
                    measured = measure(work, url, place)
            place.forget()
            return measured

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
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--disk", action="store_true", help="make the project's environment on the disk")
    parser.add_argument("--rate", type=float, default=0.0, metavar="MB/S", help="what the registry sends at most")
    options = parser.parse_args()
    rounds, imposed = options.rounds, () if options.disk else ("--tmpfs", "/var/cache:exec")
    base = os.environ.get("REALDB_CI_PYTHON_BASE")
    if not base:
        mark = hashlib.sha256(CERTIFICATES.read_bytes()).hexdigest()[:12]
        build(ROOT / "tests" / "runner" / "base", PYTHON, f"realdb-ci/base:bookworm-{mark}")
        base = PYTHON
    build(ROOT, IMAGE, base)
    with serving_images(Fickle(MIRROR, rate=options.rate * 1e6)) as limited:
        took = runs(rounds, Place(limited if options.rate else MIRROR, imposed))
    registry = f"a registry that sends {options.rate:g} MB/s" if options.rate else "a registry on this machine"
    print(f"{rounds} rounds, {ORIGIN.rpartition('/')[2]} from {registry}, {circumstances()}\n")
    medians = {
        way: [statistics.median(getattr(one, field) for one in samples) for field in ("ready", "first_test")]
        for way, samples in took.items()
    }
    rows = []
    for way, samples in took.items():
        seconds = sorted(one.first_test for one in samples)
        ratio = medians[way][1] / medians[COLD][1]
        spread = f"{seconds[0]:.2f} to {seconds[-1]:.2f}"
        rows.append((way, f"{medians[way][0]:.2f}", f"{medians[way][1]:.2f}", spread, f"{ratio:.2f}"))
    header = ("way", "server and environment ready: s", "first test runs: s", "range", "first test / cold")
    print(markdown(header, rows))
    overlap, program = 1 - medians[COLD][0] / medians[SERIAL][0], entry(max(rounds, 5))
    targets = [
        ("warm / cold, to the first test", medians[WARM][1] / medians[COLD][1], 0.5, "at most"),
        ("saved by doing both at once, until both are ready", overlap, 0.25, "at least"),
        ("imports and inputs of the program, s", program, 0.5, "at most"),
    ]
    told = []
    for name, value, target, side in targets:
        met = value <= target if side == "at most" else value >= target
        told.append((name, f"{value:.2f}", f"{side} {target:g}", verdict(met=met)))
    print("\n" + markdown(("figure", "measured", "target", ""), told))


if __name__ == "__main__":
    main()
