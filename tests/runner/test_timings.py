"""Timings between runs: all shards of a workflow run share out by the same numbers, whatever the cache does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cache_service import TOKEN, Store, serving

from realdb_ci.prepare import timings
from realdb_ci.prepare.cache import CacheService
from realdb_ci.prepare.results_service import Patience, ServiceTrouble
from realdb_ci.prepare.timings import Agreed, Timings

MEASURED = {"tests/test_a.py::test_one": 1.5, "tests/test_a.py::test_two[x/y]": 0.25}


@pytest.fixture
def store() -> Store:
    """What the service holds."""
    return Store()


@pytest.fixture
def shop(store: Store, tmp_path: Path) -> Iterator[Timings]:
    """The timings of a project in one workflow run."""
    with serving(store) as url:
        service = CacheService(url, TOKEN, patience=Patience(1.0, 1.0, (0.01,)))
        yield Timings(service, "shop", "100", tmp_path)


def test_later_runs_share_out_by_what_was_measured(shop: Timings) -> None:
    """What an earlier run kept, all shards of the next one get; another project gets nothing."""
    shop.keep(MEASURED, {"old": 2.0})
    later = replace(shop, run="101")
    assert later.agree() == Agreed({**MEASURED, "old": 2.0})
    assert replace(shop, project="other").agree() == Agreed()


def test_a_shard_that_ends_early_does_not_change_the_numbers_of_the_others(shop: Timings) -> None:
    """Its measurements are newer, and count from the next workflow run on."""
    shop.keep(MEASURED, {})
    first = replace(shop, run="101")
    agreed = first.agree()
    first.keep({"tests/test_a.py::test_one": 9.0}, agreed.seconds)
    assert first.agree().digest == agreed.digest
    assert replace(shop, run="102").agree().seconds["tests/test_a.py::test_one"] == 9.0


def test_shards_that_start_at_once_agree(shop: Timings, tmp_path: Path) -> None:
    """The service decides whose numbers are the pinned ones."""
    shop.keep(MEASURED, {})
    found: list[Agreed] = []

    def shard(number: int) -> None:
        scratch = tmp_path / str(number)
        scratch.mkdir()
        found.append(replace(shop, run="101", scratch=scratch).agree())

    threads = [threading.Thread(target=shard, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [Agreed(MEASURED)] * 4


def test_where_the_cache_may_only_be_read_all_tests_count_the_same(shop: Timings, store: Store) -> None:
    """Numbers that cannot be pinned could change between two shards."""
    shop.keep(MEASURED, {})
    store.behaviour = "read-only"
    assert replace(shop, run="101").agree() == Agreed()


@pytest.mark.parametrize("behaviour", ["failing", "limited"])
def test_a_failing_cache_is_no_failure_and_is_told(behaviour: str, shop: Timings, store: Store) -> None:
    """This shard may be the only one that met it, so its report says that shards may differ."""
    store.behaviour = behaviour
    agreed = shop.agree()
    assert agreed.seconds == {}
    assert agreed.trouble
    with pytest.raises(ServiceTrouble):
        shop.keep(MEASURED, {})


@pytest.mark.parametrize("text", ["", "[1]", '{"a": "x", "b": true, "c": -1, "d": 1e9}', "\x00"])
def test_a_broken_entry_counts_as_none(text: str, tmp_path: Path) -> None:
    """Only numbers that can be durations are taken."""
    (tmp_path / "t").write_text(text)
    assert timings.read(tmp_path / "t") == {}
