"""Timings between runs: all shards of a workflow run share out by the same numbers, whatever the cache does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cache_service import TOKEN, Store, serving

from realdb_ci.prepare import timings
from realdb_ci.prepare.cache import CacheService, of_project, version
from realdb_ci.prepare.results_service import Patience, ServiceTrouble
from realdb_ci.prepare.timings import Agreed, Timings, part_of

MEASURED = {"tests/test_a.py::test_one": 1.5, "tests/test_a.py::test_two[x/y]": 0.25}


@pytest.fixture
def store() -> Store:
    """What the service holds."""
    return Store()


@pytest.fixture
def shop(store: Store, tmp_path: Path) -> Iterator[Timings]:
    """The timings of a project in one workflow run."""
    with serving(store) as url:
        service = CacheService(url, TOKEN, patience=Patience(1.0, 1.0, (0.01,), 1.0))
        yield Timings(service, "shop", "100", tmp_path)


def test_later_runs_share_out_by_what_was_measured(shop: Timings) -> None:
    """What an earlier run kept, all shards of the next one get."""
    shop.keep(MEASURED)
    assert replace(shop, run="101").agree(2) == Agreed(MEASURED)


def test_project_whose_name_only_begins_alike_has_numbers_of_its_own(shop: Timings) -> None:
    """Tests of two projects may have one name, and their numbers are nobody else's."""
    replace(shop, project="shop-api").keep(MEASURED)
    replace(shop, project="shop-all").keep(MEASURED)
    assert shop.agree(2) == Agreed()


def test_what_every_shard_measured_is_put_together(shop: Timings) -> None:
    """After one run of a matrix all its tests are known, and not those of one shard alone."""
    shop.keep({"a": 9.0, "b": 2.0})
    for number in range(1, 5):
        shop.keep({"a": 1.0} if number == 1 else {f"t{number}": 1.0}, part_of(number, 4))
    later = replace(shop, run="101")
    assert later.agree(4).seconds == {"a": 1.0, "b": 2.0, "t2": 1.0, "t3": 1.0, "t4": 1.0}
    assert later.agree(2).seconds == {"a": 9.0, "b": 2.0}


def test_large_matrix_asks_a_sensible_number_of_times(shop: Timings, store: Store) -> None:
    """The service limits how often a job may ask."""
    shop.agree(5000)
    assert store.asked.count("GetCacheEntryDownloadURL") == 34


def test_a_shard_that_ends_early_does_not_change_the_numbers_of_the_others(shop: Timings) -> None:
    """Its measurements are newer, and count from the next workflow run on."""
    shop.keep(MEASURED)
    first = replace(shop, run="101")
    agreed = first.agree(2)
    first.keep({"tests/test_a.py::test_one": 9.0}, part_of(1, 2))
    assert first.agree(2).digest == agreed.digest
    assert replace(shop, run="102").agree(2).seconds["tests/test_a.py::test_one"] == 9.0


def test_shards_that_start_at_once_agree(shop: Timings, tmp_path: Path) -> None:
    """The service decides whose numbers are the pinned ones."""
    shop.keep(MEASURED)
    found: list[Agreed] = []

    def shard(number: int) -> None:
        scratch = tmp_path / str(number)
        scratch.mkdir()
        found.append(replace(shop, run="101", scratch=scratch).agree(4))

    threads = [threading.Thread(target=shard, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [Agreed(MEASURED)] * 4


@pytest.mark.parametrize("behaviour", ["read-only", "unreadable"])
def test_where_no_shard_may_use_the_cache_all_tests_count_the_same(
    behaviour: str, shop: Timings, store: Store
) -> None:
    """Numbers that cannot be pinned could change between two shards."""
    shop.keep(MEASURED)
    store.behaviour = behaviour
    assert [replace(shop, run="101").agree(2) for _shard in range(2)] == [Agreed()] * 2


def test_pin_that_another_shard_never_finishes_is_told(
    shop: Timings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it would have used, nobody knows."""
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    assert shop.service is not None
    pin = f"realdb-ci-pinned-{of_project('shop')}-100-2"
    store.pending[pin, version(timings.KIND)] = "blob"
    assert shop.agree(2).trouble == "another shard began to pin the timings and did not end"


def test_disk_without_room_is_told_as_well(shop: Timings, tmp_path: Path) -> None:
    """The others have room, and share out by what this one cannot write."""
    shop.keep(MEASURED)
    (tmp_path / "timings.json").unlink()
    (tmp_path / "timings.json").mkdir()
    assert replace(shop, run="101").agree(2).trouble


@pytest.mark.parametrize("behaviour", ["failing", "limited", "hanging", "refusing blobs", "failing blobs"])
def test_a_failing_cache_is_no_failure_and_is_told(behaviour: str, shop: Timings, store: Store) -> None:
    """This shard may be the only one that met it, so it must know that it has no numbers to share out by."""
    shop.keep(MEASURED)
    store.behaviour = behaviour
    later = replace(shop, run="101")
    agreed = later.agree(2)
    assert agreed.seconds == {}
    assert agreed.trouble
    assert later.trouble
    with pytest.raises(ServiceTrouble):
        later.keep(MEASURED, part_of(1, 2))


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"a": "x", "b": true, "c": -1, "d": 1e9}', "\x00", "[" * 200_000, f'{{"a": 1{"0" * 400}}}']
)
def test_a_broken_entry_counts_as_none(text: str, tmp_path: Path) -> None:
    """Only numbers that can be durations are taken."""
    (tmp_path / "t").write_text(text)
    assert timings.read(tmp_path / "t") == {}
