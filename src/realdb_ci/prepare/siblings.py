"""Siblings: containers that the tested suite starts by itself, beside ours, through the same daemon.

testcontainers finds the container it runs in through cgroup v1 only, and reaches siblings by the default
bridge (read in the source of its version 4.15). So we see to it that we stand on that bridge, and say so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from realdb_ci.engines import daemon
from realdb_ci.errors import Refusal

BRIDGE = "bridge"
MODE = "TESTCONTAINERS_CONNECTION_MODE"


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


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """What testcontainers has to be told, in this process and in the suite's; the user's own word counts.

    Args:
        environ: the environment.
    """
    if not daemon.inside_container() or {"DOCKER_HOST", MODE} & set(environ):
        return {}
    return {MODE: "bridge_ip"}
