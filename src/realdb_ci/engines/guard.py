"""Guard: a small process that outlives us by a moment and removes what we left if we were killed.

A run that ends in order cleans up by itself and dismisses its guard. After SIGKILL nobody else can: the guard
sees its standard input close, and then stops the servers, containers and folders it was told of. It is told
only of things this run made, by process id, run id and path, or a prefix of names with the run id in it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from realdb_ci import processes

DISMISSED = "dismissed"


class Guard:
    """The owner's side: started with the first thing that needs guarding."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def directory(self, path: Path) -> None:
        """Remove this folder of ours if we are killed."""
        self._tell(f"directory {path}")

    def process(self, pid: int, stop: int) -> None:
        """Stop this process of ours with signal ``stop``, then for good, if we are killed."""
        self._tell(f"process {pid} {stop}")

    def containers(self, label: str) -> None:
        """Remove containers, networks and volumes that carry this label (``key=value``) if we are killed."""
        self._tell(f"containers {label}")

    def databases(self, service: str, prefix: str, url: str) -> None:
        """Drop the databases whose names start so, on a server that is not ours, if we are killed."""
        self._tell(f"databases {service} {prefix} {url}")

    def dismiss(self) -> None:
        """The run ended in order: the guard goes without touching anything."""
        with self._lock:
            process, self._process = self._process, None
        if process and process.stdin:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(DISMISSED + "\n")
                process.stdin.close()
            process.wait()

    def _tell(self, line: str) -> None:
        with self._lock:
            if self._process is None:
                # A session of its own: a Ctrl-C in the terminal must not reach it.
                self._process = subprocess.Popen(
                    [sys.executable, "-c", "from realdb_ci.engines.guard import watch; watch()"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    **processes.apart(),
                    cwd="/" if os.name == "posix" else None,
                )
            assert self._process.stdin is not None
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()


def watch() -> None:
    """The guard's own side: read until the owner dismisses us or dies, then clean up after a death."""
    told = [line.rstrip("\n") for line in sys.stdin]
    if told and told[-1] == DISMISSED:
        return
    for line in reversed(told):
        kind, _, rest = line.partition(" ")
        # Whatever fails here, the next thing must still be removed.
        with contextlib.suppress(Exception):
            _REMOVERS[kind](rest)


def _remove_directory(path: str) -> None:
    shutil.rmtree(path, ignore_errors=True)


def _stop_process(words: str) -> None:
    pid, stop = map(int, words.split())
    os.kill(pid, stop)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        os.kill(pid, 0)
        time.sleep(0.05)
    os.kill(pid, processes.KILL)


def _drop_databases(words: str) -> None:
    from realdb_ci import services

    service, prefix, url = words.split(" ", 2)
    services.get(service).sweep(url, prefix)


def _remove_containers(label: str) -> None:
    from realdb_ci.engines.daemon import sweep

    sweep(label)


_REMOVERS = {
    "directory": _remove_directory,
    "process": _stop_process,
    "containers": _remove_containers,
    "databases": _drop_databases,
}
