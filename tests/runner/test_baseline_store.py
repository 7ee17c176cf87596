"""What is kept of a base branch between runs: found by its own job and branch only, and never lost to trouble."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from artifact_service import token
from cache_service import TOKEN, Store, serving
from fake_github import FakeGitHub
from fake_github import serving as serving_github

from realdb_ci.github import Client, artifacts
from realdb_ci.prepare.artifacts import ArtifactService, pack
from realdb_ci.prepare.baselines import NOTE, Baselines, Fallback, committed
from realdb_ci.prepare.cache import CacheService
from realdb_ci.prepare.results_service import Patience
from realdb_ci.prepare.stores import Kept, Stores
from realdb_ci.prepare.uv import Uv
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


@pytest.fixture
def hub(store: Store) -> Iterator[FakeGitHub]:
    """A GitHub that lists what runs leave with the artifact service."""
    with serving_github() as fake:
        store.artifacts.storage = fake.storage
        yield fake
        assert fake.complaints == []


@pytest.fixture
def said() -> list[str]:
    """The lines in the log."""
    return []


@pytest.fixture
def shop(desk: Baselines, hub: FakeGitHub, said: list[str], tmp_path: Path) -> Baselines:
    """The same job once it has left its first run as an artifact as well."""
    assert desk.service is not None
    service = ArtifactService(desk.service.url, TOKEN, desk.service.patience, days=90)
    github = hub.job(tmp_path, branch="main", timeout=1.0)

    def find(name: str) -> bytes | None:
        return artifacts.newest(Client(github, lambda _seconds: None), name)

    first = replace(desk, fallback=Fallback(service, find, said.append), known=History())
    first.leave(FIRST)
    return replace(first, known=None)


def forget(store: Store) -> None:
    """Do what the cache does with entries that nobody uses."""
    store.entries.clear()


def later(one: Baselines, run: str) -> Baselines:
    """The same job in a later workflow run."""
    assert one.fallback is not None
    service = replace(one.fallback.service, token=token(run))
    return replace(one, run=f"{run}-1", fallback=replace(one.fallback, service=service), known=None, note="")


def test_history_that_the_cache_forgot_is_found_in_an_artifact(
    shop: Baselines, store: Store, warnings: list[str], said: list[str]
) -> None:
    """It goes on from there, in both places."""
    forget(store)
    assert shop.history().runs == (FIRST,)
    assert shop.note == NOTE
    second = later(shop, "2")
    assert second.history().runs == (FIRST,)
    second.keep(SECOND)
    second.leave(SECOND)
    assert later(shop, "3").history().runs == (SECOND, FIRST)
    forget(store)
    assert later(shop, "3").history().runs == (SECOND, FIRST)
    assert (warnings, said) == ([], [])


def test_artifacts_are_not_asked_for_while_the_cache_has_the_history(shop: Baselines, hub: FakeGitHub) -> None:
    """It is the faster one, and needs no permission."""
    assert shop.history().runs == (FIRST,)
    assert shop.note == ""
    assert hub.requests == []


@pytest.mark.parametrize("behaviour", ["failing", "limited", "truncated"])
def test_artifact_is_used_where_the_cache_fails(
    shop: Baselines, store: Store, warnings: list[str], behaviour: str
) -> None:
    """Nothing is amiss then."""
    store.behaviour = behaviour
    assert shop.history().runs == (FIRST,)
    assert warnings == []


def test_artifact_is_used_in_place_of_a_broken_entry(shop: Baselines, store: Store, warnings: list[str]) -> None:
    """The next run of the branch mends it."""
    store.entries = dict.fromkeys(store.entries, b"broken")
    assert shop.history().runs == (FIRST,)
    assert warnings == []


@pytest.mark.parametrize("mode", ["none", "write-only"])
def test_artifacts_do_without_a_cache(shop: Baselines, mode: str) -> None:
    """Also from the first run of a branch on."""
    assert shop.service is not None
    service = None if mode == "none" else replace(shop.service, mode=mode)
    without = replace(shop, service=service)
    assert without.history().runs == (FIRST,)
    fresh = replace(without, job="another", known=None)
    assert fresh.history() == History()
    fresh.leave(SECOND)
    assert later(fresh, "2").history().runs == (SECOND,)


def test_cache_that_failed_before_is_not_asked(shop: Baselines, store: Store) -> None:
    """Once is enough."""
    asked = len(store.asked)
    assert shop.history(cached=False).runs == (FIRST,)
    assert len(store.asked) == asked


def test_without_any_record_trouble_with_the_cache_replaces_nothing(
    shop: Baselines, store: Store, hub: FakeGitHub, warnings: list[str]
) -> None:
    """Neither there nor as an artifact: what the cache holds may be ten runs."""
    hub.storage.artifacts.clear()
    store.behaviour = "failing"
    assert shop.history() == History()
    store.behaviour = "well"
    shop.keep(SECOND)
    later(shop, "2").leave(SECOND)
    assert (len(store.entries), len(store.artifacts.kept)) == (1, 1)
    assert len(warnings) == 1


def test_without_the_permission_there_is_one_line_and_the_history_begins_anew(
    shop: Baselines, store: Store, hub: FakeGitHub, warnings: list[str], said: list[str]
) -> None:
    """As it does without artifacts: no warning."""
    forget(store)
    hub.permissions.clear()
    assert shop.history() == History()
    shop.keep(SECOND)
    assert len(store.entries) == 1
    [line] = said
    assert line == (
        "Baseline: it is not in the cache, nor can artifacts be looked through: GitHub refused "
        "(403: Resource not accessible by integration). Give the job the permission 'actions: read'."
    )
    assert warnings == []


BROKEN = {"no zip": b"PK?", "bomb": pack(bytes(9 << 20)), "another file": pack(b"{}"), "empty": b""}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_broken_artifact_is_no_history(
    shop: Baselines, store: Store, hub: FakeGitHub, said: list[str], content: bytes
) -> None:
    """The next run of the branch leaves a whole one."""
    forget(store)
    [(number, _)] = hub.storage.files.items()
    hub.storage.files[number] = content
    assert shop.history() == History()
    second = later(shop, "2")
    assert second.history() == History()
    second.leave(SECOND)
    assert later(shop, "3").history().runs == (SECOND,)
    assert all(line.startswith("Baseline: the artifact is not used: ") for line in said)
    assert len(said) == 2


def test_second_attempt_leaves_the_artifact_of_the_first(
    shop: Baselines, store: Store, warnings: list[str], said: list[str]
) -> None:
    """Of one workflow run, which tested one commit."""
    again = replace(shop, run="1-2")
    again.history()
    again.leave(SECOND)
    assert len(store.artifacts.kept) == 1
    assert (warnings, said) == ([], [])


@pytest.mark.parametrize("behaviour", ["failing", "lossy"])
def test_artifact_that_cannot_be_left_is_a_line_in_the_log(
    shop: Baselines, store: Store, warnings: list[str], said: list[str], behaviour: str
) -> None:
    """The cache has the history all the same."""
    second = later(shop, "2")
    second.history()
    store.behaviour = behaviour
    second.leave(SECOND)
    [line] = said
    assert line.startswith("Baseline: it is not left as an artifact: ")
    assert warnings == []


def stores(one: Baselines, chosen: set[str], warnings: list[str]) -> Stores:
    """All stores of a job, of which some are on."""
    uv = Uv(one.scratch, {}, warnings.append)
    told = (warnings.append, warnings.append, lambda *_: None, lambda *_, **__: None)
    kept = Kept(one.project, "2", one.scratch, uv, *told, one.job, one.branch)
    return Stores.of(one.service, chosen, kept, later(one, "2").fallback)


def test_history_does_without_a_cache_that_failed_another_store(
    shop: Baselines, store: Store, warnings: list[str], said: list[str]
) -> None:
    """The cache is asked once in all; the artifact is found, and the next one left."""
    store.behaviour = "limited"
    every = stores(shop, {"snapshots", "timings"}, warnings)
    every.warm.restore()
    asked = len(store.asked)
    assert every.history().runs == (FIRST,)
    store.behaviour = "well"
    every.keep({"t": 0.5}, 0.0, SECOND)
    assert store.asked[asked:] == ["CreateArtifact", "FinalizeArtifact"]
    assert later(replace(shop, service=None), "3").history().runs == (SECOND, FIRST)
    assert (len(warnings), said) == (1, [])


def test_artifacts_are_off_where_timings_are(shop: Baselines, store: Store, hub: FakeGitHub) -> None:
    """They are what the cache input leaves out."""
    some = stores(shop, {"snapshots"}, [])
    asked = len(store.asked)
    assert some.history() == History()
    some.keep({"t": 0.5}, 0.0, SECOND)
    assert (store.asked[asked:], hub.requests) == ([], [])


def test_date_of_the_commit_is_what_git_says(tmp_path: Path) -> None:
    """In seconds since the epoch; where there is no checkout, nobody knows."""
    assert committed(tmp_path) == 0.0
    dated = {**os.environ, "GIT_COMMITTER_DATE": "2026-01-02T03:04:05+02:00"}
    git = ["git", "-c", "user.name=ann", "-c", "user.email=ann@example.org"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "Start"]):
        subprocess.run([*git, *words], cwd=tmp_path, env=dated, check=True)
    assert committed(tmp_path) == 1767315845.0
