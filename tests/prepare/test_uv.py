"""What a failure of uv says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from realdb_ci.errors import EnvironmentProblem
from realdb_ci.prepare.uv import Uv

SETUP = """
import sys
print("\\n".join(f"line {number}" for number in range(100)))
sys.exit("error: no compiler here")
"""


def test_failed_build_is_told_by_its_cause_and_with_a_way_out(tmp_path: Path) -> None:
    """Not by the hint that ends it, and though the build wrote more lines than are kept."""
    package = tmp_path / "handmade"
    package.mkdir()
    (package / "setup.py").write_text(SETUP)
    uv = Uv(tmp_path / "home", {**os.environ}, lambda _: None)
    words = ("pip", "install", "--target", str(tmp_path / "there"), "./handmade")
    with pytest.raises(EnvironmentProblem) as caught:
        uv.run(tmp_path, words, "Not installed", "Look above.")
    assert caught.value.why.startswith("The build backend returned an error: Call to `setuptools.build_meta")
    assert caught.value.why.endswith("no compiler here")
    assert caught.value.remedy.startswith("Look above. The Action's image has no compiler")


def test_failure_without_a_cause_is_told_by_its_last_line(tmp_path: Path) -> None:
    """Where uv ends with a hint, that is not the last line."""
    shown = tmp_path / "uv"
    shown.write_text("#!/bin/sh\necho something broke\necho\necho 'hint: try again'\nexit 2\n")
    shown.chmod(0o755)
    uv = Uv(tmp_path / "home", {**os.environ}, lambda _: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("realdb_ci.prepare.uv.program", lambda: str(shown))
        with pytest.raises(EnvironmentProblem) as caught:
            uv.run(tmp_path, (), "Not installed", "Look above.")
    assert caught.value.why == "something broke"
    assert caught.value.remedy == "Look above."
