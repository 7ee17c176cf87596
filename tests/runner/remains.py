"""Remains: what a step's run has made on the Docker daemon and not removed."""

from __future__ import annotations

import re

import docker
from imitation import Done

from realdb_ci.engines.contract import RUN_LABEL


def left(client: docker.DockerClient, done: Done) -> list[str]:
    """Names of everything on the daemon that this run made."""
    found = re.search(rf"{re.escape(RUN_LABEL)}=\w+", done.raw)
    assert found, done.raw
    filters: dict[str, str | list[str] | bool] = {"label": found[0]}
    kept = [*client.containers.list(all=True, filters=filters), *client.networks.list(filters=filters)]
    return [str(one.name) for one in kept] + [str(one.name) for one in client.volumes.list(filters=filters)]
