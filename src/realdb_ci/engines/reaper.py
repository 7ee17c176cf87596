"""Ryuk, testcontainers' own reaper: on where its image can be had.

It removes our containers even if this whole machine's container is killed, which our guard process cannot
survive. Where its image cannot be had, the guard and the clean-up by run id do the work alone.

testcontainers starts Ryuk inside the first ``DockerContainer.start()`` and would make our server wait for it, or
fail without it. So it is switched off while a thread tries, and on again once it runs: the containers
carry its session label in either case, and it removes by label.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from realdb_ci.engines import daemon
from realdb_ci.errors import Refusal

if TYPE_CHECKING:
    from docker import DockerClient

    from realdb_ci.engines.contract import Run

_STARTED = threading.Lock()


def start(run: Run) -> None:
    """Begin to start Ryuk, once a process; the run's end waits for the attempt."""
    from testcontainers.core.config import testcontainers_config

    if testcontainers_config.ryuk_disabled or not _STARTED.acquire(blocking=False):
        return
    testcontainers_config._ryuk_disabled = True  # noqa: SLF001  # the property has no setter
    thread = threading.Thread(target=_try, name="realdb-ci-ryuk", daemon=True)
    thread.start()
    run.at_end(lambda: thread.join(timeout=30))


def _try() -> None:
    from docker.errors import DockerException
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import Reaper
    from testcontainers.core.labels import SESSION_ID

    with contextlib.suppress(Refusal), daemon.connection() as client:
        try:
            _have(client, testcontainers_config.ryuk_image)
            Reaper.get_instance()
            testcontainers_config._ryuk_disabled = False  # noqa: SLF001
        except (DockerException, OSError, TimeoutError):
            # A reaper that started and could not be reached would stay behind.
            with contextlib.suppress(DockerException):
                client.containers.get(f"testcontainers-ryuk-{SESSION_ID}").remove(force=True)


def _have(client: DockerClient, name: str) -> None:
    from docker.errors import ImageNotFound

    try:
        client.images.get(name)
    except ImageNotFound:
        client.images.pull(name)
