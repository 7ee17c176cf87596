"""Runner: GitHub's runner as this process sees it: a log that obeys commands, and files that it has to clean.

The log carries output of the tested project, which is not to be trusted, so the runner is told to obey nothing
in it; only while we speak ourselves it listens. The grammar of commands and files is that of the runner's
``ActionCommand``.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

# The runner cuts a message here.
MESSAGE_LIMIT = 4096


def command(name: str, data: str, **properties: str) -> str:
    """A workflow command on one line, whatever its texts hold; properties that say nothing are left out."""
    told = ",".join(f"{key}={_escaped(value, ':,')}" for key, value in properties.items() if value)
    return f"::{name} {told}".rstrip() + f"::{_escaped(data)}"


def _escaped(text: str, also: str = "") -> str:
    for character in "%\r\n" + also:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


class Log:
    """The step's log. Any thread may write.

    Args:
        stream: where it goes.
        obeys: whether somebody at its other end obeys workflow commands.
    """

    def __init__(self, stream: TextIO = sys.stdout, *, obeys: bool = True) -> None:
        self._stream = stream
        self._obeys = obeys
        self._lock = threading.RLock()
        self._token = ""
        self._at_line_start = True

    def write(self, text: str) -> None:
        """Pass on text as it is."""
        if not text:
            return
        with self._lock:
            self._stream.write(text)
            self._stream.flush()
            self._at_line_start = text.endswith("\n")

    def flush(self) -> None:
        """Files have this; everything is written at once."""

    def line(self, text: str) -> None:
        """A line of our own, on a line of its own."""
        with self._lock:
            self.write(("" if self._at_line_start else "\n") + text.rstrip("\n") + "\n")

    @contextlib.contextmanager
    def deaf(self) -> Iterator[None]:
        """While the body runs, the runner obeys nothing that is written here but what we say."""
        self._stop()
        try:
            yield
        finally:
            with self._lock:
                self._resume()

    @contextlib.contextmanager
    def group(self, title: str) -> Iterator[None]:
        """What the body writes can be folded away under this title."""
        self.command("group", title)
        try:
            yield
        finally:
            self.command("endgroup", "")

    def problem(self, kind: str, title: str, message: str) -> None:
        """An annotation: ``error``, ``warning`` or ``notice``; its message is cut where the runner would."""
        self.command(kind, message[:MESSAGE_LIMIT], title=title)

    def mask(self, secret: str) -> None:
        """Have the runner replace this text wherever it would be shown."""
        if secret:
            self.command("add-mask", secret)

    def command(self, name: str, data: str, **properties: str) -> None:
        """One workflow command; where nobody obeys them, a plain line."""
        with self._lock:
            if not self._obeys:
                if name in ("error", "warning", "notice", "group"):
                    self.line(f"{name}: {data}" if name != "group" else data)
                return
            stopped = bool(self._token)
            self._resume()
            self.line(command(name, data, **properties))
            if stopped:
                self._stop()

    def _stop(self) -> None:
        with self._lock:
            if self._obeys and not self._token:
                # Fresh each time: what was once seen in the log is of no use to anybody.
                self._token = secrets.token_hex(16)
                self.line(f"::stop-commands::{self._token}")

    def _resume(self) -> None:
        if self._token:
            self.line(f"::{self._token}::")
            self._token = ""


def give_back(workspace: Path) -> int:
    """Give what root left in the workspace to the workspace's owner, as a later checkout has to clean it.

    Returns:
        How many files and folders changed hands.
    """
    owner = workspace.stat()
    if sys.platform == "win32" or os.geteuid() != 0 or owner.st_uid == 0:
        return 0
    changed = 0
    folders = [workspace]
    while folders:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    if found.st_uid == 0 and found.st_dev == owner.st_dev:
                        os.chown(entry.path, owner.st_uid, owner.st_gid, follow_symlinks=False)
                        changed += 1
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(Path(entry.path))
    return changed
