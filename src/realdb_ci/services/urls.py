"""URLs of servers: read, checked, and shown without their passwords."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, urlsplit

from realdb_ci.errors import SettingError

# A person may write a password with an @ in it as it is, so all up to the last one counts as its own.
_USER = re.compile(r"(://[^:/@\s]*):(\S*)@")
_PARAMETER = re.compile(r"(\b(?:\w*password|passwd|pwd|sslkey)\s*=)('[^']*'|[^&\s]+)", re.IGNORECASE)
# A shorter one may be part of any word.
SECRET_LENGTH = 4


def masked(url: str) -> str:
    """The URL with its passwords replaced, fit for a log."""
    return _PARAMETER.sub(r"\1***", _USER.sub(r"\1:***@", url))


def secrets_of(url: str) -> tuple[str, ...]:
    """The passwords of a URL, as they stand there and decoded; none that is also its user or database, say."""
    shown = masked(url)
    found = dict.fromkeys(form for secret in _passwords(url) for form in (secret, unquote(secret)))
    return tuple(one for one in found if len(one) >= SECRET_LENGTH and one not in shown)


def _passwords(url: str) -> Iterator[str]:
    yield from (found[2] for found in _USER.finditer(url))
    yield from (found[2] for found in _PARAMETER.finditer(url))


def scrubbed(text: str, url: str) -> str:
    """What a driver said, on one line, without the passwords of the URL that it was given."""
    for secret in secrets_of(url):
        text = text.replace(secret, "***")
    return masked(" ".join(text.split()))


def checked(url: str, title: str, schemes: Iterable[str]) -> str:
    """A URL as its driver reads it: without the name of a driver of SQLAlchemy's, such as ``+asyncpg``.

    Args:
        url: the URL that was given.
        title: the product's name.
        schemes: what its URLs start with.

    Raises:
        SettingError: it is one of another product, or cannot be read.
    """
    scheme, _, rest = url.partition("://")
    base = scheme.partition("+")[0]
    if base not in schemes:
        raise SettingError(
            f"The URL {masked(url)!r} is not one of {title}",
            why=f"it starts with {scheme}://",
            remedy=f"A {title} URL starts with {' or '.join(f'{one}://' for one in schemes)}.",
        )
    where, _, path = rest.partition("/")
    account, _, hosts = where.rpartition("@")
    if "@" in account or "@" in path.partition("?")[0]:
        raise SettingError(
            f"The URL {masked(url)!r} has an @ too many",
            why="a password with @, / or ? in it ends where nobody meant it to",
            remedy="Write them as %40, %2F and %3F.",
        )
    if "," in path.partition("?")[0] or not all(_is_host(host) for host in hosts.partition("?")[0].split(",")):
        raise SettingError(
            f"The URL {masked(url)!r} cannot be read",
            why="its hosts are not host:port, or its database has a comma; an entry with a URL is one service",
            remedy="Correct it, and give other services in entries of their own.",
        )
    return url if scheme in schemes or scheme.endswith("+srv") else f"{base}://{rest}"


def _is_host(host: str) -> bool:
    try:
        urlsplit(f"//{host}").port  # noqa: B018  # it is read only when asked for
    except ValueError:
        return False
    return True


def address_of(url: str, default_port: int) -> tuple[str, int]:
    """Host and port of a URL; the first host where it names several."""
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2].split(",")[0]
    parsed = urlsplit(f"//{netloc}")
    return parsed.hostname or "localhost", parsed.port or default_port
