"""The sample projects, copied as a user would copy them, have the outcomes they promise on every engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from realdb_ci import results

SAMPLES = Path(__file__).parents[1] / "fixtures"
# The services each sample's tests ask for.
SERVICES_OF = {"bookshelf": {"postgres"}, "chats": {"mongodb"}, "llm": set(), "shop": {"postgres", "mongodb"}}
sample = pytest.mark.parametrize("name", SERVICES_OF)


def _run(name: str, engine: str, folder: Path, **settings: str) -> results.Results:
    """Run a copy of the sample with the command line; nothing of this suite's own settings reaches it."""
    project = shutil.copytree(SAMPLES / name, folder / "my projects" / name)
    out = folder / "out"
    ours = ("REALDB_CI_", "PYTEST_")
    environ = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    done = subprocess.run(
        [sys.executable, "-m", "realdb_ci", "run", project, "--engine", engine, "--out", out],
        env=environ | {"REALDB_CI_SNAPSHOTS": "false"} | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    reports = {"junit.xml", "report.html", "report.sarif", "summary.md"}
    assert {path.name for path in out.iterdir()} == {"events.jsonl", *reports}
    return results.read(out / "events.jsonl")


def _assert_as_expected(name: str, engine: str, found: results.Results) -> None:
    expected = json.loads((SAMPLES / name / "expected.json").read_text(encoding="utf-8"))
    outcomes = {case.nodeid: case.outcome for case in found.cases}
    assert outcomes == expected.pop("cases")
    assert {outcome: number for outcome, number in expected.items() if number} == Counter(outcomes.values())
    served = {(server.service, server.engine) for suite in found.suites for server in suite.servers}
    assert served == {(service, engine) for service in SERVICES_OF[name]}


@sample
def test_sample_on_embedded_servers(name: str, tmp_path: Path) -> None:
    """Each sample passes on server binaries of this machine, from a folder with a space in its path."""
    _assert_as_expected(name, "embedded", _run(name, "embedded", tmp_path))


@pytest.mark.docker
@sample
def test_sample_on_docker_servers(name: str, tmp_path: Path, mirror: str) -> None:
    """Each sample passes on servers in containers."""
    _assert_as_expected(name, "docker", _run(name, "docker", tmp_path, REALDB_CI_MIRROR=mirror))
