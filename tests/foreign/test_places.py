"""Places: a path of any machine as one of this checkout, a traceback as the line to open."""

from __future__ import annotations

from pathlib import Path

import pytest

from realdb_ci.foreign.places import Places
from realdb_ci.results import Anchor


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with a project in a folder of its own, and other people's code."""
    for name in (
        *("desk/tests/test_a.py", "desk/tests/helpers.py", "tests/test_top.py", "web/src/a.test.ts", "setup.js"),
        *("node_modules/jest/build/index.js", "src/desk.cc"),
    ):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path


@pytest.fixture
def places(checkout: Path) -> Places:
    """As a file in desk/out sees them."""
    return Places(checkout, checkout / "desk" / "out")


PATHS = {
    "tests/test_top.py": "tests/test_top.py",
    "tests/test_a.py": "desk/tests/test_a.py",
    "./tests/../tests/test_top.py": "tests/test_top.py",
    "/home/runner/work/repo/repo/desk/tests/test_a.py": "desk/tests/test_a.py",
    "C:\\work\\repo\\desk\\tests\\test_a.py": "desk/tests/test_a.py",
    "file:///app/web/src/a.test.ts": "web/src/a.test.ts",
    "/app/setup.js": "setup.js",
    "/usr/lib/setup.js": "/usr/lib/setup.js",
    "/app/node_modules/x/setup.js": "/app/node_modules/x/setup.js",
    "/elsewhere/unknown.py": "/elsewhere/unknown.py",
    "unknown.py": "unknown.py",
    "": "",
}


@pytest.mark.parametrize(("told", "path"), PATHS.items())
def test_path_of_any_machine_is_found_here(places: Places, told: str, path: str) -> None:
    """By the longest end of it that exists, from the root or from the project that the file lies in."""
    assert places.relative(told) == path


def test_path_of_this_machine_is_relative(places: Places, checkout: Path) -> None:
    """Also where it does not exist any more."""
    assert places.relative(f"{checkout}/gone/test_a.py") == "gone/test_a.py"


TRACES = {
    "pytest": ("tests/test_a.py:3: in test\ntests/helpers.py:9: AssertionError", ("desk/tests/helpers.py", 9)),
    "foreign last": ("tests/test_a.py:3: in test\n/usr/lib/python3/json.py:9: Error", ("desk/tests/test_a.py", 3)),
    "Python": (
        '  File "/ci/desk/tests/test_a.py", line 3, in t\n  File "/usr/x.py", line 1',
        ("desk/tests/test_a.py", 3),
    ),
    "Jest": (
        "at x (/r/node_modules/jest/build/index.js:1:1)\nat y (/r/web/src/a.test.ts:5:7)",
        ("web/src/a.test.ts", 5),
    ),
    "Vitest": (" \u276f web/src/a.test.ts:5:7", ("web/src/a.test.ts", 5)),
    "webpack": ("at z (webpack:///./web/src/a.test.ts:5:7)", ("web/src/a.test.ts", 5)),
    "C++": ("/ci/src/desk.cc:12\nFailed", ("src/desk.cc", 12)),
    "Rust": ("panicked at src/desk.cc:12:5:\nboom", ("src/desk.cc", 12)),
    ".NET": ("at A.B() in /ci/src/desk.cc:line 12", ("src/desk.cc", 12)),
    "nowhere": ("boom at noon", None),
}


@pytest.mark.parametrize("name", TRACES)
def test_deepest_line_of_the_project_is_found(places: Places, name: str) -> None:
    """In the words of each language; lines of other people's code are passed over."""
    text, expected = TRACES[name]
    assert places.anchor(text, trusted=False) == (expected and Anchor(*expected))


def test_relative_paths_of_pytest_are_trusted(places: Places) -> None:
    """They are from the project's root, also where the report is made without a checkout."""
    text = "gone/test_b.py:4: AssertionError"
    assert places.anchor(text, trusted=True) == Anchor("gone/test_b.py", 4)
    assert places.anchor(text, trusted=False) is None


MODULES = {
    ("tests.test_top", ""): ("tests/test_top.py", "tests/test_top.py", ()),
    ("tests.test_a.TestB.TestC", ""): ("tests/test_a.py", "desk/tests/test_a.py", ("TestB", "TestC")),
    ("py311.tests.test_a", ""): ("tests/test_a.py", "desk/tests/test_a.py", ()),
    ("gone.test_b.TestC", ""): ("gone/test_b.py", "gone/test_b.py", ("TestC",)),
    ("gone.checks.Shelf", ""): ("gone/checks.py", "gone/checks.py", ("Shelf",)),
    ("py311.tests.test_a.TestB", "tests/test_a.py"): ("tests/test_a.py", "desk/tests/test_a.py", ("TestB",)),
    ("elsewhere.Shelf", "tests/test_a.py"): ("tests/test_a.py", "desk/tests/test_a.py", ("Shelf",)),
}


@pytest.mark.parametrize(("told", "found"), MODULES.items())
def test_module_and_classes_are_told_apart(
    places: Places, told: tuple[str, str], found: tuple[str, str, tuple[str, ...]]
) -> None:
    """By the file that is named, else by what exists, else by how modules and classes are called."""
    assert places.module(*told) == found


def test_hostile_text_is_searched_in_bounded_time(places: Places) -> None:
    """A line without a blank, as long as texts may be, is no reason to wait."""
    for text in ("a" * 50_000, "a:1" * 20_000, "(" * 50_000, '  File "' + "b" * 50_000):
        assert places.anchor(text, trusted=True) is None
