"""Copying: data into a container that waits for them, and out of one that runs.

Docker copies files neither into nor out of a tmpfs. So data go in through the standard input of the container's
first process, before it becomes the server, and come out through the standard output of a second one.
"""

from __future__ import annotations

import contextlib
import io
import subprocess
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from docker.models.containers import Container

# tarfile pads to it, so dd can count in it: head -c reads single bytes in the shell of small images.
RECORD = 10240
# What the daemon marks a piece of the standard error with.
STDERR = 2
_WAIT = """
set -e
read -r records
dd bs={record} count="$records" iflag=fullblock 2>/dev/null | {{ umask 077; {restore} }}
exec "$@" </dev/null
"""


def waiting(restore: str, entrypoint: Sequence[str]) -> list[str]:
    """An entry point that takes data before it does what the image's own does.

    Args:
        restore: shell words that take a tar file on their standard input.
        entrypoint: the image's own.
    """
    return ["sh", "-c", _WAIT.format(record=RECORD, restore=restore), "realdb-ci", *entrypoint]


def feed(container: Container, data: bytes) -> None:
    """Hand a container that waits its data.

    Args:
        container: started, with its standard input open.
        data: a tar file.

    Raises:
        OSError: it does not take them.
    """
    records = -(-len(data) // RECORD)
    attached: Any = container.attach_socket(params={"stdin": 1, "stream": 1})
    with _closing(attached) as raw:
        raw.sendall(f"{records}\n".encode())
        raw.sendall(data.ljust(records * RECORD, b"\0"))


@contextlib.contextmanager
def _closing(attached: Any) -> Iterator[Any]:
    """The socket behind what docker-py hands out: a reader that does not own it, or a TLS socket as it is."""
    raw = getattr(attached, "_sock", attached)
    with contextlib.closing(raw), contextlib.closing(attached):
        yield raw


class Exec(io.RawIOBase):
    """The standard output of a command in a container; closing it tells whether the command failed.

    Args:
        container: where to run it.
        command: what to run.
    """

    def __init__(self, container: Container, command: Sequence[str]) -> None:
        from docker.utils.socket import frames_iter

        super().__init__()
        self._api: Any = container.client.api  # type: ignore[union-attr]
        self._id: str = self._api.exec_create(container.id, list(command))["Id"]
        # Asked for a stream instead, docker-py would not close the socket.
        self._socket: Any = self._api.exec_start(self._id, socket=True)
        self._pieces: Iterator[tuple[int, bytes]] = frames_iter(self._socket, tty=False)  # type: ignore[no-untyped-call]
        self._left = b""
        self._complaints = b""

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes, none at the end."""
        while not self._left:
            try:
                stream, piece = next(self._pieces)
            except StopIteration:
                return 0
            if stream == STDERR:
                self._complaints += piece
            else:
                self._left = piece
        taken = self._left[: len(buffer)]
        buffer[: len(taken)] = taken
        self._left = self._left[len(taken) :]
        return len(taken)

    def close(self) -> None:
        """End.

        Raises:
            OSError: the command did not succeed, in its own words.
        """
        if self.closed:
            return
        super().close()
        with _closing(self._socket):
            for stream, piece in self._pieces:  # what stands behind the end of the tar file
                self._complaints += piece if stream == STDERR else b""
        code = self._api.exec_inspect(self._id)["ExitCode"]
        if code:
            words = " ".join(self._complaints.decode("utf-8", "replace").split())
            raise OSError(f"the copy ended with {code}: {words[:300]}")


class Output(io.RawIOBase):
    """The standard output of a program of this machine; closing it tells whether the program failed.

    Args:
        process: the program.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__()
        assert process.stdout is not None
        self._process = process
        self._stream: IO[bytes] = process.stdout

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes, none at the end."""
        got = self._stream.read(len(buffer))
        buffer[: len(got)] = got
        return len(got)

    def close(self) -> None:
        """End.

        Raises:
            OSError: the program did not succeed.
        """
        if self.closed:
            return
        super().close()
        while self._stream.read(1 << 20):  # what stands behind the end of the tar file
            pass
        self._stream.close()
        code = self._process.wait()
        if code:
            raise OSError(f"the copy ended with {code}")
