"""Unasked: tests that come by our engine without naming it, and are isolated as soon as they use it.

``request.getfixturevalue`` and doctest's ``getfixture`` find a fixture while the test runs already, and so does
code that kept the engine from an earlier test. A pytest plugin, beside the fixtures.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from realdb_ci.services.postgres import isolation

if TYPE_CHECKING:
    from sqlalchemy import Engine

ISOLATION = "_postgres_isolation"
# Of a test: that it is isolated. Of the run: its engine, and the test that is being set up or called.
ISOLATED: pytest.StashKey[bool] = pytest.StashKey()
_ENGINE: pytest.StashKey[object] = pytest.StashKey()
_RUNNING: pytest.StashKey[pytest.Item] = pytest.StashKey()


class Sentinel:
    """Stands in for an engine's pool; the first connection begins the isolation of the test that wants it.

    Args:
        engine: whose pool.
        isolate: gives the engine a pool whose connections are undone after the test.
    """

    def __init__(self, engine: Engine, isolate: Callable[[], object]) -> None:
        self._engine = engine
        self._isolate = isolate
        self._thread = threading.get_ident()
        self.kept = engine.pool

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kept, name)

    def connect(self) -> Any:
        """A connection of the isolated test; to other threads, which belong to no test, what there was before."""
        if threading.get_ident() == self._thread:
            self._isolate()
        pool: Any = self._engine.pool
        return (self.kept if pool is self else pool).connect()


def is_isolated(item: pytest.Item, request: pytest.FixtureRequest) -> None:
    """Remember that a test is isolated, until the fixture of this request ends; nothing waits for that any more."""
    item.stash[ISOLATED] = True
    request.addfinalizer(lambda: item.stash.__setitem__(ISOLATED, False))  # for another attempt
    _relieve(item.config.stash.get(_ENGINE, None))


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Isolate a test before a fixture of its own uses our engine; what wider ones write is to stay."""
    stash = request.config.stash
    if fixturedef.scope != "function":
        with _asleep(stash.get(_ENGINE, None)):
            value = yield
        if fixturedef.argname == "postgres_engine":
            stash[_ENGINE] = value
            if _RUNNING in stash:
                _watch(stash[_RUNNING])
        return value
    if "postgres_engine" in fixturedef.argnames and fixturedef.argname != ISOLATION:
        _isolate(request.node)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Isolate a test whose fixtures come by our engine while they run."""
    return (yield from _watched(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Isolate a test that comes by our engine while it runs."""
    return (yield from _watched(item))


def _watched(item: pytest.Item) -> Generator[None, object, object]:
    stash = item.config.stash
    stash[_RUNNING] = item
    _watch(item)
    try:
        return (yield)
    finally:
        del stash[_RUNNING]
        _relieve(stash.get(_ENGINE, None))


def _watch(item: pytest.Item) -> None:
    engine: Any = item.config.stash.get(_ENGINE, None)
    isolates = ISOLATION in getattr(item, "fixturenames", ()) or item.stash.get(ISOLATED, False)
    if not isolates and isolation.is_possible(engine):
        engine.pool = Sentinel(engine, lambda: _isolate(item))


def _isolate(item: pytest.Item) -> None:
    """Isolate a test from here on, unless it is isolated already."""
    request: pytest.FixtureRequest | None = getattr(item, "_request", None)
    if request and not item.stash.get(ISOLATED, False):
        request.getfixturevalue(ISOLATION)


def _relieve(engine: Any) -> Sentinel | None:
    """Give an engine its own pool back; return what stood in its place."""
    sentinel = getattr(engine, "pool", None)
    if not isinstance(sentinel, Sentinel):
        return None
    engine.pool = sentinel.kept
    return sentinel


@contextmanager
def _asleep(engine: Any) -> Iterator[None]:
    """Around what is to stay for more than one test."""
    sentinel = _relieve(engine)
    try:
        yield
    finally:
        if sentinel is not None:
            engine.pool = sentinel
