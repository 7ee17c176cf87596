"""Engine ``url``: a server that already runs, as a URL that was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realdb_ci.engines.contract import Offer, Run, Running
from realdb_ci.errors import Refusal, ServerError
from realdb_ci.services.contract import Server, Service, Wish
from realdb_ci.services.urls import masked, scrubbed

if TYPE_CHECKING:
    from realdb_ci.services.contract import Facts

NAME = "url"
HANDSHAKE_SECONDS = 10.0


def offer(service: Service, wish: Wish) -> Offer:
    """The URL if one was given and its server answers."""
    facts = _reach(service, _given(service, wish))
    return Offer(NAME, f"{masked(wish.url or '')} answers: {facts.version}")


def start(service: Service, wish: Wish, run: Run) -> Running:
    """Check the given server; it is never tuned, never stopped, and keeps no database of ours."""
    url = _given(service, wish)
    facts = _reach(service, url)
    run.guard.databases(service.name, run.prefix, url)
    return Running(Server(service.name, NAME, url, facts.version, masked(url), 0.0, facts.settings, owned=False))


def _given(service: Service, wish: Wish) -> str:
    if wish.url is None:
        raise Refusal(
            f"No URL was given for {service.title}",
            why=f"neither services nor REALDB_CI_{service.name.upper()}_URL holds one",
            remedy=f"Set REALDB_CI_{service.name.upper()}_URL, or write {service.name}=<url> under services.",
        )
    return wish.url


def _reach(service: Service, url: str) -> Facts:
    """A given URL that does not work is an error, never a reason to use another server silently."""
    try:
        service.handshake(url, HANDSHAKE_SECONDS)
    except OSError as problem:
        raise ServerError(
            f"The given {service.title} at {masked(url)} cannot be reached",
            why=scrubbed(str(problem), url),
            remedy="Start that server, correct the URL, or remove it to let realdb-ci start one.",
        ) from None
    return service.settle(url, owned=False)
