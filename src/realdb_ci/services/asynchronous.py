"""Async fixtures that run in the event loop of the test that asks for them, whichever plugin runs that test.

A client that belongs to one event loop must never meet another, so what runs a test has to run its fixtures. The
two plugins choose differently: pytest-asyncio takes the fixtures that its own decorator marks, in auto mode every
async one, and runs each in the loop of the fixture's scope, not of the test's; anyio takes every async fixture of a
test that asks for ``anyio_backend``. Where both are installed, a fixture meant for one can end up with the other.
So ours look synchronous to both, and the hook below puts the right function in their place, test by test::

    pytest_plugins = ["realdb_ci.services.asynchronous"]

    @asynchronous.fixture
    async def async_mongo_client(mongo_url: str) -> AsyncIterator[AsyncMongoClient]:
        async with AsyncMongoClient(mongo_url) as client:
            yield client
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import inspect
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any, Literal, NoReturn, ParamSpec, TypeVar

import pytest

from realdb_ci.errors import EnvironmentProblem, RealdbError, SettingError

P = ParamSpec("P")
T = TypeVar("T")
Steps = Callable[..., AsyncIterator[Any]]
LoopScope = Literal["session", "package", "module", "class", "function"]

# From here on its synchronous fixtures see the loop of their loop_scope, which is how ours get to it:
# https://pytest-asyncio.readthedocs.io/en/stable/reference/changelog.html
OLDEST_PYTEST_ASYNCIO = (1, 4)

_STEPS = "_realdb_ci_steps"


def fixture(function: Callable[P, AsyncIterator[T]]) -> Callable[P, T]:
    """Make an async generator function a fixture of function scope that the test's own event loop runs.

    Args:
        function: yields once; its arguments are fixtures.
    """

    @functools.wraps(function)
    def undriven(*_: P.args, **__: P.kwargs) -> T:
        _fail(
            SettingError(
                f"{function.__name__} is asynchronous, and no async plugin runs this test",
                why="an async fixture lives in the event loop of the test that asks for it",
                remedy="write the test as `async def` and mark it `pytest.mark.anyio`, or `pytest.mark.asyncio` "
                "with pytest-asyncio installed; a test that is not async takes the fixture without `async_`",
            )
        )

    setattr(undriven, _STEPS, function)
    return pytest.fixture(undriven)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Have an async fixture of ours run by what runs the test; goes before the plugins look at it."""
    __tracebackhide__ = True
    function: Steps | None = getattr(fixturedef.func, _STEPS, None)
    driven = function and _driven(function, request)
    if not driven:
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fixturedef, "func", driven)
        # Older versions of anyio add to it and leave it so.
        patch.setattr(fixturedef, "argnames", fixturedef.argnames)
        return (yield)


def _driven(function: Steps, request: pytest.FixtureRequest) -> Callable[..., Any] | None:
    """The function in the form that the right plugin takes and the other leaves; None where neither runs it."""
    plugins, test = request.config.pluginmanager, request.node
    has_asyncio = plugins.has_plugin("asyncio")
    if has_asyncio and _pytest_asyncio().is_async_test(test):
        return _for_pytest_asyncio(function, request, _loop_scope(test))
    if plugins.has_plugin("anyio") and "anyio_backend" in request.fixturenames:
        _require_asyncio(request)
        return function
    if has_asyncio and not inspect.iscoroutinefunction(getattr(test, "obj", None)):
        # A plain test may well ask for an async fixture, if only through one that fills the database.
        return _for_pytest_asyncio(function, request, None)
    return None


def _pytest_asyncio() -> Any:
    """The package of the plugin, which need not be installed, not even to check types against."""
    return importlib.import_module("pytest_asyncio")


def _loop_scope(test: pytest.Item) -> LoopScope:
    """Which of pytest-asyncio's loops the test runs in."""
    mark = test.get_closest_marker("asyncio")
    default: LoopScope = test.config.getini("asyncio_default_test_loop_scope")
    return mark.kwargs.get("loop_scope", default) if mark else default


def _for_pytest_asyncio(
    function: Steps, request: pytest.FixtureRequest, loop_scope: LoopScope | None
) -> Callable[..., Any]:
    """A synchronous fixture: anyio leaves it alone, and pytest-asyncio shows it the loop of that scope."""
    pytest_asyncio = _pytest_asyncio()
    if tuple(int(part) for part in pytest_asyncio.__version__.split(".")[:2]) < OLDEST_PYTEST_ASYNCIO:
        _fail(
            EnvironmentProblem(
                f"pytest-asyncio {pytest_asyncio.__version__} is too old for the async fixtures of realdb-ci",
                why="it does not show a fixture the event loop that the test will run in",
                remedy=f"pip install 'pytest-asyncio>={'.'.join(map(str, OLDEST_PYTEST_ASYNCIO))}'",
            )
        )

    def begin(**arguments: Any) -> Any:
        loop, steps = asyncio.get_event_loop(), function(**arguments)
        value = loop.run_until_complete(anext(steps))
        request.addfinalizer(lambda: loop.run_until_complete(_end(steps)))
        return value

    pytest_asyncio.fixture(begin, loop_scope=loop_scope)
    return begin


async def _end(steps: AsyncIterator[Any]) -> None:
    with contextlib.suppress(StopAsyncIteration):
        await anext(steps)


def _require_asyncio(request: pytest.FixtureRequest) -> None:
    backend = request.getfixturevalue("anyio_backend")
    name = backend if isinstance(backend, str) else backend[0]
    if name != "asyncio":
        _fail(
            SettingError(
                f"{request.fixturename} runs on asyncio, and anyio runs this test on {name}",
                why="the driver knows asyncio alone",
                remedy="define a fixture anyio_backend that returns 'asyncio' for the tests with databases",
            )
        )


def _fail(problem: RealdbError) -> NoReturn:
    pytest.fail(str(problem), pytrace=False)
