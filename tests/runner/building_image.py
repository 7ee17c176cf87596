"""Build images for the tests of the Action."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from imitation import DOCKER

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
IMAGE = "realdb-ci/action:test"
PYTHON = "realdb-ci/python:bookworm"


def build(folder: Path, tag: str, base: str, *options: str) -> None:
    """Build an image as the runner does, but on a base that can be had here."""
    done = subprocess.run(
        [DOCKER, "build", "--quiet", "--build-arg", f"BASE={base}", "-t", tag, *options, str(folder)],
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
