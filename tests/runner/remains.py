"""Remains: what a step's run has made on the Docker daemon and not removed."""

from __future__ import annotations

import re
import time

import docker
from imitation import Done

from realdb_ci.engines.contract import RUN_LABEL

# The daemon's clock counts in whole seconds here.
MARGIN = 2


def left(client: docker.DockerClient, done: Done) -> list[str]:
    """Names of everything on the daemon that this run made."""
    found = re.search(rf"{re.escape(RUN_LABEL)}=(\w+)", done.raw)
    assert found, done.raw
    filters: dict[str, str | list[str] | bool] = {"label": found[0]}
    kept = [*client.containers.list(all=True, filters=filters), *client.networks.list(filters=filters)]
    labelled = {str(one.name) for one in client.volumes.list(filters=filters)}
    unlabelled = _mounted(client, found[1], done) & {str(one.name) for one in client.volumes.list()}
    return [str(one.name) for one in kept] + sorted(labelled | unlabelled)


def _mounted(client: docker.DockerClient, run: str, done: Done) -> set[str]:
    """The volumes that containers of this run had: those that images declare carry no label of anybody's."""
    now = int(time.time())
    events = list(
        client.events(
            since=now - int(done.seconds) - MARGIN,
            until=now,
            decode=True,
            filters={"type": ["container", "volume"], "event": ["create", "mount"]},
        )
    )
    ours = {
        event["Actor"]["ID"]
        for event in events
        if event["Type"] == "container" and event["Actor"]["Attributes"].get(RUN_LABEL) == run
    }
    return {
        event["Actor"]["ID"]
        for event in events
        if event["Type"] == "volume" and event["Actor"]["Attributes"].get("container") in ours
    }
