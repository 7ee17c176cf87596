"""What a service promises, and the values that travel between services, engines and fixtures."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from realdb_ci.services.recipes import ContainerRecipe, Installation, ProcessRecipe
from realdb_ci.services.urls import masked


@dataclass(frozen=True)
class Wish:
    """What a project asks for: one service, and how it is to be had.

    Attributes:
        service: the service's name.
        image: the Docker image that says which product and version is wanted.
        url: a server that already runs, or None.
        engine: auto, url, docker or embedded.
        strict: no other engine and no other major version will do.
        mirror: registry to pull the image from, or empty.
        timeout: seconds from the start to the first answer.
        extensions: what the server must be able to load, where the service knows extensions.

    """

    service: str
    image: str
    url: str | None = field(default=None, repr=False)
    engine: str = "auto"
    strict: bool = False
    mirror: str = ""
    timeout: float = 60.0
    extensions: tuple[str, ...] = ()

    @property
    def major(self) -> int | None:
        """The major version the image's tag names, or None where it names none."""
        found = re.match(r"\d+", tag(self.image))
        return int(found[0]) if found else None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for another process."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Wish:
        """The wish another process sent."""
        return cls(**{**plain, "extensions": tuple(plain["extensions"])})


@dataclass(frozen=True)
class Server:
    """One server that runs.

    Attributes:
        service: the service's name.
        engine: which engine got it.
        url: where an administrator reaches it (holds the password; masked in repr).
        version: exact version as the server itself says it.
        origin: image with digest, path of the binary, or the given address.
        seconds: from the first step to ready; 0.0 for a server that was given.
        settings: what was read back from the live server.
        owned: False for a server that was given: it outlives us, so we clean up inside it.
        ready: when it was ready, seconds since the epoch.
        snapshot: what became of the data that an earlier run kept, empty where there were none.

    """

    service: str
    engine: str
    url: str
    version: str
    origin: str
    seconds: float
    settings: Mapping[str, str] = field(default_factory=dict)
    owned: bool = True
    ready: float = 0.0
    snapshot: str = ""

    def __repr__(self) -> str:
        return f"Server({self.service} {self.version} by {self.engine}, {masked(self.url)})"

    @property
    def headline(self) -> str:
        """One line for a person: engine, exact version, origin, seconds to ready."""
        ready = f"ready in {self.seconds:.1f} s" if self.owned else "already running"
        words = (self.engine, self.version, self.origin, ready, self.snapshot)
        return f"{self.service}: {', '.join(filter(None, words))}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for another process."""
        return {**asdict(self), "settings": dict(self.settings)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Server:
        """The server another process told us of."""
        return cls(**plain)


@dataclass(frozen=True)
class Facts:
    """What a live server says about itself."""

    version: str
    settings: Mapping[str, str]


class Service(Protocol):
    """A kind of database: a recipe. Everything an engine needs to know of it.

    Attributes:
        name: the name in settings and reports.
        title: the product's name.
        aliases: other names, such as that of its Docker image.
        schemes: what its URLs start with.
        default_image: what a project gets that names no image.
        default_port: the port of a URL that names none.
        refuses_root: whether its server refuses to run as root.
        extra: the extra of ours that installs its driver.
    """

    name: str
    title: str
    aliases: tuple[str, ...]
    schemes: tuple[str, ...]
    default_image: str
    default_port: int
    refuses_root: bool
    extra: str

    def require_driver(self) -> None:
        """Raise EnvironmentProblem, naming the extra, where the driver is not installed."""

    def container(self, secret: str) -> ContainerRecipe:
        """How to run it in a container; ``secret`` becomes the administrator's password."""

    def installations(self, environ_path: str) -> Iterable[Installation]:
        """Server binaries of this machine, the fullest first; those that do not run come with a complaint."""

    def process(self, found: Installation, home: Path, port: int, secret: str) -> ProcessRecipe:
        """How to run such an installation from the private folder ``home`` on 127.0.0.1:``port``."""

    def url(self, host: str, port: int, secret: str) -> str:
        """The administrator's URL of a server we started."""

    def handshake(self, url: str, seconds: float) -> None:
        """One real exchange with the server.

        Raises:
            ConnectionError: it does not answer yet; asking again later may help.
            ServerError: it answered, and will never let us in (wrong password, wrong product).

        """

    def settle(self, url: str, *, owned: bool) -> Facts:
        """Finish what only a live server allows, and read back what it says about itself."""

    def sweep(self, url: str, prefix: str) -> None:
        """Drop every database whose name starts with ``prefix``."""


def tag(image: str) -> str:
    """The tag of an image name, empty where it has none."""
    last = image.split("@", maxsplit=1)[0].rsplit("/", 1)[-1]
    return last.partition(":")[2]


def new_secret() -> str:
    """A password for a server of ours: letters and digits, safe in any URL."""
    return secrets.token_hex(12)
