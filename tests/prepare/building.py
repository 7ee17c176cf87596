"""The wheel that the image holds, built from these sources; packages and indexes for projects to be tested."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from realdb_ci.prepare.environment import Environment

ROOT = Path(__file__).parents[2]
Make = Callable[..., Environment]


@functools.cache
def wheel() -> Path:
    """Build it once."""
    out = tempfile.mkdtemp(prefix="realdb-ci-wheel-")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return next(Path(out).glob("*.whl"))


def package(index: Path, name: str, version: str, requires: Sequence[str] = ()) -> Path:
    """Put a package of one empty module into the folder of an index, and return its wheel."""
    module, folder = name.replace("-", "_"), index / name
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{module}-{version}-py3-none-any.whl"
    about = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {one}" for one in requires)]
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(f"{module}.py", "")
        for file, lines in {
            "METADATA": ["Metadata-Version: 2.1", *about],
            "WHEEL": ["Wheel-Version: 1.0", "Root-Is-Purelib: true", "Tag: py3-none-any"],
            "RECORD": [],
        }.items():
            archive.writestr(f"{module}-{version}.dist-info/{file}", "".join(f"{line}\n" for line in lines))
    return made


@contextmanager
def serving(index: Path) -> Iterator[str]:
    """Serve the folder of an index, and tell its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    handler = functools.partial(Quiet, directory=str(index))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def lock(project: Path, home: Path) -> None:
    """Make the project's uv.lock, with what uv has downloaded before."""
    words = [Path(sys.executable).with_name("uv"), "lock", "--quiet", "--cache-dir", home / "packages"]
    subprocess.run(words, cwd=project, check=True)


def asked(made: Environment, code: str) -> str:
    """What a line of Python prints there."""
    return subprocess.run([made.interpreter, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def versions(made: Environment, *names: str) -> list[str | None]:
    """The version of each package in an environment, None for one that is not there."""
    told = asked(made, "import importlib.metadata as m; print([(d.name, d.version) for d in m.distributions()])")
    there = dict(ast.literal_eval(told))
    return [there.get(name) for name in names]
