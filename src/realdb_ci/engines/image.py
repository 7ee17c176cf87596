"""Images: have one on the daemon, pulling it with progress where it is missing."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from realdb_ci.engines import registry
from realdb_ci.engines.contract import Notice, Run
from realdb_ci.errors import Refusal, ServerError
from realdb_ci.services.contract import Wish

if TYPE_CHECKING:
    from docker import DockerClient

# How registries say that one has pulled too often: https://docs.docker.com/docker-hub/usage/pulls/
_LIMITED = re.compile(r"toomanyrequests|too many requests|\b429\b|rate limit", re.IGNORECASE)
# What no patience mends: the name is wrong, or we may not have it.
_FINAL = re.compile(
    r"manifest unknown|not found|unauthorized|denied|no such host|no basic auth|invalid reference"
    r"|authentication required",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Image:
    """An image the daemon holds.

    Attributes:
        name: the name it was asked for by, with the mirror if one is set.
        digest: the registry's digest, or the local id of an image no registry has seen.
        volumes: the folders it declares as volumes.
        size: bytes it takes on the daemon's disk.
        entrypoint: what a container of it starts, given the command.
    """

    name: str
    digest: str
    volumes: tuple[str, ...]
    size: int = 0
    entrypoint: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        """Name and digest, shortened as Docker shortens ids."""
        return f"{self.name} ({self.digest.split(':')[-1][:12]})"


def full_name(wish: Wish) -> str:
    """The image's name on the registry it is pulled from."""
    return mirrored(wish.image, wish.mirror)


def mirrored(image: str, mirror: str) -> str:
    """An image's name with a tag, and with the mirror where one is set and the name has no registry of its own."""
    named = image if ":" in image.rsplit("/", 1)[-1] or "@" in image else f"{image}:latest"
    first = named.split("/")[0]
    has_registry = "/" in named and ("." in first or ":" in first or first == "localhost")
    return f"{mirror}/{named}" if mirror and not has_registry else named


def here(client: DockerClient, wish: Wish) -> Image | None:
    """The image if the daemon holds it already."""
    from docker.errors import ImageNotFound

    name = full_name(wish)
    try:
        attrs = client.images.get(name).attrs
    except ImageNotFound:
        return None
    digests = attrs.get("RepoDigests") or [attrs["Id"]]
    config: Mapping[str, Any] = attrs.get("Config") or {}
    return Image(
        name,
        digests[0].split("@")[-1],
        tuple(config.get("Volumes") or ()),
        int(attrs.get("Size") or 0),
        tuple(config.get("Entrypoint") or ()),
    )


def ensure(client: DockerClient, wish: Wish, run: Run) -> Image:
    """The image; where it is missing, from the run's stock, else pulled, as patiently as the run is.

    Raises:
        Refusal: it cannot be pulled, with the registry's own words.
        ServerError: the run was interrupted meanwhile.
    """
    found = here(client, wish)
    if found:
        return found
    name, began = full_name(wish), time.monotonic()
    run.notify(Notice(wish.service, "pull", name))
    source = "in"
    if run.stock is not None and run.stock.load(client, name):
        source = "from the cache in"
    else:
        _pull_patiently(client, name, wish, run)
    held = here(client, wish)
    if held is None:
        raise _cannot_pull(name, "the daemon does not list it after the pull")
    _check(name, run)
    told = f"{held.name} ({held.digest}, {held.size / 1e6:.0f} MB) {source} {time.monotonic() - began:.1f} s"
    run.notify(Notice(wish.service, "pulled", told, held.size, held.size))
    return held


def _pull_patiently(client: DockerClient, name: str, wish: Wish, run: Run) -> None:
    began, limited = time.monotonic(), False
    for pause in (*run.patience, None):
        try:
            for done, total in _pull(client, name):
                run.notify(Notice(wish.service, "pull", name, done, total))
                _check(name, run)
        except Refusal as problem:
            limited = limited or bool(_LIMITED.search(problem.why))
            if pause is None or _FINAL.search(problem.why):
                raise
            run.notify(Notice(wish.service, "pull", f"{name}: {problem.why}; again in {pause:g} s"))
            run.cancelled.wait(pause)
            _check(name, run)
        else:
            break
    if run.stock is not None:
        run.stock.pulled(name, time.monotonic() - began, limited)


def have(client: DockerClient, name: str) -> None:
    """Have the daemon hold an image that no wish names.

    Raises:
        Refusal: it cannot be pulled.
    """
    from docker.errors import ImageNotFound

    try:
        client.images.get(name)
    except ImageNotFound:
        for _ in _pull(client, name):
            pass


def _pull(client: DockerClient, name: str) -> Iterator[tuple[int, int]]:
    """Try once; gives the bytes done and the bytes known of so far."""
    from docker.errors import APIError
    from requests.exceptions import RequestException

    try:
        yield from _progress(registry.pull(client, name), name)
    except APIError as problem:
        raise _cannot_pull(name, problem.explanation or str(problem)) from None
    except RequestException as problem:
        silent = "timed out" in str(problem)
        why = f"no progress in {registry.SILENT_SECONDS:g} s" if silent else str(problem)
        raise _cannot_pull(name, why) from None


def _progress(events: Iterable[Mapping[str, Any]], name: str) -> Iterable[tuple[int, int]]:
    """Bytes done and bytes known of so far, after each of the daemon's events."""
    layers: dict[str, tuple[int, int]] = {}
    for event in events:
        if "error" in event:
            raise _cannot_pull(name, str(event["error"]))
        detail = event.get("progressDetail") or {}
        if event.get("status") == "Downloading" and detail.get("total"):
            layers[event["id"]] = (detail["current"], detail["total"])
        elif event.get("status") == "Download complete" and event.get("id") in layers:
            layers[event["id"]] = (layers[event["id"]][1],) * 2
        yield sum(done for done, _ in layers.values()), sum(total for _, total in layers.values())


def _check(name: str, run: Run) -> None:
    if run.cancelled.is_set():
        raise ServerError(f"The image {name} was not waited for", why="the run was interrupted")


def _cannot_pull(name: str, why: str) -> Refusal:
    return Refusal(
        f"The image {name} cannot be pulled",
        why=" ".join(why.split()),
        remedy="Correct its name, give the credentials of its registry (docker login; in the Action the variable "
        f"{registry.VARIABLE}), or set mirror to a registry that has it.",
    )
