"""Again: chosen tests in a second pytest of the same suite, which takes nothing's place."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from realdb_ci.suite import Suite, inheritable
from realdb_ci.timing import again

TESTS = """
import pathlib, time, pytest

def note(name):
    with pathlib.Path("ran").open("a") as file:
        file.write(name + "\\n")

@pytest.mark.parametrize("name", ["a", "b c::d"])
def test_one(name):
    note(name)
    time.sleep(0.02)

def test_fails():
    note("fails")
    assert False

def test_other():
    note("other")
"""
# Stands for pytest-split: takes the second half of what it is given.
SPLITTER = """
import pytest

def pytest_addoption(parser):
    parser.addoption("--splits")
    parser.addoption("--group")
    parser.addoption("--cov", dest="cov_source", action="append", default=[])

def pytest_load_initial_conftests(early_config):
    if early_config.known_args_namespace.cov_source:
        open("coverage", "w").close()

@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    if config.option.splits:
        del items[: len(items) // 2]
"""


@pytest.fixture
def child(tmp_path: Path) -> Suite:
    """A suite as it was run, with a report and a share of its own."""
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "splitter.py").write_text(SPLITTER)
    return Suite(
        tmp_path,
        ["-p", "splitter", "--junitxml=junit.xml", "--cov=x", "-p", "no:cacheprovider", "test_it.py"],
        [f"--realdb-events={tmp_path / 'events.jsonl'}", "--splits=2", "--group=2"],
        {"PYTHONPATH": str(tmp_path)},
        inheritable(os.environ),
    )


@pytest.mark.parametrize("workers", ["0", "2"])
def test_only_the_chosen_tests_run_and_those_that_pass_are_timed(child: Suite, workers: str) -> None:
    """Whatever arguments chose the suite's tests, in this process's stead or on workers."""
    said: list[str] = []
    chosen = ["test_it.py::test_one[b c::d]", "test_it.py::test_fails", "test_it.py::test_gone"]
    child = Suite(**{**_fields(child), "arguments": [*child.arguments, f"-n{workers}"]})
    found = again.timed(child, chosen, said.append, lambda _pid: None)
    assert list(found) == chosen[:1], "".join(said)
    assert 0.02 <= found[chosen[0]] < 60
    assert sorted((child.project / "ran").read_text().split("\n")) == ["", "b c::d", "fails"]


def test_nothing_of_the_suite_is_overwritten(child: Suite) -> None:
    """Neither its events, nor its reports, nor its coverage."""
    again.timed(child, ["test_it.py::test_other"], lambda _text: None, lambda _pid: None)
    left = {path.name for path in child.project.iterdir()} - {"__pycache__"}
    assert left == {"pyproject.toml", "test_it.py", "splitter.py", "ran"}


def test_share_is_not_taken_of_the_chosen_tests(child: Suite) -> None:
    """Not even where the workflow's own arguments split the suite: the share is taken before."""
    child = Suite(**{**_fields(child), "arguments": [*child.arguments, "--splits=2"]})
    again.timed(child, ["test_it.py::test_fails", "test_it.py::test_other"], lambda _text: None, lambda _pid: None)
    assert (child.project / "ran").read_text() == "fails\nother\n"


def test_a_test_that_hangs_is_ended(child: Suite) -> None:
    """It has been waited for once already; what it started goes with it."""
    (child.project / "test_it.py").write_text("import time\ndef test_hangs(): time.sleep(600)\n")
    began = time.monotonic()
    assert again.timed(child, ["test_it.py::test_hangs"], sys.stdout.write, lambda _pid: None, limit=5.0) == {}
    assert time.monotonic() - began < 60


def _fields(child: Suite) -> dict[str, object]:
    return {name: getattr(child, name) for name in child.__dataclass_fields__}
