"""The clock: freezegun for the code under test, the real time for everything that has to wait or to measure.

freezegun alone freezes a driver's time-outs too (a selection of a server that never ends) and, in a process that is
already measuring, pytest's durations. So the modules in LEFT_ALONE keep the real clock.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib
from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from realdb_ci.errors import SettingError
from realdb_ci.services.access import access

MARKER = "realdb_time(moment, tick=False, tz_offset=0): freeze the test's clock at this moment, before its fixtures"
# Prefixes of module names. Waiting and measuring belongs to these; what they call back (a column's default, the
# callback of a transaction) sees the frozen clock again.
LEFT_ALONE = (
    *("pytest.", "_pytest.", "pluggy.", "xdist.", "execnet.", "pytest_httpserver.", "pytest_rerunfailures"),
    *("hypothesis.", "anyio.", "trio."),
    *("concurrent.futures", "multiprocessing.", "queue", "selectors", "socketserver", "subprocess", "threading"),
    *("psycopg.", "psycopg2.", "psycopg_pool.", "asyncpg.", "sqlalchemy.pool.", "sqlalchemy.util."),
    *("pymongo.", "redis.", "docker.", "testcontainers.", "urllib3.", "httpcore.", "werkzeug."),
    "realdb_ci.",
)
# Compiled drivers take hold of the class ``datetime.date`` when they are imported; it must not be the frozen one.
BOUND_AT_IMPORT = ("asyncpg", "psycopg")


class FrozenTime(Protocol):
    """The handle on a frozen clock."""

    def __call__(self) -> dt.datetime:
        """The moment the clock shows, in UTC."""

    def move_to(self, target_datetime: str | dt.date) -> None:
        """Set the clock to a moment, back or forth."""

    def tick(self, delta: dt.timedelta | float = ...) -> dt.datetime:
        """Move the clock on, by seconds or a timedelta; by one second if not told otherwise."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", MARKER)


@pytest.fixture(autouse=True)
def _realdb_time(request: pytest.FixtureRequest) -> None:
    """Let the marker alone freeze a test; as an autouse fixture it comes before what the test itself asks for."""
    if request.node.get_closest_marker("realdb_time"):
        request.getfixturevalue("frozen_time")


@pytest.fixture
def frozen_time(
    request: pytest.FixtureRequest, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FrozenTime]:
    """Stopped clock: ``frozen_time.move_to("2026-06-01 12:00")``, ``frozen_time.tick(60)``.

    It shows the moment of ``@pytest.mark.realdb_time("2026-06-01 12:00")``, or the one at which the test began.
    Servers, drivers and ``asyncio.sleep`` keep the real time.
    """
    from freezegun import api, config

    # For every freeze_time in the test, not for ours alone.
    left_alone = [*config.settings.default_ignore_list, *LEFT_ALONE]
    monkeypatch.setattr(config.settings, "default_ignore_list", left_alone)
    # Who asks for the time counts, not who called that: freezegun looks five callers up, and so gives the real
    # time to code of the test that a driver or a runner calls back.
    monkeypatch.setattr(api, "call_stack_inspection_limit", 1)
    marker = request.node.get_closest_marker("realdb_time")
    moment, options = (marker.args, marker.kwargs) if marker else ((), {})
    for driver in BOUND_AT_IMPORT:
        with contextlib.suppress(ImportError):
            importlib.import_module(driver)
    with access(pytestconfig).step("double", "frozen_time"):
        freezer = _freezer(moment, options)
    with freezer as clock:
        yield clock


def _freezer(moment: tuple[Any, ...], options: dict[str, Any]) -> Any:
    from freezegun import freeze_time

    try:
        return freeze_time(*moment, **{**options, "real_asyncio": True})
    except (TypeError, ValueError, OverflowError) as problem:
        raise SettingError(
            f"The marker realdb_time cannot freeze the clock with {(*moment, *options.items())}",
            why=str(problem),
            remedy='Write a moment in UTC: @pytest.mark.realdb_time("2026-06-01 12:00").',
        ) from None
