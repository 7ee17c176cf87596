"""Snapshots through the cache service: the sample project by the built image, on machines that keep nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from cache_service import Store, serving
from imitation import GATEWAY, ROOT, Done, Machine

pytestmark = pytest.mark.docker
MakeMachine = Callable[..., Machine]
INPUTS = {"working-directory": "bookshelf", "cache": "snapshots"}
# The sample's own tables, made on a server; our fingerprint makes them on none.
LISTENER = """

from pathlib import Path
from sqlalchemy import event
from sqlmodel import SQLModel

@event.listens_for(SQLModel.metadata, "after_create")
def _told(_, connection, **__):
    if hasattr(connection, "exec_driver_sql"):
        with (Path(__file__).parent / "created.txt").open("a") as file:
            file.write("created\\n")
"""


@pytest.fixture
def store() -> Store:
    """What the service holds."""
    return Store()


@pytest.fixture
def one(machine: MakeMachine, store: Store) -> Iterator[Machine]:
    """A machine with the sample, which notes each time its tables are made."""
    with serving(store, GATEWAY) as url:
        made = machine(cache=url)
        made.check_out(ROOT / "fixtures" / "bookshelf")
        conftest = "bookshelf/tests/conftest.py"
        made.write(conftest, (made.workspace / conftest).read_text() + LISTENER)
        yield made


def _passes(one: Machine) -> Done:
    done = one.run(with_=INPUTS)
    assert done.code == 0, done.raw
    assert done.outputs["passed"] == "23"
    return done


def _times_built(one: Machine) -> int:
    return len((one.workspace / "bookshelf" / "tests" / "created.txt").read_text().splitlines())


def test_second_run_starts_with_the_schema_of_the_first(one: Machine, store: Store) -> None:
    """Saved by one job, found by the next, told in log and record; no table is made twice."""
    first = _passes(one)
    assert re.search(r"Snapshots: nothing found in [\d.]+ s", first.raw)
    assert "from a snapshot" not in first.raw
    assert [key.split("-")[2] for key, _ in store.entries] == ["snapshots"]
    second = _passes(one)
    assert ", from a snapshot" in second.raw
    told = r"restored in [\d.]+ s, server and schema in [\d.]+ s instead of [\d.]+ s: [\d.]+ s (saved|lost)"
    assert re.search(f"Snapshots: {told}", second.raw)
    assert re.search(
        f'"cache snapshots", "detail": "{told}', (one.workspace / second.outputs["events"]).read_text()
    )
    assert _times_built(one) == 1
    # What was restored is not sent again.
    assert len(store.entries) == 1
    assert [*first.log.of("warning"), *second.log.of("warning")] == []


def test_changed_tables_are_made_again(one: Machine, store: Store) -> None:
    """The server comes from the snapshot, the old tables do not; the next job finds both."""
    _passes(one)
    models = "bookshelf/bookshelf/models.py"
    text = (one.workspace / models).read_text()
    more = "\n\nclass Later(SQLModel, table=True):\n    id: int | None = Field(default=None, primary_key=True)\n"
    one.write(models, text + more)
    _passes(one)
    assert _times_built(one) == 2
    assert len(store.entries) == 2
    _passes(one)
    assert _times_built(one) == 2


def test_read_only_job_restores_and_one_without_snapshot_is_green(one: Machine, store: Store) -> None:
    """A pull request from a fork reads what the base branch has, and its refusal is one warning at most."""
    store.behaviour = "read-only"
    assert len(_passes(one).log.of("warning")) == 1
    assert store.entries == {}
    store.behaviour = "well"
    _passes(one)
    store.behaviour = "read-only"
    third = _passes(one)
    assert third.log.of("warning") == []
    assert ", from a snapshot" in third.raw
    assert _times_built(one) == 2


def test_mongodb_starts_from_the_data_of_the_first_job(machine: MakeMachine, store: Store) -> None:
    """The image's own first start is spared, and its entry holds next to nothing."""
    with serving(store, GATEWAY) as url:
        one = machine(cache=url)
        one.check_out(ROOT / "fixtures" / "chats")
        first, second = (one.run(with_=INPUTS | {"working-directory": "chats"}) for _ in range(2))
    assert (first.outputs["passed"], second.outputs["passed"]) == ("35", "35")
    assert re.search(r"mongodb: docker, [^\n]*, from a snapshot", second.raw)
    assert "from a snapshot" not in first.raw
    ((_, blob),) = store.entries.items()
    assert len(blob) < 1 << 20
    assert [*first.log.of("warning"), *second.log.of("warning")] == []


@pytest.mark.parametrize("way", ["garbage", "cut"])
def test_broken_entry_is_one_warning(way: str, one: Machine, store: Store) -> None:
    """The run is green, makes its tables and says why."""
    _passes(one)
    for key, blob in store.entries.items():
        store.entries[key] = blob[: len(blob) // 2] if way == "cut" else b"garbage" * 100
    done = _passes(one)
    (warning,) = done.log.of("warning")
    assert "The snapshots are not used" in warning.message
    assert "from a snapshot" not in done.raw
    assert _times_built(one) == 2
