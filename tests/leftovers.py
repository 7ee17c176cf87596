"""Leftovers: what a run of ours, in a process of its own, left on this machine."""

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import psutil

from realdb_ci.engines.contract import RUN_LABEL

# In the environment of a run that a test starts: its processes are known by it, whoever their parent is by now.
MARK = "REALDB_TEST_MARK"
# In a test of such a run: tells the run's id, which its servers' folders and its containers have in their names.
TELL_RUN = """__import__("pathlib").Path("run").write_text(postgres_url.rpartition("/")[2].split("_")[1])"""


def processes(mark: str, run: str | None = None) -> list[str]:
    """Command lines of all that had this mark in their environment, and of the run's servers."""
    found = []
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
            of_run = run is not None and run in command
            if process.pid != os.getpid() and (process.environ().get(MARK) == mark or of_run):
                found.append(command)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def folders(temporary: Path, run: str) -> list[Path]:
    """What is left in that run's temporary folder and, of that run, in the folder in memory."""
    return [*temporary.iterdir(), *Path("/dev/shm").glob(f"*{run}*")]


def containers(run: str) -> Sequence[Any]:
    """Containers, networks and volumes of that run."""
    filters: Any = {"label": f"{RUN_LABEL}={run}"}
    with closing(docker.from_env()) as client:
        return [
            *client.containers.list(all=True, filters=filters),
            *client.networks.list(filters=filters),
            *client.volumes.list(filters=filters),
        ]
