"""The Docker daemon: reach it, find out where we stand beside it, and sweep what a run left there."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from realdb_ci.engines import registry
from realdb_ci.errors import Refusal

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

ANSWER_SECONDS = 60
DEFAULT_SOCKET = "unix:///var/run/docker.sock"
_IN_CONTAINER = ("/.dockerenv", "/run/.containerenv")
_OWN_ID = re.compile(r"/containers/([0-9a-f]{64})/")


@contextlib.contextmanager
def connection() -> Iterator[DockerClient]:
    """A client of the daemon that testcontainers would use (DOCKER_HOST, context, or the local socket).

    Raises:
        Refusal: no daemon answers, and why.
        SettingError: the registries' credentials cannot be read.
    """
    from docker import from_env
    from docker.errors import DockerException
    from testcontainers.core.docker_client import get_docker_host, is_ssh_docker_host

    host = get_docker_host()
    _knock(host or DEFAULT_SOCKET)
    environ = {**os.environ, **({"DOCKER_HOST": host} if host else {})}
    try:
        client = from_env(timeout=ANSWER_SECONDS, environment=environ, use_ssh_client=is_ssh_docker_host())
    except DockerException as problem:
        raise _refusal(str(problem)) from None
    try:
        client.ping()
    except DockerException as problem:
        client.close()
        raise _refusal(str(problem)) from None
    try:
        registry.introduce(client)
        yield client
    finally:
        client.close()


def _knock(host: str) -> None:
    """Refuse early where a Unix socket does not take connections: docker-py would leak its own on that way."""
    scheme, _, path = host.partition("://")
    if sys.platform == "win32" or scheme != "unix":
        return
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(path)
    except PermissionError:
        raise Refusal(
            "The Docker daemon does not answer",
            why=f"permission denied on {path}",
            remedy="Add this user to the docker group, or run as a user who may use Docker.",
        ) from None
    except OSError as problem:
        raise _refusal(f"{path}: {problem.strerror}") from None


def _refusal(why: str) -> Refusal:
    return Refusal(
        "The Docker daemon does not answer",
        why=" ".join(why.split())[:300],
        remedy="Start Docker, or set DOCKER_HOST to a daemon that runs.",
    )


@functools.cache
def inside_container() -> bool:
    """Whether this process runs in a container (Docker's and Podman's marker files)."""
    return any(Path(marker).exists() for marker in _IN_CONTAINER)


def own_container(client: DockerClient) -> Container | None:
    """The container we run in, or None where we run on a host or the daemon is not its own.

    The host name is the container's short id unless somebody set it; mountinfo names the id in the
    paths of the files Docker mounts. The cgroup file does not (cgroup v2 shows only ``0::/``).
    """
    from docker.errors import APIError

    if not inside_container():
        return None
    mounts = Path("/proc/self/mountinfo")
    text = mounts.read_text(encoding="utf-8", errors="replace") if mounts.exists() else ""
    for name in dict.fromkeys([*_OWN_ID.findall(text), socket.gethostname()]):
        with contextlib.suppress(APIError):
            return client.containers.get(name)
    return None


def bridge_is_ours(client: DockerClient) -> bool:
    """Whether Docker's default bridge is an interface of this machine, so that container addresses are near.

    True on a Linux host with a local daemon; False with Docker Desktop, a remote or a rootless daemon.
    """
    from docker.errors import APIError

    if not _is_near(client):
        return False  # its bridge may have the same address as one of this machine's
    try:
        pools = client.networks.get("bridge").attrs["IPAM"]["Config"] or []
    except (APIError, KeyError):
        return False
    return any(_is_local(pool.get("Gateway") or _first_host(pool["Subnet"])) for pool in pools)


def _is_near(client: DockerClient) -> bool:
    """Whether the daemon's address is one of this machine's; docker-py spells a socket ``http+docker://localhost``."""
    address = urlsplit(client.api.base_url)
    if address.scheme == "http+docker":
        return address.hostname != "ssh"
    try:
        return _is_local(socket.gethostbyname(address.hostname or ""))
    except OSError:
        return False


def _first_host(subnet: str) -> str:
    """The address Docker gives a bridge itself; some daemons name only the subnet."""
    return str(next(ipaddress.ip_network(subnet, strict=False).hosts()))


def _is_local(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def sweep(label: str) -> None:
    """Remove every container, network and volume that carries ``label`` (``key=value``)."""
    from docker.errors import APIError

    filters: dict[str, str | list[str] | bool] = {"label": label}
    with connection() as client:
        for container in client.containers.list(all=True, filters=filters):
            with contextlib.suppress(APIError):
                container.remove(force=True, v=True)
        for network in client.networks.list(filters=filters):
            network.reload()
            for attached in network.containers:
                with contextlib.suppress(APIError):
                    network.disconnect(attached, force=True)
            with contextlib.suppress(APIError):
                network.remove()
        for volume in client.volumes.list(filters=filters):
            with contextlib.suppress(APIError):
                volume.remove(force=True)
