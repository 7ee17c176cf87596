"""Recorder and anchors, in whole pytest processes: what happened is in the file, at the right line."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from realdb_ci.errors import SettingError
from realdb_ci.recorder import Recorder

CONFTEST = """
from pathlib import Path
from realdb_ci.anchors import Anchors
from realdb_ci.recorder import Recorder

def pytest_configure(config):
    root = config.rootpath.parent
    config.pluginmanager.register(Anchors(root))
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(root / "events.jsonl", repo_root=root, project="desk"))
"""
Events = list[dict[str, Any]]
Suite = Callable[..., Events]


@pytest.fixture
def suite(pytester: pytest.Pytester) -> Suite:
    """Run modules of tests, recorded, in the project ``desk`` of a repository; return the events."""

    def run(*args: str, **modules: str) -> Events:
        desk = pytester.mkdir("desk")
        (desk / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        (desk / "conftest.py").write_text(CONFTEST, encoding="utf-8")
        for name, source in modules.items():
            (desk / f"{name}.py").write_text(source, encoding="utf-8")
        # Not pytester's own runner: it cannot take output that has no encoding.
        command = [sys.executable, "-m", "pytest", "-p", "no:realdb_ci", "--rootdir", desk, *args, desk]
        subprocess.run(command, cwd=pytester.path, capture_output=True, check=False)
        lines = (pytester.path / "events.jsonl").read_text(encoding="ascii").splitlines()
        return [json.loads(line) for line in lines]

    return run


def of(events: Events, kind: str, **fields: Any) -> Events:
    """The events of one kind with these fields."""
    return [one for one in events if one["event"] == kind and fields.items() <= one.items()]


def test_suite_is_told_from_its_first_event_to_its_last(suite: Suite) -> None:
    """Run, collected, start, three phases, end: in this order, each with what a report needs."""
    events = suite("-q", test_desk="\ndef test_lend():\n    pass\n")
    kinds = [one["event"] for one in events]
    assert kinds == ["run", "span", "collected", "start", "phase", "phase", "phase", "end"]
    assert [one["at"] for one in events] == sorted(one["at"] for one in events)
    run, _, collected, start, *phases, end = events
    assert run.items() >= {"version": 1, "project": "desk", "rootdir": "desk", "workers": 0}.items()
    assert run["pytest"] == pytest.__version__
    assert "-q" in run["args"]
    where = {"nodeid": "test_desk.py::test_lend", "path": "desk/test_desk.py", "line": 2}
    assert collected.items() >= {"count": 1, "cases": [where]}.items()
    assert start.items() >= {"nodeid": where["nodeid"], "attempt": 1}.items()
    assert [one["when"] for one in phases] == ["setup", "call", "teardown"]
    for phase in phases:
        assert phase.items() >= {**where, "outcome": "passed", "attempt": 1, "worker": None, "longrepr": ""}.items()
        assert phase["stop"] - phase["start"] == pytest.approx(phase["duration"], abs=0.05)
    assert end["exitstatus"] == 0
    assert 0 < end["duration"] < 60


def test_anchor_is_the_deepest_line_of_the_project(suite: Suite) -> None:
    """A failure in a helper is anchored there, one in library code where the project called it."""
    events = suite(
        helper="def check(x):\n    assert x\n",
        test_desk="import json\nfrom helper import check\ndef test_own():\n    check(0)\n"
        "def test_library():\n    json.loads('{')\n",
    )
    anchors = {one["nodeid"]: one["anchor"] for one in of(events, "phase", when="call")}
    assert anchors == {
        "test_desk.py::test_own": {"path": "desk/helper.py", "line": 2},
        "test_desk.py::test_library": {"path": "desk/test_desk.py", "line": 6},
    }


def test_anchor_passes_over_hidden_helpers_and_installed_code(suite: Suite) -> None:
    """A helper with __tracebackhide__ and packages inside the checkout are not where people look."""
    events = suite(
        test_desk="import sys, pathlib\n"
        "lib = pathlib.Path(__file__).parent / 'lib' / 'site-packages'\n"
        "lib.mkdir(parents=True)\n"
        "(lib / 'vendored.py').write_text('def fail(): raise ValueError(1)')\n"
        "sys.path.insert(0, str(lib))\n"
        "import vendored\n"
        "def check():\n    __tracebackhide__ = True\n    vendored.fail()\n"
        "def test_hidden():\n    check()\n",
    )
    [phase] = of(events, "phase", when="call")
    assert phase["anchor"] == {"path": "desk/test_desk.py", "line": 11}
    assert phase["message"] == "ValueError: 1"


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_every_kind_of_failure_is_anchored(suite: Suite, workers: tuple[str, ...]) -> None:
    """Setup, teardown, call, strict xpass and subtests, also where the exception lived in a worker."""
    events = suite(
        *workers,
        test_desk="""
import pytest
@pytest.fixture
def bad():
    raise RuntimeError("setup")
@pytest.fixture
def late():
    yield
    raise RuntimeError("late")
def test_setup(bad): pass
def test_both(late):
    assert 0, "both"
@pytest.mark.xfail(strict=True, reason="mended")
def test_strict(): pass
@pytest.mark.xfail(reason="known")
def test_known():
    assert 0
@pytest.mark.skip(reason="closed")
def test_skip(): pass
def test_parts(subtests):
    for part in range(2):
        with subtests.test("part", n=part):
            assert part
""",
    )
    found = {
        (one["nodeid"].partition("::")[2], one["when"], one["subtest"]): one
        for one in of(events, "phase")
        if one["outcome"] != "passed"
    }
    told = {key: (one["outcome"], (one["anchor"] or {}).get("line"), one["message"]) for key, one in found.items()}
    assert told == {
        ("test_setup", "setup", None): ("failed", 5, "RuntimeError: setup"),
        ("test_both", "call", None): ("failed", 12, "AssertionError: both"),
        ("test_both", "teardown", None): ("failed", 9, "RuntimeError: late"),
        ("test_strict", "call", None): ("failed", None, "[XPASS(strict)] mended"),
        ("test_known", "call", None): ("skipped", 17, "AssertionError: assert 0"),
        ("test_skip", "setup", None): ("skipped", None, "closed"),
        ("test_parts", "call", "part n=0"): ("failed", 23, "AssertionError: assert 0"),
        ("test_parts", "call", None): ("failed", None, "contains 1 failed subtest"),
    }
    assert found["test_strict", "call", None]["strict_xpass"] is True
    assert found["test_known", "call", None]["wasxfail"] == "known"
    [collected] = of(events, "collected")
    assert collected["count"] == 6
    if workers:
        assert {one["worker"] for one in of(events, "phase")} <= {"gw0", "gw1"}
        assert {case["line"] for case in collected["cases"]} == {None}
        assert of(events, "run")[0]["workers"] == 2


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_attempts_are_told_apart(suite: Suite, workers: tuple[str, ...]) -> None:
    """A test that passes on its second attempt has a start for each, and the failure of the first."""
    events = suite(
        *workers,
        test_desk="import pytest\ncalls = []\n@pytest.mark.flaky(reruns=2)\n"
        "def test_flaky():\n    calls.append(1)\n    assert len(calls) > 1\n",
    )
    assert [one["attempt"] for one in of(events, "start")] == [1, 2]
    [first] = of(events, "phase", outcome="rerun")
    assert first.items() >= {"attempt": 1, "when": "call"}.items()
    assert first["anchor"]["line"] == 6
    [last] = of(events, "phase", outcome="passed", when="call")
    assert last["attempt"] == 2


def test_modules_that_cannot_be_collected_name_their_line(suite: Suite) -> None:
    """A missing name is anchored at the import, a syntax error at its own line, wherever it was imported."""
    events = suite(
        broken="x = 1\n\ndef oops(:\n",
        test_missing="import os\nfrom os import nothing_like_it\n",
        test_syntax="import broken\n",
        test_skipped="import pytest\npytest.skip('not here', allow_module_level=True)\n",
    )
    errors = {one["nodeid"]: one for one in of(events, "collect_error")}
    missing, syntax = errors["test_missing.py"], errors["test_syntax.py"]
    assert (missing["path"], missing["line"]) == ("desk/test_missing.py", 2)
    assert missing["message"].startswith("ImportError: cannot import name 'nothing_like_it'")
    assert (syntax["path"], syntax["line"]) == ("desk/broken.py", 3)
    assert syntax["message"].startswith("SyntaxError: ")
    [skipped] = of(events, "phase")
    assert skipped.items() >= {"nodeid": "test_skipped.py", "when": "collect", "message": "not here"}.items()


def test_process_that_dies_leaves_its_last_test_in_the_file(suite: Suite) -> None:
    """Each event is on the disk before the next: os._exit cannot take it back."""
    events = suite(test_desk="import os\ndef test_first(): pass\ndef test_dies(): os._exit(70)\n")
    assert [one["event"] for one in events[-2:]] == ["start", "phase"]
    assert events[-1].items() >= {"nodeid": "test_desk.py::test_dies", "when": "setup"}.items()
    assert not of(events, "end")
    assert len(of(events, "phase", nodeid="test_desk.py::test_first")) == 3


def test_worker_that_dies_is_recorded_as_a_failure(suite: Suite) -> None:
    """Under xdist only the worker is lost; the test it ran is named with the worker."""
    events = suite("-n", "1", test_desk="import os\ndef test_dies(): os._exit(70)\n")
    [phase] = of(events, "phase", nodeid="test_desk.py::test_dies")[-1:]
    assert phase.items() >= {"when": "???", "outcome": "failed", "worker": "gw0"}.items()
    assert "crashed" in phase["message"]
    assert of(events, "end")


def test_text_without_an_encoding_is_recorded(suite: Suite) -> None:
    """Lone surrogates and control characters neither fail the suite nor spoil the file."""
    source = 'def test_odd():\n    print("out \\x00")\n    raise ValueError("\\udc80 \\x1b[31m \\x00")\n'
    events = suite(test_desk=source)
    [phase] = of(events, "phase", when="call")
    assert phase["message"].startswith("ValueError: ")
    assert "\\udc80" in phase["message"]
    assert phase["sections"] == [["Captured stdout call", "out \x00\n"]]
    assert of(events, "end")[0]["exitstatus"] == 1


def test_text_of_any_length_is_bounded(suite: Suite) -> None:
    """What nobody reads is left out of the middle, and the file says how much."""
    events = suite(test_desk='def test_talks():\n    print("a" * 900_000 + "z")\n    assert 0\n')
    [phase] = of(events, "phase", when="call")
    [[_, text]] = phase["sections"]
    assert len(text) < 250_000
    assert "characters left out" in text
    assert text.endswith("az\n")


def test_a_full_disk_is_named_and_fails_no_test(pytester: pytest.Pytester) -> None:
    """Writing to a device that is always full costs the record, never the verdict."""
    pytester.makeconftest(CONFTEST.replace('root / "events.jsonl"', 'Path("/dev/full")'))
    pytester.makepyfile("def test_lend(): pass")
    done = pytester.runpytest_subprocess("-p", "no:realdb_ci")
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(["realdb-ci: the record of this run is not complete: *No space left*"])


def test_file_that_cannot_be_opened_is_a_bad_setting(tmp_path: Path) -> None:
    """A folder where the file should be is refused with the path and the cause."""
    with pytest.raises(SettingError, match="cannot be written") as caught:
        Recorder(tmp_path, repo_root=tmp_path, project="desk")
    assert str(tmp_path) in caught.value.what
    assert "directory" in caught.value.why


def test_threads_and_recorders_share_a_file(tmp_path: Path) -> None:
    """Events of several threads and of several recorders never mix within a line."""
    path = tmp_path / "new folder" / "events.jsonl"
    recorders = [Recorder(path, repo_root=tmp_path, project="desk") for _ in range(2)]
    ready = threading.Barrier(8)

    def work(recorder: Recorder, number: int) -> None:
        ready.wait()
        for turn in range(50):
            recorder.write("span", name="x" * 5000, number=number, turn=turn, odd={1, 2}.__class__)

    threads = [threading.Thread(target=work, args=(recorders[n % 2], n)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for recorder in recorders:
        recorder.pytest_unconfigure()
        recorder.write("late")
    told = [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]
    assert sorted((one["number"], one["turn"]) for one in told) == [(n, t) for n in range(8) for t in range(50)]
