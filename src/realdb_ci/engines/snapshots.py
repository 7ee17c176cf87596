"""Snapshots: the data of a server whose schema is finished, kept so that the next run need not build it.

One file a server and project, in a folder that only this user may write. What is in it is used as if it had come
from a stranger: it may be broken, of another server, or made to harm; then it is removed, and the server starts
without it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import os
import platform
import shutil
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from realdb_ci import __version__, archive

if TYPE_CHECKING:
    from realdb_ci.engines.contract import Run, Running
    from realdb_ci.services.recipes import Backup

FORMAT = 1
# Those unused for longest go first.
FILES_LIMIT = 10
BYTES_LIMIT = 1 << 30
ENDING = ".tar.gz"
# A server's own list of what a copy holds; nothing reads it after the copy.
LEFT_OUT = ("backup_manifest", "postmaster.pid", "postmaster.opts")
Finish = Callable[[], None]


class Unusable(Exception):
    """The snapshot that was found cannot be used, and why."""


class Unfit(Exception):
    """These data are not kept, and why."""


@dataclass(frozen=True)
class Snapshots:
    """Where the snapshots of a project are kept.

    Attributes:
        folder: the folder of all projects' snapshots, made where it is missing.
        project: what tells this project from others.
        restore: called before the folder is looked into, to put there what is kept elsewhere; by several threads.
    """

    folder: Path
    project: str
    restore: Callable[[], None] = lambda: None

    @classmethod
    def of(cls, wanted: bool, cache: Path | None, *roots: Path) -> Snapshots | None:
        """Those of some projects on one server, None where none are wanted or there is no place for them."""
        if not wanted or cache is None:
            return None
        return cls(cache / "snapshots", os.pathsep.join(str(root.resolve()) for root in roots))

    def slot(self, service: str, *words: str) -> Slot:
        """The place of one server's snapshot.

        Args:
            service: the service's name.
            words: all that a data folder depends on: the server's digest, its settings.
        """
        self.restore()
        parts = (str(FORMAT), __version__, platform.machine(), "".join(platform.libc_ver()), self.project, *words)
        key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
        return Slot(self.folder / f"{service}-{key}{ENDING}", key)


@dataclass(frozen=True)
class Slot:
    """The place of one server's snapshot.

    Attributes:
        file: its file, which need not be there.
        key: what a snapshot in this place has to name.
    """

    file: Path
    key: str

    @property
    def filled(self) -> bool:
        """Whether there is a file to be looked at."""
        return self.file.is_symlink() or self.file.exists()

    def content(self, backup: Backup) -> tuple[str, bytes]:
        """The administrator's password, and the data folder as a tar file.

        Args:
            backup: says what is not to be believed.

        Raises:
            Unusable: it is broken, foreign or made to harm.
        """
        try:
            _check_owner(self.file)
            note, data = archive.plain(self.file, backup.own, backup.known)
        except (archive.BrokenArchive, OSError) as problem:
            raise Unusable(str(problem)) from None
        secret = note.get("secret")
        if note.get("key") != self.key or not isinstance(secret, str):
            raise Unusable("it is of another server")
        with contextlib.suppress(OSError):
            os.utime(self.file)  # used just now, so the last to go
        return secret, data

    def unpack(self, folder: Path, backup: Backup) -> str:
        """Put the data into a new folder; return the administrator's password.

        Raises:
            Unusable: it is broken, foreign or made to harm.
        """
        secret, data = self.content(backup)
        try:
            archive.place(data, folder)
        except (archive.BrokenArchive, OSError) as problem:
            raise Unusable(str(problem)) from None
        return secret

    def discard(self) -> None:
        """Remove the file, if that is ours to do."""
        with contextlib.suppress(OSError):
            self.file.unlink()

    def save(self, stream: Callable[[], io.RawIOBase], secret: str, run: Run) -> Finish:
        """Read a tar stream of the data folder, to keep what it holds; whole or not at all.

        Args:
            stream: opens it; closing it raises OSError where the copy failed.
            secret: the administrator's password in these data.
            run: whose end, even by a kill, removes what is not finished.

        Returns:
            What keeps it, which needs no server any more and may raise the same.

        Raises:
            OSError: it could not be read or written.
            archive.BrokenArchive: it cannot be kept.
        """
        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        private = run.folder("snapshot", self.file.parent)
        copied = private / "copied.tar"
        try:
            with io.BufferedReader(stream(), 1 << 16) as opened, copied.open("wb") as out:
                archive.spool(opened, out)
        except BaseException:
            shutil.rmtree(private, ignore_errors=True)
            raise
        return functools.partial(self._finish, copied, secret)

    def _finish(self, copied: Path, secret: str) -> None:
        """Compress what was copied, and put it in its place."""
        try:
            partial = copied.with_name(self.file.name)
            with copied.open("rb") as opened:
                archive.repack(opened, partial, {"key": self.key, "secret": secret}, LEFT_OUT)
            partial.chmod(0o600)
            partial.replace(self.file)
        finally:
            shutil.rmtree(copied.parent, ignore_errors=True)
        prune(self.file.parent)


def started(
    slot: Slot | None, run: Run, start: Callable[[str, bool], Running], passing: type[Exception]
) -> Running:
    """Start a server, from its snapshot where there is one that works.

    Args:
        slot: the snapshot's place, None where none is kept.
        run: the run; once it is cancelled nothing is tried again.
        start: starts the server, given what to say of the snapshot, and whether to start from it.
        passing: what says nothing about the snapshot.
    """
    if slot is None or not slot.filled:
        return start("", False)
    try:
        return start("from a snapshot", True)
    except passing:
        raise
    except Exception as problem:
        if run.cancelled.is_set():
            raise
        slot.discard()
        trouble = str(problem) if isinstance(problem, Unusable) else "no server starts from it"
    return start(f"warning: its snapshot was removed: {trouble}", False)


def keep(
    slot: Slot | None, backup: Backup | None, url: str, save: Callable[[Slot, Sequence[str]], Finish]
) -> Finish:
    """Copy a server's data, where there is a place for them and nothing forbids it.

    Args:
        slot: the place.
        backup: how this service's data are copied.
        url: the administrator's URL.
        save: copies what a command beside the server writes, for the place.

    Returns:
        What keeps the copy; see ``Slot.save``.

    Raises:
        Unfit: the data hold what must not reach another run.
        OSError, archive.BrokenArchive: as ``Slot.save``.
    """
    if slot is None or backup is None:
        return lambda: None
    with backup.still(url):
        why = backup.unfit(url)
        if why:
            raise Unfit(why)
        return save(slot, backup.command)


def prune(folder: Path) -> None:
    """Remove the snapshots unused for longest where there are too many, or where they take too much."""
    found = []
    for file in folder.glob(f"*{ENDING}"):
        with contextlib.suppress(OSError):
            known = file.lstat()
            found.append((known.st_mtime, known.st_size, file))
    size = 0
    for number, (_, bytes_, file) in enumerate(sorted(found, reverse=True)):
        size += bytes_
        if number >= FILES_LIMIT or size > BYTES_LIMIT:
            with contextlib.suppress(OSError):
                file.unlink()


def _check_owner(file: Path) -> None:
    """Refuse a file that anybody else could have written."""
    known = file.lstat()
    if not stat.S_ISREG(known.st_mode):
        raise Unusable("it is not a file")
    if hasattr(os, "geteuid") and known.st_uid != os.geteuid():
        raise Unusable("it belongs to another user")
    if os.name == "posix" and known.st_mode & 0o022:
        raise Unusable("others may write it")
