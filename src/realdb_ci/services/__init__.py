"""The services: one name a database. A new one is a module here and its name in MODULES."""

from __future__ import annotations

import difflib
import importlib
import re
from typing import TYPE_CHECKING

from realdb_ci.errors import SettingError
from realdb_ci.services.contract import Service, Wish
from realdb_ci.services.urls import checked, masked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from realdb_ci.config import Config

MODULES = ("postgres", "mongodb", "redis")

# Docker's reference grammar, as far as a person writes it: registry/path:tag@digest.
_IMAGE = re.compile(
    r"(?:[a-zA-Z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)


def get(name: str) -> Service:
    """The service of that name or alias.

    Raises:
        SettingError: naming the known ones.

    """
    for module in MODULES:
        service: Service = importlib.import_module(f"{__name__}.{module}").SERVICE
        if name == service.name or name in service.aliases:
            return service
    near = difflib.get_close_matches(name, MODULES, n=1)
    raise SettingError(
        f"Unknown service {name!r}",
        why=f"realdb-ci knows {', '.join(MODULES)}",
        remedy=f"Did you mean {near[0]!r}?"
        if near
        else "To use another image of a known service, write postgres=<image>.",
    )


def wishes(config: Config) -> dict[str, Wish]:
    """What a project asks for, by service name; services it does not mention get their default image.

    Raises:
        SettingError: an unknown service, an unreadable image name, a URL of another product.

    """
    values = dict.fromkeys(MODULES, "")
    for name, value in map(_parse, config.services):
        values[name] = value or values[name]
    return {
        name: Wish(
            service=name,
            image=get(name).default_image if "://" in value or not value else value,
            url=value if "://" in value else None,
            engine=config.engine,
            strict=config.strict,
            mirror=config.mirror.rstrip("/"),
            timeout=config.startup_timeout,
            extensions=config.extensions if name == "postgres" else (),
        )
        for name, value in values.items()
    }


def named(texts: Iterable[str]) -> tuple[str, ...]:
    """The services that entries such as ``postgres:17`` name, in their order, without repetition."""
    return tuple(dict.fromkeys(_parse(text)[0] for text in texts))


def _parse(text: str) -> tuple[str, str]:
    """One entry of ``services`` as (service name, image or URL or empty)."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if "://" in name:
        raise SettingError(
            f"The service {masked(text)!r} is a bare URL",
            why="the service it belongs to is not named",
            remedy="Write postgres=<url> or mongodb=<url>.",
        )
    if not equals:
        value = name if ":" in name or "/" in name else ""
        name = name.split("@")[0].rsplit("/", 1)[-1].partition(":")[0]
    if not name:
        raise SettingError(
            f"The service {masked(text)!r} cannot be read",
            why="no service is named in it",
            remedy="Write an image such as postgres:17-alpine, or postgres=<image or url>.",
        )
    service = get(name)
    if "://" in value:
        value = checked(value, service.title, service.schemes)
    elif value and not _IMAGE.fullmatch(value):
        raise SettingError(
            f"The image name {value!r} for {service.name} cannot be read",
            why="an image name looks like postgres:17-alpine or registry.example:5000/team/postgres:17",
            remedy="Correct the name under services; each service is an entry of its own.",
        )
    elif equals and not value:
        raise SettingError(
            f"The service {text!r} has nothing after its equals sign",
            why="an image or a URL is expected there",
            remedy=f"Write {service.name} alone, or {service.name}=<image or url>.",
        )
    return service.name, value
