"""Home: the folder for what a step makes outside the workspace."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from realdb_ci.engines import daemon

CACHES = Path("/var/cache")


def of(environ: Mapping[str, str]) -> Path:
    """The folder of this step, which need not exist yet.

    In a container it is one of the container's own: it goes with it, and no checkout ever has to clean it. On a
    runner itself it is below the runner's folder for temporary files, since runners may share a machine.

    Args:
        environ: the step's environment.
    """
    if daemon.inside_container() and os.access(CACHES, os.W_OK):
        return CACHES / "realdb-ci"
    return Path(environ.get("RUNNER_TEMP") or tempfile.gettempdir()) / "realdb-ci"
