"""The engines, in the order ``engine = auto`` asks them: a new one is a module here and its name in MODULES."""

from __future__ import annotations

import importlib

from realdb_ci.engines.contract import Engine, Notice, Offer, Run, Running
from realdb_ci.errors import RealdbError, Refusal, ServerError
from realdb_ci.services.contract import Service, Wish

MODULES = ("url", "docker", "embedded")


def start(service: Service, wish: Wish, run: Run) -> Running:
    """Get one server: the first engine of the ladder that can serve the wish.

    Raises:
        ServerError: no engine could; the message lists each and why.

    """
    service.require_driver()
    refusals: list[tuple[str, Refusal]] = []
    for engine in ladder(wish):
        try:
            running = engine.start(service, wish, run)
        except Refusal as refusal:
            refusals.append((engine.NAME, refusal))
            continue
        run.notify(Notice(service.name, "ready", running.server.headline))
        return running
    raise _exhausted(service, wish, refusals)


def offers(service: Service, wish: Wish) -> list[tuple[str, Offer | RealdbError]]:
    """What each engine says to the wish, in the ladder's order: an Offer, or why not."""
    answers: list[tuple[str, Offer | RealdbError]] = []
    for engine in ladder(wish):
        try:
            answers.append((engine.NAME, engine.offer(service, wish)))
        except RealdbError as problem:
            answers.append((engine.NAME, problem))
    return answers


def ladder(wish: Wish) -> list[Engine]:
    """The engines to ask, in order: a URL that was given is the only rung, as is an engine named by the user."""
    if wish.engine != "auto":
        names: tuple[str, ...] = (wish.engine,)
    elif wish.url:
        names = ("url",)
    elif wish.strict:
        names = ("docker",)
    else:
        names = MODULES
    return [_module(name) for name in names]


def _module(name: str) -> Engine:
    engine: Engine = importlib.import_module(f"{__name__}.{name}")
    return engine


def _exhausted(service: Service, wish: Wish, refusals: list[tuple[str, Refusal]]) -> ServerError:
    if len(refusals) == 1:
        return refusals[0][1]
    rungs = "; ".join(f"{name}: {refusal.what} ({refusal.why})" for name, refusal in refusals)
    return ServerError(
        f"No {service.title} could be had for {wish.image}",
        why=rungs,
        remedy="One of these is enough: "
        + " Or: ".join(refusal.remedy for _, refusal in refusals if refusal.remedy),
    )
