"""The wheel that the image holds, built from these sources."""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


@functools.cache
def wheel() -> Path:
    """Build it once."""
    out = tempfile.mkdtemp(prefix="realdb-ci-wheel-")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return next(Path(out).glob("*.whl"))
