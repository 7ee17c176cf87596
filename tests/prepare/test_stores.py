"""What a job keeps between runs, as a whole: one warning at most, and a suite that runs whatever the cache does."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest
from cache_service import TOKEN, Store, serving

from realdb_ci.inputs import Shard
from realdb_ci.prepare import timings
from realdb_ci.prepare.cache import CacheService
from realdb_ci.prepare.results_service import Patience
from realdb_ci.prepare.stores import Kept, Stores
from realdb_ci.prepare.uv import Uv
from realdb_ci.prepare.warm import Warm
from realdb_ci.timing.history import Past, Run

RUN = Run("a" * 40, 1.0, 1.0, {"t": Past("passed", 0.5)})
MEASURED = {"t": 0.5}


@dataclass
class Job:
    """Jobs of one project, and what they tell."""

    service: CacheService
    home: Path
    warned: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def stores(self, run: str = "1", chosen: tuple[str, ...] = ("snapshots", "timings", "images")) -> Stores:
        """The stores of a job in a workflow run."""
        kept = Kept(
            "shop",
            run,
            self.home,
            Uv(self.home, {}, lambda _text: None),
            self.warned.append,
            lambda _text: None,
            lambda *_: None,
            lambda kind, **fields: self.events.append({"event": kind, **fields}),
            "job",
            "main",
        )
        return Stores.of(self.service, chosen, kept)


@pytest.fixture
def store() -> Store:
    """What the service holds."""
    return Store()


@pytest.fixture
def job(store: Store, tmp_path: Path) -> Iterator[Job]:
    """Jobs with that service."""
    with serving(store) as url:
        yield Job(CacheService(url, TOKEN, patience=Patience(1.0, 1.0, (0.01,), 1.0)), tmp_path)


def test_each_shard_is_told_in_the_events(job: Job) -> None:
    """By them a report can tell whether all of them ran, and were split by the same numbers."""
    flags = [job.stores().split_flags(Shard(number, 2), job.home) for number in (1, 2)]
    digest = timings.Agreed().digest
    assert job.events == [
        {"event": "shard", "number": number, "total": 2, "digest": digest, "whole": False} for number in (1, 2)
    ]
    assert [one[2:4] for one in flags] == [["--splits=2", "--group=1"], ["--splits=2", "--group=2"]]


@pytest.mark.parametrize("behaviour", ["failing", "limited", "hanging", "failing blobs"])
def test_shard_that_cannot_agree_runs_the_whole_suite(behaviour: str, job: Job, store: Store) -> None:
    """Split by other numbers than the others, some tests would run nowhere while all jobs are green."""
    store.behaviour = behaviour
    assert job.stores().split_flags(Shard(2, 2), job.home) == []
    assert job.events[0]["whole"] is True
    [warning] = job.warned
    assert warning.startswith("Shard 2/2 is the whole suite, as timings could not be agreed on: ")


def test_shards_learn_of_one_another(job: Job) -> None:
    """What each of them measured, the next run splits by."""
    for number in (1, 2):
        stores = job.stores()
        stores.split_flags(Shard(number, 2), job.home)
        stores.keep({f"t{number}": 1.0}, 0.0)
    assert job.stores("2").timings.agree(2).seconds == {"t1": 1.0, "t2": 1.0}


def test_project_whose_name_only_begins_alike_has_snapshots_of_its_own(job: Job) -> None:
    """The data of another one's tables would be restored, and saved again as these."""

    def warm(project: str, machine: str) -> Warm:
        return Warm.of(job.service, project, job.home / machine / "snapshots", job.warned.append)

    first = warm("shop-api", "a")
    first.folder.mkdir(parents=True)
    (first.folder / "data.tar.gz").write_bytes(b"data")
    assert first.save(1.0)
    for project, found in (("shop", False), ("shop-api", True)):
        other = warm(project, project)
        other.restore()
        assert bool(other.entry.found) == found
    assert job.warned == []


def test_service_that_failed_is_not_asked_again_and_told_of_once(job: Job, store: Store) -> None:
    """Each further question would cost the step as long as the first."""
    store.behaviour = "failing"
    stores = job.stores(chosen=("timings",))
    assert stores.split_flags(Shard(1, 2), job.home) == []
    asked = len(store.asked)
    assert stores.history().runs == ()
    stores.keep(MEASURED, 0.0, RUN)
    assert len(store.asked) == asked
    assert len(job.warned) == 1


def test_baseline_that_could_not_be_read_is_the_last_question(job: Job, store: Store) -> None:
    """Nothing is saved to a service that failed to tell what it has."""
    store.behaviour = "failing"
    stores = job.stores(chosen=("timings",))
    stores.history()
    asked = len(store.asked)
    stores.keep(MEASURED, 0.0, RUN)
    assert len(store.asked) == asked
    assert len(job.warned) == 1


def test_shard_asks_a_service_that_failed_once_more(job: Job, store: Store) -> None:
    """The price of not asking would be the whole suite; a second failure is no second warning."""
    stores = job.stores()
    store.behaviour = "limited"
    stores.warm.restore()
    assert stores.split_flags(Shard(1, 2), job.home) == []
    store.behaviour = "well"
    assert stores.split_flags(Shard(1, 2), job.home)
    assert len(job.warned) == 1


def test_full_disk_at_the_end_is_one_warning(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite has run by then, and is as green as it was."""

    def full(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    stores = job.stores()
    stores.history()
    (job.home / "images").mkdir()
    stores.stock.slower.append("postgres:17")
    monkeypatch.setattr(Path, "write_text", full)
    monkeypatch.setattr(Path, "write_bytes", full)
    stores.keep(MEASURED, 0.0, RUN)
    [warning] = job.warned
    assert "No space left on device" in warning
