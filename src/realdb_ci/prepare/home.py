"""Home: the folder for what a step makes outside the workspace."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

# Where the Action's image has our own environment; see Dockerfile.
IMAGE = Path("/opt/realdb-ci")
OWN = Path("/var/cache/realdb-ci")


def of(environ: Mapping[str, str]) -> Path:
    """The folder of this step, which need not exist yet.

    In the Action's container it is one of the container's own: it goes with it, and no checkout ever has to clean
    it. On a runner itself it is below the runner's folder for temporary files, since runners may share a machine.

    Args:
        environ: the step's environment.
    """
    if Path(sys.prefix) == IMAGE:
        return OWN
    return Path(environ.get("RUNNER_TEMP") or tempfile.gettempdir()) / "realdb-ci"
