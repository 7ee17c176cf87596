"""Only: a run of a few chosen tests of a suite, which leaves no report in the place of the suite's."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest

# Where pytest and its plugins are told to leave what the whole suite has left before.
REPORTS = ("xmlpath", "htmlpath", "report_log", "json_report", "allure_report_dir")


class Only:
    """A pytest plugin object; in each process that collects tests.

    Args:
        file: a JSON list of node ids.
    """

    def __init__(self, file: Path) -> None:
        self._chosen = frozenset(json.loads(file.read_text(encoding="utf-8")))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None, None, None]:
        """Leave out all other tests, once everybody else has chosen: a share of few would be another."""
        yield
        others = [item for item in items if item.nodeid not in self._chosen]
        items[:] = [item for item in items if item.nodeid in self._chosen]
        if others:
            config.hook.pytest_deselected(items=others)


def without_reports(options: object) -> None:
    """Take back what the command line or the settings say about reports."""
    for name in REPORTS:
        if getattr(options, name, None):
            setattr(options, name, None)
