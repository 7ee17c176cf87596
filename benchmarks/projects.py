"""Projects: whole pytest processes on suites of ours, each peer in a folder and an environment of its own."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from realdb_ci import services
from realdb_ci.config import Config
from realdb_ci.servers import Servers
from realdb_ci.services.contract import Server

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
# Every peer runs on the same releases of what is not measured.
SHARED = ("pytest", "sqlmodel", "sqlalchemy", "pydantic", "psycopg", "psycopg-binary", "psycopg2-binary")
ARGUMENTS = ("-m", "pytest", "-q", "-p", "no:cacheprovider")


@dataclass(frozen=True)
class Project:
    """A folder with a suite, and how to run it.

    Attributes:
        folder: where it lies; its name is the peer's.
        tests: how many pass.
        arguments: what pytest is given.
        python: the interpreter of its environment.
        variables: what its environment has more than ours.
    """

    folder: Path
    tests: int
    arguments: Sequence[str] = ()
    python: str = sys.executable
    variables: Mapping[str, str] = field(default_factory=dict)

    def run(self, *more: str, **variables: str) -> float:
        """Run the suite once, make sure that it really ran, and return the seconds of the whole process."""
        began = time.perf_counter()
        done = subprocess.run(
            (self.python, *ARGUMENTS, *self.arguments, *more),
            cwd=self.folder,
            env=environment(self.folder.parent, {**self.variables, **variables}),
            capture_output=True,
            text=True,
            check=False,
        )
        wall = time.perf_counter() - began
        if done.returncode or not re.search(rf"\b{self.tests} passed", done.stdout):
            sys.exit(f"{self.folder.name} did not pass:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return wall

    def events(self, *more: str, **variables: str) -> list[dict[str, Any]]:
        """The same, for the events that the plugin recorded."""
        path = self.folder.parent / f"{self.folder.name}.jsonl"
        path.unlink(missing_ok=True)
        self.run(f"--realdb-events={path}", *more, **variables)
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def environment(home: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a run: no settings of ours, and bytecode cached as on a user's machine."""
    ours = re.compile(r"REALDB_CI_|PYTEST_|PYTHONDONTWRITEBYTECODE|PYTHONPATH|POSTGRES_|PG[A-Z]+$")
    kept = {name: value for name, value in os.environ.items() if not ours.match(name)}
    return {
        **kept,
        "PYTHONPYCACHEPREFIX": str(home / "pycache"),
        "PYTHONPATH": str(HERE.parent / "fixtures" / "bookshelf"),
        # The reaper's image is not to be had everywhere; nobody starts it, so nobody pays for it.
        "TESTCONTAINERS_RYUK_DISABLED": "true",
        **variables,
    }


def copied(folder: Path, files: Mapping[str, Path]) -> Path:
    """A project's folder: these files under these names, and an ini that knows our mark."""
    folder.mkdir()
    for name, source in files.items():
        shutil.copy(source, folder / name)
    (folder / "pytest.ini").write_text(
        "[pytest]\nmarkers =\n    realdb: the mark of realdb-ci, known to every peer\n", encoding="utf-8"
    )
    return folder


def interpreter(peer: str, cache: Path) -> str:
    """The Python of the peer's own environment, made now where the requirements have changed since.

    Returns ours for a peer that has no requirements of its own.
    """
    requirements = PEERS / f"{peer}.txt"
    if not requirements.exists():
        return sys.executable
    pins = "".join(f"{name}=={version(name)}\n" for name in SHARED)
    wanted = hashlib.sha256((requirements.read_text(encoding="utf-8") + pins + sys.version).encode()).hexdigest()
    home = cache / f"{peer}-{wanted[:12]}"
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not (home / "complete").exists():
        venv.create(home, clear=True)
        (home / "constraints.txt").write_text(pins, encoding="utf-8")
        # The interpreter we were made from has the pip; an environment need not.
        subprocess.run(
            (
                *(os.path.realpath(sys.executable), "-m", "pip", "--python", str(python), "install", "--quiet"),
                *("-r", str(requirements), "-c", str(home / "constraints.txt")),
            ),
            check=True,
        )
        (home / "complete").touch()
    return str(python)


@contextmanager
def workshop(image: str, engine: str) -> Iterator[tuple[Path, Server]]:
    """A temporary folder, and a server that is up before any clock starts."""
    wish = services.wishes(Config(engine=engine, services=(f"postgres={image}",)))["postgres"]
    with tempfile.TemporaryDirectory(prefix="realdb-ci-bench-") as home, Servers() as servers:
        yield Path(home), servers.get(wish)


def alternated(names: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Each name once a round; whoever is first in one round is not in the next."""
    for number in range(rounds):
        turn = number % len(names)
        for name in (*names[turn:], *names[:turn]):
            yield number, name


def durations(events: Iterable[Mapping[str, Any]], when: str, within: str) -> list[float]:
    """Seconds of one phase of every test whose id holds that text, in the order in which they ran."""
    return [
        event["duration"]
        for event in events
        if event["event"] == "phase" and event["when"] == when and within in event["nodeid"]
    ]
