"""Archives: a folder as one compressed file and back; what comes back may be broken or made to harm."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

# A package cache of several gigabytes costs more than it saves, and a bomb goes no further than this.
BYTES_LIMIT = 4 << 30
MEMBERS_LIMIT = 1_000_000
# What is handed on without touching a disk.
MEMORY_LIMIT = 512 << 20
NOTE = "realdb-ci.json"
CONTENT = "content"


class BrokenArchive(Exception):
    """The file cannot be unpacked as a whole; nothing of it has been put in place."""


def pack(folder: Path, file: Path, note: Mapping[str, Any]) -> None:
    """Write the folder and a note about it into a file.

    Raises:
        OSError: it cannot be read or written.
    """
    noted = file.with_name(f"{file.name}.note")
    noted.write_text(json.dumps(dict(note)), encoding="utf-8")
    # Level 1: beyond it a package cache takes longer to compress than to send.
    with gzip.open(file, "wb", compresslevel=1) as compressed, tarfile.open(fileobj=compressed, mode="w|") as tar:
        tar.add(noted, NOTE)
        tar.add(folder, CONTENT)
    noted.unlink()


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
    text = json.dumps(dict(note)).encode()
    first = tarfile.TarInfo(NOTE)
    first.size = len(text)
    try:
        with (
            gzip.open(file, "wb", compresslevel=1) as compressed,
            tarfile.open(fileobj=compressed, mode="w|") as out,
            tarfile.open(fileobj=stream, mode="r|") as tar,
        ):
            out.addfile(first, io.BytesIO(text))
            out.addfile(_folder(CONTENT))
            for member, content in _plain(tar):
                if member.name not in left_out:
                    member.name = f"{CONTENT}/{member.name}"
                    out.addfile(member, content)
    except (tarfile.TarError, EOFError) as problem:
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
            with (
                tarfile.open(fileobj=compressed, mode="r|") as tar,
                tarfile.open(fileobj=unpacked, mode="w") as out,
            ):
                for member, content in _plain(tar):
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
            _to_the_end(compressed)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError) as problem:
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


def _plain(tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """Files with their content, and folders, each where its name says, without owner and special bits.

    What describes them is made anew: a member's extended headers could give it another name.
    """
    size = 0
    for member in tar:
        size += member.size
        if size > MEMORY_LIMIT:
            raise BrokenArchive("it is larger than any of ours")
        if not member.isreg() and not member.isdir():
            raise BrokenArchive(f"{member.name!r} is neither file nor folder")
        _check(member, set())
        clean = tarfile.TarInfo(str(PurePosixPath(member.name)))
        clean.type = tarfile.DIRTYPE if member.isdir() else tarfile.REGTYPE
        clean.size, clean.mode, clean.mtime = member.size, member.mode & 0o755, member.mtime
        yield clean, tar.extractfile(member)


def _folder(name: str) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.mode = tarfile.DIRTYPE, 0o700
    return made


def _to_the_end(compressed: gzip.GzipFile) -> None:
    """Read on to where the checksum of the compressed stream stands."""
    while compressed.read(1 << 20):
        pass


def unpack(file: Path, folder: Path) -> dict[str, Any]:
    """Put the content in place of a folder that need not be there, at once or not at all.

    Returns:
        The note.

    Raises:
        BrokenArchive: truncated, not one of ours, too large, or with members that lead elsewhere.
        OSError: it cannot be written.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _extract(file, partial)
        note = json.loads((partial / NOTE).read_text(encoding="utf-8"))
        if not isinstance(note, dict) or not (partial / CONTENT).is_dir() or (partial / CONTENT).is_symlink():
            raise BrokenArchive("it holds something else")
        shutil.rmtree(folder, ignore_errors=True)
        (partial / CONTENT).rename(folder)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, FileNotFoundError) as problem:
        raise BrokenArchive(str(problem)) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return note


def _extract(file: Path, root: Path) -> None:
    size, links = 0, set[PurePosixPath]()
    with gzip.open(file, "rb") as compressed, tarfile.open(fileobj=compressed, mode="r|") as tar:
        # Python's own filter where it has one (3.11.4 and later); what it refuses, we have refused before.
        tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        for number, member in enumerate(tar):
            size += member.size
            if size > BYTES_LIMIT or number > MEMBERS_LIMIT:
                raise BrokenArchive("it is larger than any of ours")
            _check(member, links)
            # Ours, and without special bits, whoever packed it.
            member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), "", ""
            member.mode &= 0o755
            tar.extract(member, root)
        _to_the_end(compressed)


def _check(member: tarfile.TarInfo, links: set[PurePosixPath]) -> None:
    """Refuse what is neither file, folder nor link, and whatever does not stay in the folder it is unpacked to.

    The folder was empty before, so only links of the archive itself can lead anywhere; nothing may lie below
    one. Asking the file system instead would take longer than unpacking.

    Args:
        member: the next member.
        links: the symbolic links so far, which this one is added to.
    """
    name = PurePosixPath(member.name)
    inside = _depth(name) is not None and not links.intersection((name, *name.parents))
    if member.issym():
        target = PurePosixPath(member.linkname)
        depth = _depth(target, len(name.parts) - 1)
        inside = inside and depth is not None
        links.add(name)
    elif member.islnk():
        target = PurePosixPath(member.linkname)
        inside = inside and _depth(target) is not None and not links.intersection(target.parents)
    elif not member.isreg() and not member.isdir():
        raise BrokenArchive(f"{member.name!r} is neither file nor folder")
    if not inside:
        raise BrokenArchive(f"{member.name!r} leads elsewhere")


def _depth(path: PurePosixPath, start: int = 0) -> int | None:
    """How deep a path leads, from a folder of depth ``start``; None where it may lead out of the uppermost one.

    Steps upwards count only at the beginning: behind the name of a link they would start elsewhere.
    """
    if path.is_absolute():
        return None
    upwards = sum(1 for _ in itertools.takewhile(lambda part: part == "..", path.parts))
    if upwards > start or ".." in path.parts[upwards:]:
        return None
    return start - upwards + len(path.parts) - upwards
