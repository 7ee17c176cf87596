"""Suite: one project's pytest, as a child process that we watch, feed with an address and never trust."""

from __future__ import annotations

import codecs
import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# A child that got SIGINT may run its fixtures' teardown; a runner that cancels a job gives us 7.5 s in all.
GRACE_SECONDS = 5.0
# Between closing its output and ending, Python may still run exit handlers.
LAST_SECONDS = 30.0
CHUNK = 1 << 16
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
        # Where a project switches entry points off, our plugin still has to come in.
        plugin = ["-p", "realdb_ci.plugin"] if self.inherited.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD") else []
        return [str(self.interpreter), "-m", "pytest", *plugin, *colour, *self.flags, *self.arguments]


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


def run(suite: Suite, write: Callable[[str], None], started: Callable[[int], None]) -> int:
    """Run it to its end.

    Args:
        suite: what to run.
        write: given its output as it comes.
        started: given its process id, to end it should we be killed.

    Returns:
        The child's return code; negative for the signal that ended it.

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
        # Its own session: we decide what a Ctrl-C does to it, and can end all it started.
        start_new_session=True,
    )
    try:
        started(child.pid)
        _pump(child, write, deadline=None)
        child.wait(LAST_SECONDS)
    except KeyboardInterrupt:
        child.send_signal(signal.SIGINT)
        _pump(child, write, deadline=time.monotonic() + GRACE_SECONDS)
        raise
    finally:
        # Whatever the suite left in its session goes with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        assert child.stdout is not None
        child.stdout.close()
    return child.returncode


def _pump(child: subprocess.Popen[bytes], write: Callable[[str], None], deadline: float | None) -> None:
    """Hand on output until the child closes it or the deadline passes; characters are never cut in two."""
    assert child.stdout is not None
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while deadline is None or time.monotonic() < deadline:
            if selector.select(timeout=0.2):
                chunk = os.read(child.stdout.fileno(), CHUNK)
                if not chunk:
                    return
                write(decoder.decode(chunk))
            elif child.poll() is not None:
                return  # a grandchild may hold the pipe open after the child has gone
