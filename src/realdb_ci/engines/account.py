"""Accounts: whom a server process runs as. PostgreSQL refuses root; everything else runs as we do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from realdb_ci import processes
from realdb_ci.errors import Refusal
from realdb_ci.services.contract import Service
from realdb_ci.services.recipes import Installation

if TYPE_CHECKING:
    from realdb_ci.engines.contract import Run

# Ordinary accounts that exist on nearly every Unix, the most fitting first.
CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """Whom to run as: ``uid`` and ``gid`` of an ordinary account, or None for ourselves."""

    uid: int | None = None
    gid: int | None = None

    @classmethod
    def for_servers(cls, service: Service) -> Account:
        """The account for this service: an ordinary one where the server refuses root and we are root.

        Raises:
            Refusal: we are root and the machine has no ordinary account we know of.
        """
        if sys.platform == "win32" or not service.refuses_root or os.geteuid() != 0:
            return cls()
        import pwd

        for name in CANDIDATES:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid)
        raise Refusal(
            f"{service.title} cannot be started as root",
            why=f"it refuses root, and none of the accounts {', '.join(CANDIDATES)} exists",
            remedy="Run as an ordinary user, or create the account nobody.",
        )

    def give(self, path: Path) -> None:
        """Make a path of ours the account's own."""
        if sys.platform != "win32" and self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def write(self, path: Path, content: str) -> None:
        """Write a file that only the account may read."""
        with open(path, "w", encoding="utf-8", opener=_private) as file:  # takes an opener
            file.write(content)
        self.give(path)

    def run(self, command: Sequence[str], home: Path, seconds: float) -> subprocess.CompletedProcess[str]:
        """Run a command to its end as the account; standard error is part of ``stdout``."""
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            **self._options(home),
        )

    def stream(self, command: Sequence[str], home: Path) -> subprocess.Popen[bytes]:
        """Run a command as the account whose standard output is read while it runs."""
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            **self._options(home),
        )

    def give_all(self, folder: Path) -> None:
        """Make a folder of ours the account's own, with all that is in it."""
        if self.uid is None:
            return
        self.give(folder)
        for parent, folders, files in os.walk(folder):
            for name in (*folders, *files):
                self.give(Path(parent, name))

    def popen(self, command: Sequence[str], home: Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a server as the account, in a session of its own so that Ctrl-C does not reach it first."""
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            **processes.apart(),
            **self._options(home),
        )

    def _options(self, home: Path) -> dict[str, Any]:
        options: dict[str, Any] = {"cwd": home, "env": _environment(home)}
        if self.uid is not None:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return options


def reachable_copy(found: Installation, account: Account, run: Run) -> Installation:
    """The installation itself, or a private copy where the account may not reach it.

    A virtual environment below a private home directory is out of an ordinary account's reach; opening
    directories that are not ours is no way out, so its few files are copied into a folder of the run.
    """
    if account.uid is None or found.root is None:
        return found
    try:
        account.run([str(found.binary), "--version"], Path("/"), 30).check_returncode()
    except (PermissionError, subprocess.CalledProcessError):
        home = run.folder("binaries")
        account.give(home)
        package = found.root.parent
        copied = home / package.name / found.root.name
        shutil.copytree(found.root, copied, symlinks=True)
        # A repaired wheel keeps shared libraries beside its package; the binaries look for them there.
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, home / libraries.name, symlinks=True)
        return replace(found, binary=copied / found.binary.relative_to(found.root), root=copied)
    return found


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _environment(home: Path) -> Mapping[str, str]:
    """What a server needs of our environment: nothing that could change its behaviour."""
    kept = ("PATH", "LD_LIBRARY_PATH", "TZDIR", "SYSTEMROOT")
    return {name: os.environ[name] for name in kept if name in os.environ} | {
        "HOME": str(home),
        "LC_ALL": "C",
    }
