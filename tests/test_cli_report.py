"""``realdb-ci report`` as a person uses it: whole processes, their output, their exit code, and what they leave."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"
EVENTS = FIXTURES / "events"
Report = Callable[..., subprocess.CompletedProcess[str]]
GREEN = '<testsuite name="s" tests="1"><testcase classname="a" name="lends" time="0.25"/></testsuite>'
RED = '<testsuite name="s"><testcase classname="a" name="fails"><failure message="boom"/></testcase></testsuite>'


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """Run ``realdb-ci report`` in the test's folder, outside any job on GitHub."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}

    def call(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "realdb_ci", "report", *map(str, words)],
            cwd=tmp_path,
            env={**environ, "COLUMNS": "120"},
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    return call


def counts(file: Path) -> dict[str, int]:
    """What a JUnit file's first element counts."""
    root = ET.parse(file).getroot()  # noqa: S314 - our own file
    return {name: int(root.get(name, "-1")) for name in ("tests", "failures", "errors", "skipped")}


def test_green_files_make_a_green_report(report: Report, tmp_path: Path) -> None:
    """Exit code 0, the same reports as a run leaves."""
    (tmp_path / "unit.xml").write_text(GREEN)
    done = report("unit.xml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"junit.xml", "summary.md"} <= {file.name for file in (tmp_path / ".realdb-ci").iterdir()}
    assert "unit.xml: 1 passed in 250 ms" in done.stdout
    assert "All tests passed: 1 passed" in done.stdout
    assert counts(tmp_path / ".realdb-ci" / "junit.xml")["tests"] == 1


def test_shards_make_one_report(report: Report, tmp_path: Path) -> None:
    """Tests that several shards ran are one test each; the report names the project once."""
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        shutil.copy(EVENTS / f"shard-{number}.jsonl", tmp_path / str(number) / "events.jsonl")
    done = report("1/events.jsonl", "2/events.jsonl", "--out", "out")
    assert done.returncode == 1
    expected = json.loads((FIXTURES / "broken" / "expected.json").read_text(encoding="utf-8"))["cases"]
    parts = ("test_assertions", "test_marks", "test_retries", "test_constraints", "test_passing")
    ran = {nodeid: outcome for nodeid, outcome in expected.items() if any(part in nodeid for part in parts)}
    root = ET.parse(tmp_path / "out" / "junit.xml").getroot()  # noqa: S314 - our own file
    [suite] = root.findall("testsuite")
    assert suite.get("name") == "broken"
    assert len(suite.findall("testcase")) == len(ran)
    assert counts(tmp_path / "out" / "junit.xml")["failures"] == sum(one == "failed" for one in ran.values())
    assert done.stdout.count("FAILED  broken: ") == 1


def test_missing_shard_is_red_and_named(report: Report, tmp_path: Path) -> None:
    """All that there is has passed, and is not all."""
    run = {"event": "run", "project": "desk", "python": "3.11.7"}
    for number in (1, 3):
        shard = {"event": "shard", "number": number, "total": 3, "digest": "a"}
        passed = {"event": "phase", "nodeid": f"t.py::test_{number}", "when": "teardown", "outcome": "passed"}
        events = (shard, run, passed, {"event": "end", "exitstatus": 0, "duration": 1.0})
        text = "".join(f"{json.dumps(event)}\n" for event in events)
        (tmp_path / f"{number}.jsonl").write_text(text)
    done = report("1.jsonl", "3.jsonl")
    assert done.returncode == 1
    assert "Part 2/3 of desk is missing" in done.stdout
    assert "All tests passed" not in done.stdout


def test_patterns_and_folders_are_searched_here(report: Report, tmp_path: Path) -> None:
    """Where no shell expands them, with ** and without."""
    for name in ("a/one.xml", "a/b/two.xml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(GREEN)
    for words in (["a/**/*.xml"], ["a"], ["a/*.xml", "a/b"]):
        done = report(*words, "--out", "out")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "a/one.xml: 1 passed" in done.stdout
        assert "a/b/two.xml: 1 passed" in done.stdout


def test_broken_file_never_hides_the_others(report: Report, tmp_path: Path) -> None:
    """It is named with the reason, everything else is reported, the exit code is 1."""
    (tmp_path / "good.xml").write_text(GREEN)
    (tmp_path / "cut.xml").write_text(RED[:-20])
    (tmp_path / "empty.jsonl").write_text("")
    done = report("good.xml", "cut.xml", "empty.jsonl", EVENTS / "crash.jsonl")
    assert done.returncode == 1
    assert "good.xml: 1 passed" in done.stdout
    assert "cut.xml could not be read to its end" in done.stdout
    assert "empty.jsonl cannot be read" in done.stdout
    assert "tests/test_crash.py::test_ends_the_process" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "code"), [("broken", 1), ("crash", 1), ("empty", 1), ("interrupted", 130), ("shard-2", 1)]
)
def test_exit_code_is_the_recorded_runs(report: Report, file: str, code: int) -> None:
    """What the run ended with, the report of it ends with."""
    assert report(EVENTS / f"{file}.jsonl").returncode == code


@pytest.mark.parametrize("words", [["gone.xml"], ["*.xml"], ["."], ["gone/**/*.jsonl"]])
def test_nothing_found_is_a_setting_that_cannot_be_used(report: Report, words: list[str]) -> None:
    """Exit code 2, one message that names the word and what to name instead."""
    done = report(*words)
    assert done.returncode == 2
    assert repr(words[0]) in done.stderr
    assert "Name events.jsonl files, JUnit XML files, folders" in done.stderr
    assert "Traceback" not in done.stderr


def test_only_other_files_found_is_exit_2(report: Report, tmp_path: Path) -> None:
    """A folder of coverage files is no green run."""
    (tmp_path / "coverage.xml").write_text("<coverage/>")
    done = report(".")
    assert done.returncode == 2
    assert "None of the 1 files found is an events file or JUnit XML" in done.stderr


def test_files_without_tests_are_not_green(report: Report, tmp_path: Path) -> None:
    """Nothing found is nothing passed; beside tests elsewhere an empty suite is no reason to complain."""
    (tmp_path / "empty.xml").write_text("<testsuites><testsuite name='s' tests='0'/></testsuites>")
    done = report("empty.xml")
    assert done.returncode == 1
    assert "No test was found" in done.stdout
    (tmp_path / "unit.xml").write_text(GREEN)
    assert report("empty.xml", "unit.xml").returncode == 0


def test_no_words_are_refused(report: Report) -> None:
    """There is no default: a report of the wrong files is worse than none."""
    done = report()
    assert done.returncode == 2
    assert "FILES..." in done.stderr


def test_output_folder_that_cannot_be_made_is_refused(report: Report, tmp_path: Path) -> None:
    """Before anything is reported."""
    (tmp_path / "unit.xml").write_text(GREEN)
    (tmp_path / "taken").write_text("")
    done = report("unit.xml", "--out", "taken/below")
    assert done.returncode == 2
    assert "output folder" in done.stderr


def test_report_of_a_report_says_the_same(report: Report, tmp_path: Path) -> None:
    """Our own junit.xml reads back with the counts of the events it was made from; where both are, one is read."""
    first = report(EVENTS / "broken.jsonl", "--out", "first")
    again = report("first/junit.xml", "--out", "again")
    assert first.returncode == again.returncode == 1
    assert counts(tmp_path / "again" / "junit.xml") == counts(tmp_path / "first" / "junit.xml")
    last = first.stdout.splitlines()[-2].rpartition(" in ")[0]
    assert again.stdout.splitlines()[-2].rpartition(" in ")[0] == last
    shutil.copy(EVENTS / "broken.jsonl", tmp_path / "first" / "events.jsonl")
    both = report("first", "--out", "both")
    assert both.stdout.splitlines()[-2].rpartition(" in ")[0] == last


def test_every_file_of_the_corpus_is_reported(report: Report, tmp_path: Path) -> None:
    """Twenty producers in one report, and nobody's file is a problem."""
    done = report(FIXTURES / "junit", "--out", "out")
    assert done.returncode == 1
    assert "PROBLEM" not in done.stdout
    assert done.stderr == ""


def test_interrupt_ends_with_130(tmp_path: Path) -> None:
    """Also while a file is read that never ends."""
    pipe = tmp_path / "pipe.xml"
    os.mkfifo(pipe)
    child = subprocess.Popen(
        [sys.executable, "-m", "realdb_ci", "report", pipe], cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    with pipe.open("wb"):
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == 130
