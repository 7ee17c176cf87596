"""What is kept of a base branch between runs: found by its own job and branch only, and never lost to trouble."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cache_service import TOKEN, Store, serving

from realdb_ci.prepare.baselines import Baselines, committed
from realdb_ci.prepare.cache import CacheService, Patience
from realdb_ci.timing.history import History, Past, Run

FIRST = Run("a" * 40, 1.0, 1.0, {"t": Past("passed", 0.5)})
SECOND = Run("b" * 40, 2.0, 2.0, {"t": Past("failed", 0.5)})


@pytest.fixture
def store() -> Store:
    """What the service holds."""
    return Store()


@pytest.fixture
def warnings() -> list[str]:
    """What was told."""
    return []


@pytest.fixture
def desk(store: Store, warnings: list[str], tmp_path: Path) -> Iterator[Baselines]:
    """The history of one job on main, in which one run was kept."""
    with serving(store) as url:
        service = CacheService(url, TOKEN, patience=Patience(1.0, 1.0, (0.01,)))
        first = Baselines(service, "desk", "job", "main", "1-1", tmp_path, warnings.append)
        assert first.history() == History()
        first.keep(FIRST)
        yield replace(first, run="2-1", known=None)


def test_each_run_adds_to_what_was_kept(desk: Baselines, warnings: list[str]) -> None:
    """The newest entry of the branch holds them all."""
    assert desk.history().runs == (FIRST,)
    desk.keep(SECOND)
    assert replace(desk, run="3-1", known=None).history().runs == (SECOND, FIRST)
    assert warnings == []


@pytest.mark.parametrize("other", [{"project": "shop"}, {"job": "lint"}, {"branch": "main-2"}, {"branch": ""}])
def test_another_job_or_branch_has_another_history(desk: Baselines, other: dict[str, str]) -> None:
    """Names that begin alike are no exception."""
    assert replace(desk, **other).history() == History()


@pytest.mark.parametrize("behaviour", ["failing", "limited", "truncated"])
def test_history_that_could_not_be_read_is_not_replaced(
    desk: Baselines, store: Store, warnings: list[str], behaviour: str
) -> None:
    """One bad moment of the service would cost ten runs."""
    store.behaviour = behaviour
    assert desk.history() == History()
    store.behaviour = "well"
    desk.keep(SECOND)
    assert len(store.entries) == 1
    [warning] = warnings
    assert warning.startswith("There is no baseline to compare with: ")


def test_job_that_may_only_read_asks_for_nothing_more(desk: Baselines, store: Store) -> None:
    """What it must not do is not tried."""
    assert desk.service is not None
    reader = replace(desk, service=replace(desk.service, mode="read"))
    assert reader.history().runs == (FIRST,)
    asked = len(store.asked)
    reader.keep(SECOND)
    assert len(store.asked) == asked


def test_date_of_the_commit_is_what_git_says(tmp_path: Path) -> None:
    """In seconds since the epoch; where there is no checkout, nobody knows."""
    assert committed(tmp_path) == 0.0
    dated = {**os.environ, "GIT_COMMITTER_DATE": "2026-01-02T03:04:05+02:00"}
    git = ["git", "-c", "user.name=ann", "-c", "user.email=ann@example.org"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "Start"]):
        subprocess.run([*git, *words], cwd=tmp_path, env=dated, check=True)
    assert committed(tmp_path) == 1767315845.0
