"""Engine ``embedded``: the real server as a process of this machine, where there is no Docker.

The binaries come from the machine or from a wheel. The wheel's own Python start-up is never used: it opens
every parent directory of the data to other users and takes one lock for the whole machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from realdb_ci.engines import logs, ready, snapshots
from realdb_ci.engines.account import Account, reachable_copy
from realdb_ci.engines.contract import Notice, Offer, Run, Running
from realdb_ci.engines.copying import Output
from realdb_ci.engines.snapshots import Finish, Slot
from realdb_ci.errors import Refusal, ServerError
from realdb_ci.services.contract import Server, Service, Wish, new_secret
from realdb_ci.services.recipes import Backup, Installation, ProcessRecipe

NAME = "embedded"
PORT_ATTEMPTS = 3
STOP_SECONDS = 5.0
PREPARE_SECONDS = 120.0
# Less free memory than this, and the data goes to the disk instead.
MEMORY_BYTES = 1 << 30
END_BYTES = 1 << 20


def offer(service: Service, wish: Wish) -> Offer:
    """Name the installation that would be started."""
    found = _choose(service, wish)
    return Offer(NAME, f"{service.title} {found.version} from {found.place} ({found.binary})")


def start(service: Service, wish: Wish, run: Run) -> Running:
    """Start a private server on 127.0.0.1; a port somebody else took meanwhile is replaced by another."""
    began = time.monotonic()
    found = _choose(service, wish)
    run.notify(Notice(service.name, "start", f"{found.place} {found.version}"))
    account = Account.for_servers(service)
    slot = _slot(service, found, run)
    found = reachable_copy(found, account, run)
    launch = _Launch(service, wish, run, found, account, slot)
    for _ in range(PORT_ATTEMPTS - 1):
        with contextlib.suppress(_PortTaken):
            return launch.running(began)
    return launch.running(began)


def _choose(service: Service, wish: Wish) -> Installation:
    """The installation that serves the wish best: with its extensions, of its major version, the fullest."""
    if sys.platform == "win32":
        raise Refusal(
            "Servers are not started as processes on Windows",
            why="there they need other ways to start and to stop",
            remedy="Use Docker, or give the URL of a server.",
        )
    found = list(service.installations(os.environ.get("PATH", "")))
    candidates = [one for one in found if not one.complaint]
    if not candidates:
        broken = "; ".join(f"{one.binary} does not run: {one.complaint}" for one in found)
        raise Refusal(
            f"No {service.title} binaries that run were found on this machine",
            why=broken or "neither PATH nor the usual folders hold a server, and no wheel with one is installed",
            remedy=f"Install {service.title}, or: pip install 'realdb-ci[embedded]' (Linux x86-64, macOS).",
        )
    able = [one for one in candidates if set(wish.extensions) <= one.extensions]
    if not able:
        lacking = ", ".join(sorted(set(wish.extensions) - candidates[0].extensions))
        raise Refusal(
            f"No {service.title} of this machine has {lacking}",
            why="; ".join(f"{one.place} {one.version} was looked at" for one in candidates),
            remedy="Use Docker, or install the distribution's contrib package (postgresql-contrib).",
        )
    fitting = [one for one in able if wish.major is None or one.major == wish.major]
    if not fitting and wish.strict:
        raise Refusal(
            f"No {service.title} {wish.major} was found on this machine",
            why=f"found: {', '.join(f'{one.version} ({one.place})' for one in able)}; strict is on",
            remedy="Use Docker, install that version, or set strict = false.",
        )
    return (fitting or able)[0]


def _slot(service: Service, found: Installation, run: Run) -> Slot | None:
    """The place of the snapshot of a server from these binaries; a private copy of them counts as the same."""
    if run.snapshots is None:
        return None
    with tempfile.TemporaryDirectory() as home:
        recipe = service.process(found, Path(home), 0, "")
    if recipe.backup is None:
        return None
    settings = repr((recipe.prepare, recipe.command)).replace(home, "")
    words = (found.version, _digest(found.binary), settings, repr(sorted(found.extensions)))
    return run.snapshots.slot(service.name, NAME, *words)


def _digest(binary: Path) -> str:
    """A hash of the program's size and both its ends, where a linker writes down the sizes and places of all else.

    To read all of it would take longer than some servers take to start.
    """
    size = binary.stat().st_size
    with binary.open("rb") as file:
        head = file.read(END_BYTES)
        file.seek(max(0, size - END_BYTES))
        return hashlib.sha256(b"\0".join((str(size).encode(), head, file.read()))).hexdigest()


class _PortTaken(Exception):
    """Another process took the free port before our server could."""


@dataclass(frozen=True)
class _Launch:
    """One service, from this installation, as this account."""

    service: Service
    wish: Wish
    run: Run
    found: Installation
    account: Account
    slot: Slot | None = None

    def running(self, began: float) -> Running:
        """Start the server, from a snapshot where there is one, and wait for its first answer."""

        def start(told: str, restoring: bool) -> Running:
            return self._running(began, told, restoring=restoring)

        return snapshots.started(self.slot, self.run, start, _PortTaken)

    def _running(self, began: float, told: str, *, restoring: bool = False) -> Running:
        """Start the server on a free port and wait for its first answer; it is removed again if that fails."""
        home = self.run.folder(self.service.name, _memory())
        self.account.give(home)
        port, secret, log = _free_port(), new_secret(), home / "server.log"
        recipe = self.service.process(self.found, home, port, secret)
        kept = secret
        if restoring and self.slot and recipe.backup:
            kept = self._restore(recipe, home, self.slot, recipe.backup)
        else:
            self._prepare(recipe, home)
        with log.open("wb") as output:
            process = self.account.popen(recipe.command, home, output)
        self.run.guard.process(process.pid, recipe.stop)
        url = self.service.url("127.0.0.1", port, secret)
        try:
            first = self.service.url("127.0.0.1", port, kept)
            starting = ready.Starting(self.service, first, lambda: _ended(process, log), lambda: logs.tail(log))
            ready.wait(starting, self.run, timeout=self.wish.timeout)
            if restoring and recipe.backup:
                recipe.backup.adopt(first, secret)
            facts = self.service.settle(url, owned=True)
        except BaseException:
            _stop(process, recipe, home)
            raise
        server = Server(
            self.service.name,
            NAME,
            url,
            facts.version,
            f"{self.found.place} ({self.found.binary})",
            time.monotonic() - began,
            facts.settings,
            snapshot=told,
        )

        def save(place: Slot, command: Sequence[str]) -> Finish:
            return place.save(lambda: Output(self.account.stream(command, home)), secret, self.run)

        return Running(
            server,
            stop=lambda: _stop(process, recipe, home),
            log=lambda: logs.tail(log),
            log_since=lambda since: logs.since(log, since),
            keep=lambda: snapshots.keep(self.slot, recipe.backup, url, save),
            dead=lambda: _ended(process, log),
        )

    def _restore(self, recipe: ProcessRecipe, home: Path, slot: Slot, backup: Backup) -> str:
        """Put an earlier run's data where the recipe would have made new ones; return the password in them."""
        self._write(recipe, home)
        secret = slot.unpack(home / "data", backup)
        (home / "data").chmod(0o700)
        self.account.give_all(home / "data")
        return secret

    def _write(self, recipe: ProcessRecipe, home: Path) -> None:
        for name, content in recipe.files.items():
            self.account.write(home / name, content)

    def _prepare(self, recipe: ProcessRecipe, home: Path) -> None:
        self._write(recipe, home)
        for group in recipe.prepare:
            for command in group:
                done = self.account.run(command, home, PREPARE_SECONDS)
                if done.returncode == 0:
                    break
            else:
                program = Path(command[0]).name
                raise ServerError(
                    f"{self.service.title} could not be prepared: {program} ended with {done.returncode}",
                    why="its own words are below",
                    remedy="Mend what it complains of; a full disk or a broken installation is the usual cause.",
                    log=done.stdout[-2000:],
                )


def _ended(process: subprocess.Popen[bytes], log: Path) -> str | None:
    code = process.poll()
    if code is None:
        return None
    if "address already in use" in logs.tail(log).lower():
        raise _PortTaken
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def _stop(process: subprocess.Popen[bytes], recipe: ProcessRecipe, home: Path) -> None:
    if process.poll() is None:
        process.send_signal(recipe.stop)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    shutil.rmtree(home, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _memory() -> Path | None:
    """A folder in memory where there is room (Linux), else None for the usual temporary folder."""
    shared = Path("/dev/shm")  # noqa: S108  # the kernel's name for it
    if sys.platform == "linux" and shared.is_dir() and os.access(shared, os.W_OK):
        with contextlib.suppress(OSError):
            if shutil.disk_usage(shared).free >= MEMORY_BYTES:
                return shared
    return Path(tempfile.gettempdir())
