"""Another machine for a Docker client: a network of its own, with a cable to this one and the daemon behind TCP."""

from __future__ import annotations

import os
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

IP = shutil.which("ip") or "ip"
# Addresses for such links that nobody routes: https://www.rfc-editor.org/rfc/rfc2544
HERE, THERE, BITS = "198.18.77.1", "198.18.77.2", 30


@dataclass(frozen=True)
class Elsewhere:
    """Where programs run that have none of this machine's networks.

    Attributes:
        name: of the kernel's network namespace.
        docker_host: the daemon's address as seen from there.
    """

    name: str
    docker_host: str

    def add_address(self, address: str) -> None:
        """Give that machine another address of its own."""
        _ip("-n", self.name, "address", "add", f"{address}/32", "dev", "lo")

    def python(self, script: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a script there."""
        return subprocess.run(
            [IP, "netns", "exec", self.name, sys.executable, "-c", script],
            env={**environ, "DOCKER_HOST": self.docker_host},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@contextmanager
def elsewhere(socket_path: str) -> Iterator[Elsewhere]:
    """Lay the cable, and take it away again; needs root."""
    name = f"realdb-ci-{os.getpid()}"
    near, far = f"rdb{os.getpid()}a"[:15], f"rdb{os.getpid()}b"[:15]
    _ip("netns", "add", name)
    try:
        _ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
        _ip("address", "add", f"{HERE}/{BITS}", "dev", near)
        _ip("link", "set", near, "up")
        for words in (("address", "add", f"{THERE}/{BITS}", "dev", far), ("link", "set", far, "up")):
            _ip("-n", name, *words)
        _ip("-n", name, "link", "set", "lo", "up")
        with _serving(socket_path) as port:
            yield Elsewhere(name, f"tcp://{HERE}:{port}")
    finally:
        # Its end of the cable goes with it, and so the other.
        _ip("netns", "delete", name)


def _ip(*words: str) -> None:
    subprocess.run([IP, *words], check=True)


@contextmanager
def _serving(socket_path: str) -> Iterator[int]:
    """The Unix socket, answered at a port of the cable's near end."""

    class Forward(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as daemon:
                daemon.connect(socket_path)
                back = threading.Thread(target=_copy, args=(daemon, self.request))
                back.start()
                _copy(self.request, daemon)
                back.join()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server((HERE, 0), Forward) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(1 << 16):
            target.sendall(chunk)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
