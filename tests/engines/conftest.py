"""What the engines' tests share."""

from collections.abc import Iterator

import pytest
from launching import Launcher, Steps

from realdb_ci.engines.contract import Run


@pytest.fixture
def steps() -> Steps:
    """Everything the run says."""
    return Steps()


@pytest.fixture
def run(steps: Steps) -> Iterator[Run]:
    """A run that is closed at the end of the test."""
    made = Run(steps.append)
    yield made
    made.close()


@pytest.fixture
def launch(run: Run) -> Iterator[Launcher]:
    """Start services through the ladder."""
    launcher = Launcher(run)
    yield launcher
    launcher.stop()
