"""Measured: a tar stream from wherever, read no further than what it announces."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from typing import IO, Protocol

MEMBERS_LIMIT = 1_000_000
# Bytes between the files of an archive: of each one's headers, and beyond these in one place. Where a header says
# that it is long, ``tarfile`` reads it into memory as a whole.
HEADERS = 4 << 10
SPARE = 1 << 20
PIECE = 1 << 20


class TooMuch(ValueError):
    """There is more in the stream than may be in it."""

    def __init__(self) -> None:
        super().__init__("it is larger than any of ours")


class Source(Protocol):
    """Gives bytes."""

    def read(self, size: int = -1, /) -> bytes:
        """The next ones, at most so many."""


class Measured(io.RawIOBase):
    """What ``tarfile`` reads a stream through.

    Args:
        stream: gives the bytes of a tar file, unpacked.
    """

    def __init__(self, stream: Source) -> None:
        self._stream = stream
        self._left = SPARE

    def allow(self, size: int) -> None:
        """Let a file of so many bytes be read, and the headers of the next one."""
        self._left = min(self._left, SPARE) + size + HEADERS

    def read(self, size: int = -1) -> bytes:
        """The next bytes.

        Raises:
            TooMuch: they are more than was allowed.
        """
        piece = self._stream.read(size)
        self._left -= len(piece)
        if self._left < 0:
            raise TooMuch
        return piece

    def to_the_end(self) -> None:
        """Read on to where the checksum of a compressed stream stands."""
        while self.read(PIECE):
            pass


def members(stream: Measured, limit: int) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """What a tar stream holds, the files with their content.

    Args:
        stream: the stream.
        limit: bytes of all files together.

    Raises:
        TooMuch: they are more, or too many, or somewhere between them is more than headers need.
        tarfile.TarError: it is no such stream, or ends early.
    """
    total = 0
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for number, member in enumerate(tar):
            size = member.size if member.isreg() else 0
            total += size
            # A file with holes may be of any size and take no room in the stream.
            if size < 0 or total > limit or number > MEMBERS_LIMIT or member.issparse():
                raise TooMuch
            stream.allow(size)
            yield member, tar.extractfile(member) if member.isreg() else None
