"""Share: of a suite that is split, the part of one runner, which may have no test at all."""

from __future__ import annotations

from collections.abc import Sequence

import pytest


class Share:
    """A pytest plugin object, for a run that pytest-split splits."""

    def __init__(self) -> None:
        self._elsewhere = 0

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Remember what the last one to choose has left out: pytest-split, which chooses after all others."""
        self._elsewhere = len(items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Where all tests are in other shares, this one has done its part."""
        if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and self._elsewhere:
            session.exitstatus = pytest.ExitCode.OK
