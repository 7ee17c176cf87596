"""Archives: a folder as one compressed file and back; what comes back may be broken or made to harm."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import shutil
import tarfile
import zlib
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import IO, Any

from realdb_ci.measured import Measured, members

# A package cache of several gigabytes costs more than it saves, and a bomb goes no further than this.
BYTES_LIMIT = 4 << 30
# What is handed on without touching a disk.
MEMORY_LIMIT = 512 << 20
# Threads that make files, the size up to which a file may wait for one, and how many may.
WRITERS = 4
SMALL = 1 << 20
WAITING_LIMIT = 256
NOTE = "realdb-ci.json"
CONTENT = "content"
_TOO_LARGE = "it is larger than any of ours"
# A date that no file system refuses.
_LAST_DATE = 1 << 33
# Also what parsers and the system say of a value that is nested, or larger, than anything can be.
_BROKEN = (
    *(tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError),
    *(RecursionError, OverflowError, MemoryError),
)


class BrokenArchive(Exception):
    """The file cannot be unpacked as a whole; nothing of it has been put in place."""


def pack(folder: Path, file: Path, note: Mapping[str, Any], only: Collection[str] | None = None) -> None:
    """Write the files of a folder and a note about it into a file; links and empty folders are left out.

    Args:
        folder: the folder.
        file: where to write.
        note: what to say about it.
        only: the files to take, by their paths below it; None for all.

    Raises:
        OSError: it cannot be read or written.
    """
    names = only if only is not None else [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    with _packing(file, note) as tar:
        # A second name of a file is a file of its own.
        tar.dereference = True
        for name in sorted(names):
            path = folder / name
            if path.is_file() and not path.is_symlink():
                tar.add(path, f"{CONTENT}/{name}", filter=_in_whole_seconds)


def spool(stream: IO[bytes], out: IO[bytes]) -> None:
    """Write a tar stream as it is, for ``repack`` to read later.

    Raises:
        BrokenArchive: it is too large to be kept.
        OSError: it cannot be read or written.
    """
    size = 0
    while piece := stream.read(SMALL):
        size += len(piece)
        if size > MEMORY_LIMIT:
            raise BrokenArchive(_TOO_LARGE)
        out.write(piece)


def repack(stream: IO[bytes], file: Path, note: Mapping[str, Any], left_out: Collection[str]) -> None:
    """Write what a tar stream holds and a note about it into a file, as ``pack`` writes a folder.

    Args:
        stream: files and folders, their names relative to the folder they come from.
        file: where to write.
        note: what to say about them.
        left_out: names of that folder to leave out.

    Raises:
        BrokenArchive: the stream ends early, or holds what could not be unpacked.
        OSError: it cannot be read or written.
    """
    try:
        with _packing(file, note) as out:
            for member, content in _plain(Measured(stream), MEMORY_LIMIT):
                if member.name not in left_out:
                    member.name = f"{CONTENT}/{member.name}"
                    out.addfile(member, content)
    except (tarfile.TarError, EOFError, ValueError) as problem:
        raise BrokenArchive(str(problem)) from None


def plain(
    file: Path, own: Mapping[str, Callable[[bytes], bytes]], known: Callable[[str], bool] = lambda _: True
) -> tuple[dict[str, Any], bytes]:
    """The note, and the content as an uncompressed tar file, for a program that unpacks it elsewhere.

    Args:
        file: the archive.
        own: files of the content to write anew: what makes them from what the archive has, or raises ValueError.
        known: whether the content may have a file or folder of that name.

    Raises:
        BrokenArchive: truncated, not one of ours, too large, or with members that are not plain files and folders,
            or not known.
        OSError: it cannot be read.
    """
    note: Any = None
    unpacked = io.BytesIO()
    try:
        with gzip.open(file, "rb") as compressed:
            stream = Measured(compressed)
            with tarfile.open(fileobj=unpacked, mode="w") as out:
                for member, content in _plain(stream, MEMORY_LIMIT):
                    first, _, member.name = member.name.partition("/")
                    if first == NOTE and content is not None:
                        note = json.loads(content.read())
                    elif first != CONTENT:
                        raise BrokenArchive("it holds something else")
                    elif member.name and not known(member.name):
                        raise BrokenArchive(f"{member.name!r} is no file of such data")
                    elif member.name in own and content is not None:
                        text = own[member.name](content.read())
                        member.size = len(text)
                        out.addfile(member, io.BytesIO(text))
                    elif member.name:
                        out.addfile(member, content)
            stream.to_the_end()
    except _BROKEN as problem:
        raise BrokenArchive(str(problem)) from None
    if not isinstance(note, dict):
        raise BrokenArchive("it holds something else")
    return note, unpacked.getvalue()


def place(data: bytes, folder: Path) -> None:
    """Unpack what ``plain`` gave into a folder that is new or empty.

    Raises:
        BrokenArchive: two of its members cannot be together.
        OSError: it cannot be written.
    """
    folder.mkdir(exist_ok=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
            tar.extractall(folder)  # noqa: S202  # ``plain`` has made every member anew
    except (tarfile.TarError, FileExistsError, IsADirectoryError, NotADirectoryError) as problem:
        raise BrokenArchive(str(problem)) from None


def unpack(file: Path, folder: Path) -> dict[str, Any]:
    """Put the content in place of a folder that need not be there, at once or not at all.

    Returns:
        The note.

    Raises:
        BrokenArchive: truncated, not one of ours, too large, or with members that are not plain files and folders.
        OSError: it cannot be written.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with gzip.open(file, "rb") as compressed:
            stream = Measured(compressed)
            _write_all(_plain(stream, BYTES_LIMIT), partial)
            stream.to_the_end()
        note = json.loads((partial / NOTE).read_text(encoding="utf-8"))
        if not isinstance(note, dict) or not (partial / CONTENT).is_dir():
            raise BrokenArchive("it holds something else")
        shutil.rmtree(folder, ignore_errors=True)
        (partial / CONTENT).rename(folder)
    except (*_BROKEN, FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError) as problem:
        raise BrokenArchive(str(problem)) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return note


@contextlib.contextmanager
def _packing(file: Path, note: Mapping[str, Any]) -> Iterator[tarfile.TarFile]:
    """An archive to add content to, the note in it."""
    text = json.dumps(dict(note)).encode()
    first = tarfile.TarInfo(NOTE)
    first.size = len(text)
    # Level 1: beyond it, packages take longer to compress than to send.
    with gzip.open(file, "wb", compresslevel=1) as compressed, tarfile.open(fileobj=compressed, mode="w|") as tar:
        tar.addfile(first, io.BytesIO(text))
        yield tar


def _in_whole_seconds(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the fractions, which need a second header; compiled files know their sources' whole ones."""
    member.mtime = int(member.mtime)
    return member


def _plain(stream: Measured, limit: int) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """Files with their content, and folders, each where its name says, without owner and special bits.

    What describes them is made anew: a member's extended headers could give it another name.
    """
    for member, content in members(stream, limit):
        if not member.isreg() and not member.isdir():
            raise BrokenArchive(f"{member.name!r} is neither file nor folder")
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts:
            raise BrokenArchive(f"{member.name!r} leads elsewhere")
        if not -_LAST_DATE < member.mtime < _LAST_DATE or (member.name == NOTE and member.size > SMALL):
            raise BrokenArchive(f"{member.name!r} has a date or a size that none of ours has")
        clean = tarfile.TarInfo(str(name))
        clean.type = tarfile.DIRTYPE if member.isdir() else tarfile.REGTYPE
        clean.size = member.size if member.isreg() else 0
        clean.mode, clean.mtime = member.mode & 0o755, member.mtime
        yield clean, content


def _write_all(found: Iterable[tuple[tarfile.TarInfo, IO[bytes] | None]], root: Path) -> None:
    """Make files and folders that must not be there; ``tarfile`` would ask the file system where each one leads.

    Small files are made by several threads, as making one takes longer than unpacking it.
    """
    waiting: deque[Future[None]] = deque()
    with ThreadPoolExecutor(WRITERS) as pool:
        for member, content in found:
            path = root / member.name
            if content is None:
                path.mkdir(parents=True, exist_ok=True)
            elif member.size > SMALL:
                _write(path, member, content)
            else:
                waiting.append(pool.submit(_write, path, member, io.BytesIO(content.read())))
            if len(waiting) > WAITING_LIMIT:
                waiting.popleft().result()
        for one in waiting:
            one.result()


def _write(path: Path, member: tarfile.TarInfo, content: IO[bytes]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        opened = os.open(path, flags, member.mode)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(path, flags, member.mode)
    with os.fdopen(opened, "wb") as out:
        shutil.copyfileobj(content, out)
    os.utime(path, (member.mtime, member.mtime))
