"""Suite: one project's pytest, as a child process that we watch, feed with an address and never trust."""

from __future__ import annotations

import codecs
import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from realdb_ci import processes

# A child that got SIGINT may run its fixtures' teardown; a runner that cancels a job gives us 7.5 s in all, and
# servers and reports need some of them.
GRACE_SECONDS = 4.0
# What a child left in the pipe is read for so long at most: something it started may write to it for ever.
LAST_SECONDS = 1.0
PAUSE_SECONDS = 0.2
CHUNK = 1 << 16
LAST_CHARACTERS = 4000
# What speaks for the workflow: the report needs it, and no test has any business with it.
WORKFLOW_SECRETS = ("GITHUB_TOKEN", "ACTIONS_")


@dataclass(frozen=True)
class Suite:
    """What to run.

    Attributes:
        project: the project's folder.
        arguments: pytest's arguments after ours.
        flags: our plugin's options.
        environment: variables to add to the child's environment.
        inherited: the variables it gets beside those.
        colour: whether the output goes to a terminal that shows colours.
        interpreter: the Python to run it with.
    """

    project: Path
    arguments: Sequence[str]
    flags: Sequence[str]
    environment: Mapping[str, str]
    inherited: Mapping[str, str]
    colour: bool = False
    interpreter: Path = Path(sys.executable)

    @property
    def command(self) -> list[str]:
        """The child's command line."""
        colour = ["--color=yes"] if self.colour else []
        # By name, because a project may switch entry points off; elsewhere that changes nothing.
        return [str(self.interpreter), "-m", "pytest", "-p", "realdb_ci", *colour, *self.flags, *self.arguments]


@dataclass(frozen=True)
class Ended:
    """How it ended.

    Attributes:
        returncode: the child's; negative for the signal that ended it.
        last: the end of what it wrote.
    """

    returncode: int
    last: str


def flags(events: Path, services: Iterable[str], engine: str | None, *, strict: bool = False) -> list[str]:
    """Our plugin's options.

    Args:
        events: the events file.
        services: images or URLs that the user named.
        engine: how to get servers; empty for the project's own setting.
        strict: never fall through to another engine or major version.
    """
    told = [f"--realdb-events={events}", *(f"--realdb-service={service}" for service in services)]
    return told + ([f"--realdb-engine={engine}"] if engine else []) + (["--realdb-strict"] if strict else [])


def inheritable(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of ours that a suite may see."""
    return {name: value for name, value in environ.items() if not name.startswith(WORKFLOW_SECRETS)}


def run(suite: Suite, write: Callable[[str], None], started: Callable[[int], None]) -> Ended:
    """Run it to its end.

    Args:
        suite: what to run.
        write: given its output as it comes.
        started: given its process id, to end it should we be killed.

    Raises:
        KeyboardInterrupt: we were interrupted; the child has been stopped before.
    """
    child = subprocess.Popen(
        suite.command,
        cwd=suite.project,
        env={**suite.inherited, **suite.environment, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # We decide what a Ctrl-C does to it, and can end all it started.
        **processes.apart(),
    )
    assert child.stdout is not None
    output = _Output(child.stdout, write)
    try:
        started(child.pid)
        _pump(child, output, deadline=None)
        child.wait()  # tests may have closed its output long before they end
    except KeyboardInterrupt:
        processes.interrupt(child)
        deadline = time.monotonic() + GRACE_SECONDS
        _pump(child, output, deadline)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(max(deadline - time.monotonic(), 0))
        raise
    finally:
        # Whatever the suite left running goes with it.
        processes.end_all(child.pid)
        child.wait()
        output.close()
    return Ended(child.returncode, output.last)


class _Output:
    """What a child writes, read in a thread: on Windows nothing else can wait for a pipe and for time at once.

    Args:
        pipe: where it comes from.
        write: given all of it; characters are never cut in two.
    """

    def __init__(self, pipe: IO[bytes], write: Callable[[str], None]) -> None:
        self.last = ""
        self._pipe = pipe
        self._write = write
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._chunks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, name="realdb-ci-output", daemon=True)
        self._thread.start()

    def hand_on(self, seconds: float) -> bool | None:
        """Hand on what comes next; False at the end, None where nothing came for so long."""
        try:
            chunk = self._chunks.get(timeout=seconds)
        except queue.Empty:
            return None
        text = self._decoder.decode(chunk)
        self.last = (self.last + text)[-LAST_CHARACTERS:]
        self._write(text)
        return bool(chunk)

    def close(self) -> None:
        """Close the pipe, unless somebody who left the child's session still holds it and we wait for them."""
        self._thread.join(PAUSE_SECONDS)
        if not self._thread.is_alive():
            self._pipe.close()

    def _read(self) -> None:
        chunk = b"begun"
        while chunk:
            chunk = os.read(self._pipe.fileno(), CHUNK)
            self._chunks.put(chunk)


def _pump(child: subprocess.Popen[bytes], output: _Output, deadline: float | None) -> None:
    """Hand on output until the child closes it or ends, or the deadline passes."""
    while deadline is None or time.monotonic() < deadline:
        if deadline is None and child.poll() is not None:
            deadline = time.monotonic() + LAST_SECONDS
        came = output.hand_on(PAUSE_SECONDS)
        if came is False or (came is None and child.poll() is not None):
            return  # a grandchild may hold the pipe open after the child has gone
