"""How long the Action takes from ``docker run`` to the first test, as ratios within one run of this program.

    python benchmarks/action.py [--rounds 3]

The image of the Action is built once and the images of the databases are there before the clock starts, in all
rounds alike; so what differs between cold and warm is the package cache. The Action runs as GitHub's runner would
run it (tests/runner), on fixtures/bookshelf, with a cache service on this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "runner"))

from building_image import CERTIFICATES, IMAGE, PYTHON, build  # noqa: E402
from cache_service import Store, serving  # noqa: E402
from imitation import DOCKER, Machine  # noqa: E402

GATEWAY = "172.17.0.1"
MIRROR = os.environ.get("REALDB_CI_MIRROR", "localhost:5000")


@dataclass(frozen=True)
class Measured:
    """One run, in seconds."""

    first_test: float
    environment: float
    server: float
    prepared: float


def measure(work: Path, cache: str) -> Measured:
    """Run the Action once on a fresh machine."""
    environ = {"REALDB_CI_MIRROR": MIRROR, "RYUK_CONTAINER_IMAGE": f"{MIRROR}/ryuk:0.8.1"}
    machine = Machine(work, IMAGE, environ=environ, cache=cache)
    machine.check_out(ROOT / "fixtures" / "bookshelf")
    began = time.time()
    done = machine.run(with_={"working-directory": "bookshelf"})
    assert done.code == 0, done.raw
    lines = (machine.workspace / done.outputs["events"]).read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    first = next(event["at"] for event in events if event["event"] == "start")
    spans = {event["name"]: event for event in events if event["event"] == "span"}
    installed = spans["environment"]
    restored = spans.get("cache packages", installed)
    server = next(event for event in events if event["event"] == "server")
    return Measured(
        first - began,
        installed["stop"] - restored["start"],
        server["seconds"],
        installed["stop"] - began,
    )


def entry(rounds: int) -> float:
    """Seconds the program needs for imports and inputs: a run that an input ends, less an empty container."""

    def median(*words: str) -> float:
        took = []
        for _ in range(rounds):
            began = time.monotonic()
            subprocess.run([DOCKER, "run", "--rm", *words], check=False, capture_output=True)
            took.append(time.monotonic() - began)
        return statistics.median(took)

    return median("-e", "INPUT_ENGINE=none", IMAGE) - median("--entrypoint", "true", IMAGE)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for one machine."""
    with tempfile.TemporaryDirectory(prefix="realdb-ci-benchmark-") as name:
        yield Path(name) / "_work"


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    base = os.environ.get("REALDB_CI_PYTHON_BASE")
    if not base:
        import hashlib

        mark = hashlib.sha256(CERTIFICATES.read_bytes()).hexdigest()[:12]
        build(ROOT / "tests" / "runner" / "base", PYTHON, f"realdb-ci/base:bookworm-{mark}")
        base = PYTHON
    build(ROOT, IMAGE, base)
    cold, warm = [], []
    for _ in range(rounds):
        store = Store()
        with serving(store, GATEWAY) as url:
            for results in (cold, warm):
                with folder() as work:
                    results.append(measure(work, url))
    print("| | cold | warm | warm / cold |\n|---|---|---|---|")
    for title, field in (("docker run to first test", "first_test"), ("environment ready", "environment")):
        pair = [statistics.median(getattr(one, field) for one in results) for results in (cold, warm)]
        print(f"| {title} | {pair[0]:.2f} s | {pair[1]:.2f} s | {pair[1] / pair[0]:.2f} |")
    serial = statistics.median(one.environment + one.server for one in cold)
    overlap = statistics.median(max(one.environment, one.server) for one in cold)
    print(f"\nEnvironment and server at once: {overlap:.2f} s, one after another (sum of both): {serial:.2f} s, ")
    print(f"saved {1 - overlap / serial:.0%}. Imports and inputs of the program: {entry(rounds):.2f} s.")


if __name__ == "__main__":
    main()
