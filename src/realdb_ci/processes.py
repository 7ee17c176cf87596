"""Processes: children that a Ctrl-C does not reach before us, and the end of all that they started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import Any

# What ends a process at once.
if sys.platform == "win32":
    KILL = signal.SIGTERM
else:
    KILL = signal.SIGKILL


def apart() -> dict[str, Any]:
    """Options of ``Popen`` for a child whose signals are ours to give, and which can be ended with all its own."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def interrupt(child: subprocess.Popen[bytes]) -> None:
    """Do to a child that was started apart what Ctrl-C does."""
    if sys.platform == "win32":
        child.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        child.send_signal(signal.SIGINT)


def end_all(pid: int) -> None:
    """End a child that was started apart, and all that it started in turn."""
    if sys.platform == "win32":
        words = ("taskkill", "/F", "/T", "/PID", str(pid))
        subprocess.run(words, capture_output=True, check=False)
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
