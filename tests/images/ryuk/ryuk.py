"""Read filters from a connection, and remove what they match some seconds after the last connection closed."""

import contextlib
import http.client
import json
import os
import socket
import socketserver
import threading
import urllib.parse

DELAY = float(os.environ.get("RYUK_RECONNECTION_TIMEOUT", "10s").removesuffix("s"))
KINDS = (("containers", "/containers/json?all=1&", "?force=1&v=1"), ("networks", "/networks?", ""))


class Daemon(http.client.HTTPConnection):
    """The Docker daemon behind its Unix socket."""

    def connect(self) -> None:
        """Connect to the mounted socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/var/run/docker.sock")

    def ask(self, method: str, path: str) -> bytes:
        """Send one request."""
        self.request(method, path, headers={"Host": "docker"})
        return self.getresponse().read()


def remove(labels: list[str]) -> None:
    """Remove every container and network with one of these labels, and end."""
    for label in labels:
        filters = urllib.parse.urlencode({"filters": json.dumps({"label": [label]})})
        for kind, listing, options in KINDS:
            for found in json.loads(Daemon("docker").ask("GET", listing + filters)):
                print("removing", kind, found["Id"])
                Daemon("docker").ask("DELETE", f"/{kind}/{found['Id']}{options}")
    os._exit(0)


class Filters(socketserver.StreamRequestHandler):
    """One client: each of its lines is a filter to remember."""

    def handle(self) -> None:
        """Acknowledge each filter, and act on all when the client is gone."""
        labels = []
        # A client that is killed resets the connection instead of closing it.
        with contextlib.suppress(ConnectionError):
            for line in self.rfile:
                labels.append(urllib.parse.unquote(line.decode().strip()).removeprefix("label="))
                self.wfile.write(b"ACK\n")
        threading.Timer(DELAY, remove, [labels]).start()


class Server(socketserver.ThreadingTCPServer):
    """Serves clients side by side."""

    allow_reuse_address = True


with Server(("", 8080), Filters) as server:
    print("Started!")
    server.serve_forever()
