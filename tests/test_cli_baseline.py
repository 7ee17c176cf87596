"""The command line with a baseline: what earlier events files make of a run, and which of them cannot be used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from realdb_ci import results

Realdb = Callable[..., subprocess.CompletedProcess[str]]
TESTS = """
import time

def test_old(): assert False
def test_new(): assert False
def test_slow(): time.sleep(0.4)
def test_settled():
    import pathlib
    marker = pathlib.Path("marker")
    if not marker.exists():
        marker.touch()
        time.sleep(0.4)
"""


@pytest.fixture
def realdb(tmp_path: Path) -> Realdb:
    """Run ``realdb-ci`` in the test's folder and wait for its end."""

    def call(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "realdb_ci", *map(str, words)],
            cwd=tmp_path,
            env={name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return call


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a known and a new failure, a test that is slower, and one that only was so once."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (folder / "test_shelf.py").write_text(TESTS)
    for number in range(5):
        record(tmp_path / "old" / f"events{number}.jsonl", number, test_old="failed", test_new="passed")
    return folder


def record(path: Path, number: int, **outcomes: str) -> None:
    """An earlier run of the project, in which the other tests passed at once."""
    path.parent.mkdir(exist_ok=True)
    events: list[dict[str, object]] = [{"event": "run", "at": 1e9 + number, "project": "shelf"}]
    for name, outcome in {"test_slow": "passed", "test_settled": "passed", **outcomes}.items():
        nodeid = f"test_shelf.py::{name}"
        phases = {"call": {"outcome": outcome, "duration": 0.01}, "teardown": {"outcome": "passed"}}
        events.append({"event": "start", "at": 1e9 + number, "nodeid": nodeid})
        for when, told in phases.items():
            events.append({"event": "phase", "at": 1e9 + number, "nodeid": nodeid, "when": when, **told})
    events.append({"event": "end", "at": 1e9 + number, "exitstatus": 1})
    path.write_text("".join(json.dumps(event) + "\n" for event in events))


def comparison(folder: Path) -> results.Comparison:
    """What the events in a folder say of the base."""
    [suite] = results.read(folder / "events.jsonl").suites
    assert suite.comparison is not None
    return suite.comparison


def test_run_is_held_against_earlier_runs(realdb: Realdb, project: Path, tmp_path: Path) -> None:
    """A failure that was there before is known; slower is what was so twice; the verdict is what it was."""
    done = realdb("run", project, "--baseline", "old/events*.jsonl")
    assert done.returncode == 1, done.stdout + done.stderr
    told = comparison(tmp_path / ".realdb-ci")
    assert told.known == ("test_shelf.py::test_old",)
    assert told.new == ("test_shelf.py::test_new",)
    assert [one.nodeid for one in told.slower] == ["test_shelf.py::test_slow"]
    assert told.unsure == ()
    assert told.commits == tuple(f"old/events{number}.jsonl" for number in reversed(range(5)))
    assert "2 failed, 2 passed" in done.stdout.splitlines()[-2]
    assert "SLOWER  test_shelf.py::test_slow" in done.stdout
    found = results.read(tmp_path / ".realdb-ci" / "events.jsonl")
    assert {case.nodeid: case.attempts for case in found.cases} == {
        f"test_shelf.py::test_{name}": 1 for name in ("old", "new", "slow", "settled")
    }


def test_record_survives_a_second_timing_that_cleans_up(realdb: Realdb, project: Path, tmp_path: Path) -> None:
    """What a test does when it is timed once more costs nothing of what was recorded before."""
    (project / "test_shelf.py").write_text(
        "import pathlib, shutil, time\n"
        "def test_slow():\n    time.sleep(0.4)\n    again = pathlib.Path('again')\n"
        "    shutil.rmtree('../.realdb-ci') if again.exists() else again.touch()\n"
    )
    done = realdb("run", project, "--baseline", "old/events*.jsonl")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [one.nodeid for one in comparison(tmp_path / ".realdb-ci").slower] == ["test_shelf.py::test_slow"]


def test_report_tells_what_was_compared_when_the_run_was_recorded(
    realdb: Realdb, project: Path, tmp_path: Path
) -> None:
    """The comparison is part of the record."""
    realdb("run", project, "--baseline", "old/*.jsonl")
    done = realdb("report", ".realdb-ci/events.jsonl", "--out", "again")
    assert "Compared with 5 runs of the base branch: old/events4.jsonl," in done.stdout
    assert "### Slower than the base" in (tmp_path / "again" / "summary.md").read_text()


def test_report_compares_what_was_recorded_and_calls_nothing_slower(
    realdb: Realdb, project: Path, tmp_path: Path
) -> None:
    """There is no job any more in which a test could be timed again."""
    realdb("run", project)
    done = realdb("report", ".realdb-ci/events.jsonl", "--out", "again", "--baseline", "old/*.jsonl")
    assert done.returncode == 1, done.stdout + done.stderr
    text = (tmp_path / "again" / "summary.md").read_text()
    assert "### Known failures (also failing on the base)" in text
    assert "### Slower" not in text
    assert "2 tests look slower, with not enough data to tell: not timed again." in text


def test_run_may_be_compared_with_the_one_before_it(realdb: Realdb, project: Path, tmp_path: Path) -> None:
    """Its events are read before the output folder is emptied."""
    realdb("run", project)
    done = realdb("run", project, "--baseline", ".realdb-ci/events.jsonl")
    assert len(comparison(tmp_path / ".realdb-ci").known) == 2
    assert "Not enough data to tell slower tests (1 run, 5 needed)." in done.stdout


def test_another_project_has_another_baseline(realdb: Realdb, project: Path, tmp_path: Path) -> None:
    """Runs of other projects say nothing, and the report says nothing of them."""
    project.rename(tmp_path / "other")
    done = realdb("run", "other", "--baseline", "old/*.jsonl")
    assert "Compared" not in done.stdout
    assert "FAILED  test_shelf.py::test_old" in done.stdout


@pytest.mark.parametrize("words", [("run", "shelf"), ("report", "old/events1.jsonl")])
@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("nowhere/*.jsonl", "no file matches it"),
        ("old", "no file matches it"),
        ("notes.txt", "it is no events file"),
    ],
)
def test_baseline_that_cannot_be_used_is_one_message(
    realdb: Realdb, tmp_path: Path, words: tuple[str, str], pattern: str, why: str
) -> None:
    """Before anything is run or emptied."""
    (tmp_path / "notes.txt").write_text("hello")
    done = realdb(*words, "--baseline", pattern)
    assert done.returncode == 2
    assert f"realdb-ci: The baseline '{pattern}' cannot be used\n  why: {why}\n" in done.stderr
    assert not (tmp_path / ".realdb-ci").exists()
