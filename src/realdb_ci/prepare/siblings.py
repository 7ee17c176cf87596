"""Siblings: containers that the tested suite starts by itself, beside ours, through the same daemon.

testcontainers finds the container it runs in through cgroup v1 only (read in the source of its version 4.15), so
it has to be told how to reach its siblings. The suite's are reached by the ports that their network's gateway,
which is the daemon's host, publishes: their own addresses would do on the default bridge alone, not on a network
that the suite makes. For those that are reached without testcontainers we stand on that bridge.

Our own Ryuk is reached there by its address: Docker's proxy before a published port takes a connection before Ryuk
does, and testcontainers then believes that it was told what to remove.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from realdb_ci.engines import daemon
from realdb_ci.errors import Refusal

BRIDGE = "bridge"
MODE = "TESTCONTAINERS_CONNECTION_MODE"
OURS, THE_SUITES = "bridge_ip", "gateway_ip"


@contextlib.contextmanager
def reachable() -> Iterator[None]:
    """While the body runs, our own container stands on Docker's default bridge, if we run in one."""
    from docker.errors import APIError

    joined = None
    with contextlib.suppress(Refusal, APIError), daemon.connection() as client:
        own = daemon.own_container(client)
        if own is not None and BRIDGE not in own.attrs["NetworkSettings"]["Networks"]:
            client.networks.get(BRIDGE).connect(own)
            joined = own
    try:
        yield
    finally:
        if joined is not None:
            # The runner removes its networks, never this one: leaving it is only tidy.
            with contextlib.suppress(Refusal, APIError), daemon.connection() as client:
                client.networks.get(BRIDGE).disconnect(joined.id or "")


def variables(environ: Mapping[str, str], mode: str) -> dict[str, str]:
    """What testcontainers has to be told; the user's own word counts.

    Args:
        environ: the environment.
        mode: how to reach siblings, from this process or from the suite's.
    """
    if not daemon.inside_container() or {"DOCKER_HOST", MODE} & set(environ):
        return {}
    return {MODE: mode}
