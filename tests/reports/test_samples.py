"""The samples that go wrong, run as a user would: every failure is reported, and the exit code says so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from junitparser import Error, Failure, JUnitXml

from realdb_ci import results
from realdb_ci.reports.digest import Digest
from realdb_ci.reports.notes import notes

SAMPLES = Path(__file__).parents[2] / "fixtures"


def run(name: str, folder: Path) -> tuple[subprocess.CompletedProcess[str], results.Suite, dict[str, Any]]:
    """Run a copy of a sample; return the process, the suite it recorded, and what was expected."""
    project = shutil.copytree(SAMPLES / name, folder / name)
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("REALDB_CI_", "PYTEST_"))}
    environ["REALDB_CI_SNAPSHOTS"] = "false"
    command = [sys.executable, "-m", "realdb_ci", "run", project, "--engine", "embedded", "--out", folder / "out"]
    done = subprocess.run(
        command, env=environ, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    [suite] = results.read(folder / "out" / "events.jsonl").suites
    return done, suite, json.loads((SAMPLES / name / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One run of the sample that fails in every way there is."""
    folder = tmp_path_factory.mktemp("broken")
    return (*run("broken", folder), folder)


def test_broken_has_the_outcomes_it_promises(broken: Any) -> None:
    """Every test has its outcome, every module that could not be collected is named, the exit code is 1."""
    done, suite, expected, _ = broken
    assert done.returncode == 1, done.stdout
    assert {case.nodeid: case.outcome for case in suite.cases} == expected.pop("cases")
    assert [error.nodeid for error in suite.collect_errors] == expected.pop("collect_errors")
    assert suite.counts == expected


def test_broken_points_at_lines_that_say_what_failed(broken: Any) -> None:
    """Every failure has a place: an existing file of the project, and in it the line that raised."""
    _, suite, _, folder = broken
    found = [phase for case in suite.cases for phase in case.failures if phase.anchor]
    lines = {
        (phase.nodeid.rpartition("::")[2], phase.when, phase.subtest): (folder / "broken" / phase.anchor.path)
        .read_text(encoding="utf-8")
        .splitlines()[phase.anchor.line - 1]
        .strip()
        for phase in found
    }
    assert lines["test_fee_is_in_whole_euros", "call", None].startswith("assert fee % 100 == 0")
    assert lines["test_two_members_share_an_address", "call", None] == "db_session.commit()"
    assert lines["test_needs_a_printer", "setup", None].startswith("raise ConnectionError")
    assert lines["test_miscounts_and_leaves_the_drawer_open", "call", None] == "assert sum(drawer) == 21"
    assert lines["test_miscounts_and_leaves_the_drawer_open", "teardown", None].startswith("raise OSError")
    assert lines["test_fee_table", "call", "fee days=30"] == "assert late_fee(days) == cents"
    modules = {error.nodeid: (error.path, error.line) for error in suite.collect_errors}
    assert modules == {
        "tests/test_missing_name.py": ("tests/test_missing_name.py", 3),
        "tests/test_syntax.py": ("tests/test_syntax.py", 5),
    }


def test_broken_is_on_every_surface(broken: Any) -> None:
    """Terminal, Markdown, HTML, SARIF and JUnit each name every test that failed or could not be run."""
    done, suite, _, folder = broken
    out = folder / "out"
    report = done.stdout.rpartition(" realdb-ci ")[2]
    summary = (out / "summary.md").read_text(encoding="utf-8")
    page = (out / "report.html").read_text(encoding="utf-8")
    sarif = json.loads((out / "report.sarif").read_text(encoding="utf-8"))
    alerts = "\n".join(one["message"]["text"] for one in sarif["runs"][0]["results"])
    cases = [case for told in JUnitXml.fromfile(str(out / "junit.xml")) for case in told]
    marked = {case.name for case in cases if any(isinstance(one, Failure | Error) for one in case.result)}
    bad = [case.nodeid for case in suite.cases if case.outcome in results.BAD]
    bad += [error.nodeid for error in suite.collect_errors]
    for nodeid in bad:
        assert f"  {nodeid}" in report
        assert f"<code>{nodeid}" in summary
        assert f'<span class="name">{nodeid}' in page
        assert nodeid in alerts
    assert marked == {nodeid.rpartition("::")[2] for nodeid in bad}


def test_broken_is_noted_on_lines_of_the_project(broken: Any) -> None:
    """Every failure, error and flaky test has an annotation, and every one of them is on a line that exists."""
    _, suite, _, folder = broken
    told = notes(Digest(results.Results((suite,))), folder / "broken")
    wanted = sum(len(case.failures) for case in suite.cases) + len(suite.collect_errors) + suite.counts["flaky"]
    assert len(told) == wanted
    for note in told:
        lines = (folder / "broken" / note.path).read_text(encoding="utf-8").splitlines()
        assert 1 <= note.line <= len(lines)
    assert [note.level for note in told].count("warning") == 1


def test_crash_keeps_what_passed_and_names_what_ran(tmp_path: Path) -> None:
    """A process that ended hard costs the tests it had not run, not the record of those it had."""
    done, suite, expected = run("crash", tmp_path)
    assert done.returncode == 1, done.stdout
    assert {case.nodeid: case.outcome for case in suite.cases} == expected["cases"]
    assert suite.returncode == expected["returncode"]
    assert [case.nodeid for case in suite.running] == expected["running"]
    assert list(suite.not_run) == expected["not_run"]
    assert "STILL RUNNING  tests/test_crash.py::test_ends_the_process" in done.stdout
    assert "pytest's process ended with code 70 before pytest did" in done.stdout
