"""Spoiling: what may have become of a snapshot's file since it was kept, by accident or by somebody's hand."""

import gzip
import io
import os
import tarfile
from pathlib import Path

from realdb_ci import archive


def truncated(file: Path) -> None:
    """The last of it is missing."""
    file.write_bytes(file.read_bytes()[:-1000])


def garbage(file: Path) -> None:
    """It is no archive at all."""
    file.write_bytes(os.urandom(1000))


def of_another_server(file: Path) -> None:
    """It names another server."""
    note, _ = archive.plain(file, {})
    repacked(file, {**note, "key": "0" * 24}, [])


def without_data(file: Path) -> None:
    """It holds nothing but the note."""
    note, _ = archive.plain(file, {})
    repacked(file, note, [])


def leading_out(file: Path) -> None:
    """A member's name leads out of the folder."""
    note, _ = archive.plain(file, {})
    repacked(file, note, [tarfile.TarInfo("content/../../../escaped")])


def device(file: Path) -> None:
    """It holds a device."""
    note, _ = archive.plain(file, {})
    device = tarfile.TarInfo("content/null")
    device.type, device.devmajor, device.devminor = tarfile.CHRTYPE, 1, 3
    repacked(file, note, [device])


def absolute(file: Path) -> None:
    """A member's name is absolute."""
    note, _ = archive.plain(file, {})
    repacked(file, note, [tarfile.TarInfo("/tmp/escaped")])


def larger_than_any(file: Path) -> None:
    """A member says that it is huge."""
    note, _ = archive.plain(file, {})
    huge = tarfile.TarInfo("content/huge")
    huge.size = archive.MEMORY_LIMIT + 1
    repacked(file, note, [huge])


def changed(file: Path, name: str, content: bytes) -> None:
    """Put a file into the data, after any other of its name."""
    note, data = archive.plain(file, {})
    made = io.BytesIO(data)
    with tarfile.open(fileobj=made, mode="a") as tar:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), 0o600
        tar.addfile(member, io.BytesIO(content))
    archive.repack(io.BytesIO(made.getvalue()), file, note, ())
    file.chmod(0o600)


def link(file: Path) -> None:
    """It holds a link, and a file behind it."""
    note, _ = archive.plain(file, {})
    link = tarfile.TarInfo("content/base")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc"
    repacked(file, note, [link, tarfile.TarInfo("content/base/escaped")])


def others_may_write(file: Path) -> None:
    """Other users may write it."""
    file.chmod(0o666)


def itself_a_link(file: Path) -> None:
    """The file is a link."""
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def repacked(file: Path, note: dict[str, object], members: list[tarfile.TarInfo]) -> None:
    """Make it anew, with this note and these empty members."""
    empty = io.BytesIO()
    with tarfile.open(fileobj=empty, mode="w"):
        pass
    archive.repack(io.BytesIO(empty.getvalue()), file, note, ())
    with gzip.open(file) as compressed, tarfile.open(fileobj=compressed) as tar:
        kept = [(member, tar.extractfile(member)) for member in tar]
        with gzip.open(file.with_name("made"), "wb") as out, tarfile.open(fileobj=out, mode="w") as made:
            for member, content in kept:
                made.addfile(member, content)
            for member in members:
                made.addfile(member)
    file.with_name("made").replace(file)
    file.chmod(0o600)
