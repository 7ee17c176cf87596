"""The imitations that the tests of the runner and of GitHub have; environments for projects to be tested."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from building import Make, wheel

from realdb_ci.prepare import dependencies
from realdb_ci.prepare.environment import Environment, Maker
from realdb_ci.prepare.installing import Order
from realdb_ci.prepare.uv import Uv

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("runner", "github")]


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all, so that uv downloads once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def said() -> list[str]:
    """What uv said."""
    return []


@pytest.fixture
def make(home: Path, tmp_path: Path, said: list[str]) -> Make:
    """Make the environment of the project in the test's folder."""

    def call(**changes: object) -> Environment:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL"))}
        environ |= changes.pop("environ", {})  # type: ignore[call-overload]
        plan = dependencies.plan(tmp_path, tmp_path, changes.pop("install", ()))  # type: ignore[arg-type]
        order = replace(Order(tmp_path, plan), **changes)  # type: ignore[arg-type]
        maker = Maker(Uv(home, environ, said.append), wheel())
        made = maker.empty(order)
        maker.fill(order, made)
        return made

    return call
