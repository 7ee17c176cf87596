"""Evidence: what the servers logged while a test failed, beside its traceback and its captured output."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from realdb_ci.errors import RealdbError

if TYPE_CHECKING:
    from realdb_ci.hub import Hub

SERVERS = "_server"
MOST_LINES = 50
# The clocks of a test and of its server are read a moment apart.
SLACK_SECONDS = 0.001
# PostgreSQL logs the statement that failed with its values, which are none of a report's business.
_STATEMENT = re.compile(r"STATEMENT:  .*")
_LITERAL = re.compile(r"'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b")


class Evidence:
    """A pytest plugin object; in each process that runs tests.

    Args:
        hub: knows the servers.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put what the servers of the test have logged in this phase into the report of a failure."""
        report = yield
        if report.failed:
            for name in getattr(item, "fixturenames", ()):
                if name.endswith(SERVERS):
                    self._add(report, name.removesuffix(SERVERS), call.start)
        return report

    def _add(self, report: pytest.TestReport, service: str, since: float) -> None:
        try:
            told = self._hub.log_of_test(service, since - SLACK_SECONDS)
        except RealdbError:
            return  # a server that is gone is what the failure itself tells of
        lines = told.splitlines()[-MOST_LINES:]
        if lines:
            report.sections.append((f"Log of {service}", "\n".join(map(_redacted, lines))))


def _redacted(line: str) -> str:
    return _STATEMENT.sub(lambda found: _LITERAL.sub("?", found[0]), line)
