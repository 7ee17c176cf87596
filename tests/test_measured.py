"""Measured tar streams: a small file of them fills no memory and takes no hours, wherever the rest is hidden."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

import pytest

from realdb_ci.measured import SPARE, Measured, TooMuch, members

LIMIT = 8 * SPARE


class Counting(io.BytesIO):
    """A stream that knows how much of it was read."""

    read_so_far = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes."""
        piece = super().read(size)
        self.read_so_far += len(piece)
        return piece


def tar(*sizes: int, **told: object) -> bytes:
    """A tar stream with files of these sizes, of which the first is said to be something else."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as out:
        for number, size in enumerate(sizes):
            member = tarfile.TarInfo(f"file{number}")
            member.size = size
            if number == 0:
                member.type = told.get("type", member.type)  # type: ignore[assignment]
            out.addfile(member, io.BytesIO(b"x" * size))
    return packed.getvalue()


def names(stream: Measured) -> Iterator[str]:
    """The names of all files, then the stream to its end."""
    for member, content in members(stream, LIMIT):
        assert content is None or len(content.read()) == member.size
        yield member.name
    stream.to_the_end()


def test_all_that_is_within_the_limits_is_read() -> None:
    """Files of any size below it, between many small ones."""
    packed = tar(*range(300), 2 * SPARE, *range(300), 3 * SPARE)
    assert len(list(names(Measured(io.BytesIO(packed))))) == 602


BOMBS = {
    "files": tar(5 * SPARE, 5 * SPARE),
    "behind the end": tar(10) + bytes(8 * SPARE),
    "a long name": tar(8 * SPARE, 1, type=tarfile.GNUTYPE_LONGNAME),
    "a long header": tar(8 * SPARE, 1, type=tarfile.XHDTYPE),
    "a long name after a large file": tar(4 * SPARE)[: 4 * SPARE + 512]
    + tar(8 * SPARE, 1, type=tarfile.GNUTYPE_LONGNAME),
    "a folder of some size": tar(4 * SPARE, 1, type=tarfile.DIRTYPE),
}


@pytest.mark.parametrize("packed", BOMBS.values(), ids=BOMBS)
def test_what_is_more_is_not_read(packed: bytes) -> None:
    """Neither what is announced as a file nor what stands between files, or behind them."""
    stream = Counting(packed)
    with pytest.raises(TooMuch, match="larger than any of ours"):
        list(names(Measured(stream)))
    assert stream.read_so_far < len(packed)


def test_file_with_holes_is_refused() -> None:
    """It takes no room in the stream, and any on the disk."""
    with pytest.raises(TooMuch):
        list(names(Measured(io.BytesIO(tar(0, type=tarfile.GNUTYPE_SPARSE)))))
