"""A base branch's history through the built image: two pushes, then pull requests that are held against them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cache_service import Store, serving
from fake_github import HEAD, FakeGitHub
from imitation import BASE, GATEWAY, Done, Machine

from realdb_ci import results

pytestmark = pytest.mark.docker
MakeMachine = Callable[..., Machine]
TESTS = """
def test_old(): assert False
def test_new(): assert {new}
"""
COMMITS = ("1" * 40, "2" * 40)
KNOWN, NEW = "### Known failures (also failing on the base)", "### New failures"


@pytest.fixture
def store() -> Store:
    """What the cache service holds."""
    return Store()


@pytest.fixture
def desk(machine: MakeMachine, store: Store, github: FakeGitHub, tmp_path: Path) -> Iterator[Machine]:
    """A machine on which two pushes have run; their second commit is what the pull request was made from."""
    github.permissions |= {"checks", "pull-requests"}
    github.merge_bases[f"{BASE}...{HEAD}"] = "2099-01-01T00:00:00Z"
    project = tmp_path / "desk"
    project.mkdir()
    (project / "test_desk.py").write_text(TESTS.format(new=True))
    store.artifacts.storage = github.storage
    with serving(store, GATEWAY) as url:
        one = machine(cache=url)
        one.check_out(project)
        for number, commit in enumerate(COMMITS):
            one.pushed, one.run_id = commit, str(number)
            done = run(one)
            assert len(list(kept(store))) == number + 1, done.raw
        one.pushed, one.run_id = "", "9"
        one.write("desk/test_desk.py", TESTS.format(new=False))
        yield one


def kept(store: Store) -> Iterator[tuple[str, str]]:
    """The entries that hold a history."""
    return (entry for entry in store.entries if "-baseline-" in entry[0])


def run(one: Machine) -> Done:
    """Run the project, whose first test always fails."""
    done = one.run(with_={"working-directory": "desk", "cache": "timings"})
    assert done.code == 1, done.raw
    return done


def comparison(one: Machine, done: Done) -> results.Comparison | None:
    """What the events say of the base branch."""
    [suite] = results.read(one.workspace / done.outputs["events"]).suites
    return suite.comparison


def test_pull_request_tells_new_failures_from_known_ones(desk: Machine, store: Store, github: FakeGitHub) -> None:
    """In its comment, with the commits; though it may only read the cache, and saves nothing."""
    store.behaviour = "read-only"
    done = run(desk)
    told = comparison(desk, done)
    assert told is not None
    assert (told.known, told.new) == (("test_desk.py::test_old",), ("test_desk.py::test_new",))
    (comment,) = github.comments.values()
    new, known = comment["body"].index(NEW), comment["body"].index(KNOWN)
    assert new < comment["body"].index("test_new") < known < comment["body"].index("test_old")
    words = "Compared with 2 runs of main: 2222222, 1111111."
    assert f"{words} Not enough data to tell slower tests (2 runs, 5 needed)." in comment["body"]
    assert words in done.summary
    (check,) = (one for one in github.checks.values() if one["head_sha"] == HEAD)
    assert [note["title"] for note in check["annotations"]] == [
        "test_desk.py::test_new: failed",
        "test_desk.py::test_old: failed, also failing on the base",
    ]
    assert len(list(kept(store))) == len(COMMITS)


def test_runs_of_commits_that_came_later_do_not_count(desk: Machine, github: FakeGitHub) -> None:
    """A branch that was made before them is held against nothing."""
    github.merge_bases[f"{BASE}...{HEAD}"] = "2001-01-01T00:00:00Z"
    done = run(desk)
    assert comparison(desk, done) is None
    assert "Baseline: the runs that are known of main are all newer than the merge base" in done.raw
    assert NEW not in done.summary


def test_without_the_merge_base_all_runs_count_and_the_report_says_so(desk: Machine, github: FakeGitHub) -> None:
    """GitHub does not tell it to every token."""
    github.merge_bases.clear()
    done = run(desk)
    assert "All its runs count, as GitHub does not tell the merge base (404: Not Found)." in done.summary
    assert KNOWN in done.summary


def test_broken_history_is_one_warning_and_no_baseline(desk: Machine, store: Store) -> None:
    """A cache may hold anything."""
    for entry in kept(store):
        store.entries[entry] = b'{"version": 1, "tests": 7}'
    done = run(desk)
    [warning] = done.log.of("warning")
    assert "The baseline is not used: it does not hold what it should" in str(warning)
    assert comparison(desk, done) is None
    assert NEW not in done.summary


def test_next_push_replaces_a_broken_history(desk: Machine, store: Store) -> None:
    """It is not broken for ever."""
    for entry in kept(store):
        store.entries[entry] = b"broken"
    desk.pushed = "3" * 40
    run(desk)
    desk.pushed, desk.run_id = "", "10"
    told = comparison(desk, run(desk))
    assert told is not None
    assert told.commits == ("3" * 40,)


def test_pull_request_finds_in_an_artifact_what_the_cache_forgot(
    desk: Machine, store: Store, github: FakeGitHub
) -> None:
    """Once the job's token may read them; the report says where the runs are known from."""
    store.entries.clear()
    github.permissions |= {"actions"}
    # Of two pushes, with one name in each run, by which the last one is found.
    (name, *others) = {name for _, name in store.artifacts.kept}
    assert (len(store.artifacts.kept), others) == (2, [])
    # A fork's run is newer, and would excuse the new failure.
    github.storage.add(name, b"a fork's", run={"head_repository_id": 43})
    done = run(desk)
    told = comparison(desk, done)
    assert told is not None
    assert told.commits == tuple(reversed(COMMITS))
    assert (told.known, told.new) == (("test_desk.py::test_old",), ("test_desk.py::test_new",))
    (comment,) = github.comments.values()
    for surface in (comment["body"], done.summary):
        assert "Compared with 2 runs of main: 2222222, 1111111." in surface
        assert "The runs are known from an artifact, not from the cache." in surface
    assert done.log.of("warning") == []
    # What a pull request leaves, no other run is to find.
    assert len(store.artifacts.kept) == 2


def test_without_the_permission_to_read_artifacts_nothing_is_amiss(
    desk: Machine, store: Store, github: FakeGitHub
) -> None:
    """One line in the log names it; the report is that of a run without a baseline."""
    store.entries.clear()
    github.permissions -= {"actions"}
    done = run(desk)
    assert comparison(desk, done) is None
    assert "Give the job the permission 'actions: read'." in done.raw
    assert done.log.of("warning") == []
    assert NEW not in done.summary


def test_nothing_is_left_where_the_cache_input_leaves_timings_out(desk: Machine, store: Store) -> None:
    """Nor looked for."""
    desk.pushed, desk.run_id = "3" * 40, "10"
    asked = len(store.asked)
    done = desk.run(with_={"working-directory": "desk", "cache": "false"})
    assert done.code == 1, done.raw
    assert len(store.asked) == asked
    assert len(store.artifacts.kept) == len(COMMITS)
