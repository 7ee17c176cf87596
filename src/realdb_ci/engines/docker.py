"""Engine ``docker``: a server in a container, run by testcontainers, reached by the shortest way.

Facts about testcontainers 4.15 that shape this module (read in its source): its own wait for PostgreSQL does
not notice a container that has exited, so the wait is ours; it finds its own container through cgroup v1 only,
so the network is ours too; a tmpfs is named per container, and the mount point differs between PostgreSQL 17
and 18, so the volumes the image itself declares are what we put into memory.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from realdb_ci.engines import daemon, image, ready, reaper, registry, snapshots
from realdb_ci.engines.contract import RUN_LABEL, Notice, Offer, Run, Running
from realdb_ci.engines.copying import Exec, feed, waiting
from realdb_ci.engines.snapshots import Finish, Slot
from realdb_ci.errors import ServerError
from realdb_ci.services.contract import Server, Service, Wish, new_secret
from realdb_ci.services.recipes import Backup, ContainerRecipe

if TYPE_CHECKING:
    from docker import DockerClient
    from testcontainers.core.container import DockerContainer

NAME = "docker"
LOG_LINES = 20
# How long the direct way may stay silent while the container lives before its port is published instead.
DIRECT_SECONDS = 15.0


@dataclass(frozen=True)
class Route:
    """The way from here to a container.

    Attributes:
        network: the network the container joins.
        published: whether its port is published on the daemon's host, or reached at its own address.
    """

    network: str
    published: bool

    def __str__(self) -> str:
        return "a published port" if self.published else f"its own address on the network {self.network}"


def offer(service: Service, wish: Wish) -> Offer:  # noqa: ARG001  # the engines' contract
    """Say whether a daemon answers and whether the image is there or has to be pulled."""
    with daemon.connection() as client:
        version = client.version()["Version"]
        found = image.here(client, wish)
    held = f"{found.origin} is here" if found else f"{image.full_name(wish)} would be pulled"
    return Offer(NAME, f"Docker {version} answers; {held}")


def start(service: Service, wish: Wish, run: Run) -> Running:
    """Run the image and wait for its first answer; ways to it are tried in the order of their speed."""
    began = time.monotonic()
    with daemon.connection() as client:
        run.guard.containers(f"{RUN_LABEL}={run.id}")
        reaper.start(run, wish.mirror)
        # A network takes its time, and so does a pull.
        with ThreadPoolExecutor(1) as beside:
            finding = beside.submit(_routes, client, run)
            held = image.ensure(client, wish, run)
        routes = finding.result()
    run.notify(Notice(service.name, "start", held.name))
    attempts: list[str] = []
    for route in routes:
        try:
            return _Launch(service, wish, run, held, route).running(began)
        except ready.Silence as problem:
            attempts.append(f"{route}: {problem}")
    raise ServerError(
        f"{service.title} runs in a container but cannot be reached",
        why="; ".join(attempts),
        remedy="Check firewalls between this machine and Docker, or give a server with its URL.",
    )


def _routes(client: DockerClient, run: Run) -> list[Route]:
    with run.lock:
        own = daemon.own_container(client)
        if own is not None:
            return [Route(_shared_network(client, run, own.id or ""), published=False), Route("bridge", True)]
    published = Route("bridge", published=True)
    return [Route("bridge", published=False), published] if daemon.bridge_is_ours(client) else [published]


def _shared_network(client: DockerClient, run: Run, own_id: str) -> str:
    """The run's own network, made once, with our own container in it. The caller holds the run's lock."""
    from testcontainers.core.labels import create_labels

    name = f"realdb-ci-{run.id}"
    if not client.networks.list(names=[name]):
        # Attached containers keep a network alive, and we are one of them. Should the run end while the daemon
        # still makes it, this is known already.
        run.at_end(lambda: daemon.sweep(f"{RUN_LABEL}={run.id}"))
        # With testcontainers' own labels, so that Ryuk removes it once our container was killed, and its guard too.
        client.networks.create(name, labels=create_labels("", {RUN_LABEL: run.id})).connect(own_id)
    return name


@dataclass(frozen=True)
class _Launch:
    """One attempt: this service, from this image, by this way."""

    service: Service
    wish: Wish
    run: Run
    held: image.Image
    route: Route

    def running(self, began: float) -> Running:
        """Start the container, from a snapshot where there is one, and wait for its first answer."""
        slot = self._slot()

        def start(told: str, restoring: bool) -> Running:
            return self._running(began, slot, told, restoring=restoring)

        return snapshots.started(slot, self.run, start, ready.Silence)

    def _slot(self) -> Slot | None:
        recipe = self.service.container("")
        if self.run.snapshots is None or recipe.backup is None:
            return None
        words = (self.held.digest, repr(sorted(recipe.env.items())), repr(recipe.command))
        return self.run.snapshots.slot(self.service.name, NAME, *words)

    def _running(self, began: float, slot: Slot | None, told: str, *, restoring: bool = False) -> Running:
        """Start the container and wait for its first answer; it is removed again if that fails."""
        from docker.errors import DockerException

        secret = new_secret()
        recipe = self.service.container(secret)
        container = self._container(recipe, restoring=restoring)
        try:
            kept = secret
            if restoring and slot and recipe.backup:
                kept = _restored(container, slot, recipe.backup)
            else:
                container.start()
            address = self._address(container, recipe)
            starting = _starting(self.service, self.service.url(*address, kept), container)
            ready.wait(
                starting,
                self.run,
                timeout=self.wish.timeout,
                silence=None if self.route.published else DIRECT_SECONDS,
            )
            if restoring and recipe.backup:
                recipe.backup.adopt(self.service.url(*address, kept), secret)
            url = self.service.url(*address, secret)
            facts = self.service.settle(url, owned=True)
        except DockerException as problem:
            _stop(container)
            raise ServerError(
                f"The container of {self.held.name} could not be started",
                why=" ".join(str(problem).split()),
                remedy="The daemon's own words above say what it misses.",
            ) from None
        except BaseException:
            _stop(container)
            raise
        seconds = time.monotonic() - began
        origin = self.held.origin
        server = Server(self.service.name, NAME, url, facts.version, origin, seconds, facts.settings, snapshot=told)

        def save(place: Slot, command: Sequence[str]) -> Finish:
            return place.save(lambda: Exec(container.get_wrapped_container(), command), secret, self.run)

        return Running(
            server,
            stop=lambda: _stop(container),
            log=lambda: _log(container, tail=LOG_LINES),
            log_since=lambda since: _log(container, since=since),
            keep=lambda: snapshots.keep(slot, recipe.backup, url, save),
            dead=starting.dead,
        )

    def _container(self, recipe: ContainerRecipe, *, restoring: bool) -> DockerContainer:
        from testcontainers.core.container import DockerContainer

        with registry.without_login():
            container = DockerContainer(self.held.name)
        # testcontainers puts the user's prefix before every name; ours is the one the daemon holds.
        container.image = self.held.name
        container.with_name(f"realdb-ci-{self.run.id}-{self.service.name}{'-p' * self.route.published}")
        container.with_envs(**recipe.env).with_command(list(recipe.command))
        for volume in self.held.volumes or (recipe.data,):
            container.with_tmpfs_mount(volume)
        if self.route.published:
            container.with_exposed_ports(recipe.port)
        waits: dict[str, Any] = {}
        if restoring:
            waits = {"entrypoint": waiting(recipe.restore, self.held.entrypoint), "stdin_open": True}
        # Shared memory: Docker's 64 MB stop PostgreSQL's parallel queries.
        return container.with_kwargs(
            network=self.route.network, labels={RUN_LABEL: self.run.id}, shm_size="256m", **waits
        )

    def _address(self, container: DockerContainer, recipe: ContainerRecipe) -> tuple[str, int]:
        if self.route.published:
            client = container.get_docker_client()
            return client.host(), int(client.port(container.get_container_id(), recipe.port))
        wrapped = container.get_wrapped_container()
        wrapped.reload()
        address = wrapped.attrs["NetworkSettings"]["Networks"].get(self.route.network, {}).get("IPAddress")
        # A container that has exited already has no address; the wait will say how it ended.
        return address or "127.0.0.1", recipe.port


def _restored(container: DockerContainer, slot: Slot, backup: Backup) -> str:
    """Start the container, which waits for data, and hand it those; return the administrator's password in them."""
    with ThreadPoolExecutor(1) as reader:
        content = reader.submit(slot.content, backup)
        container.start()
        secret, data = content.result()
    feed(container.get_wrapped_container(), data)
    return secret


def _starting(service: Service, url: str, container: DockerContainer) -> ready.Starting:
    from docker.errors import NotFound

    wrapped = container.get_wrapped_container()

    def dead() -> str | None:
        try:
            wrapped.reload()
        except NotFound:
            return "its container was removed"
        state = wrapped.attrs["State"]
        if state["Status"] not in ("exited", "dead"):
            return None
        return f"exit code {state['ExitCode']}" + (", out of memory" if state.get("OOMKilled") else "")

    return ready.Starting(service, url, dead, lambda: _log(container, tail=LOG_LINES))


def _stop(container: DockerContainer) -> None:
    from docker.errors import APIError

    # It may be gone already: removed by hand, or by the clean-up of an interrupted run.
    with contextlib.suppress(APIError):
        container.stop()


def _log(container: DockerContainer, **part: Any) -> str:
    """A part of its log, named as docker's client does."""
    from docker.errors import DockerException

    with contextlib.suppress(DockerException):
        lines: Any = container.get_wrapped_container().logs(**part)
        return str(lines, "utf-8", "replace")
    return ""
