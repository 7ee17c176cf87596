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

from realdb_ci.engines import daemon, image, registry
from realdb_ci.errors import RealdbError

if TYPE_CHECKING:
    from realdb_ci.engines.contract import Run

START_SECONDS = 30.0
_STARTED = threading.Lock()


def start(run: Run, mirror: str) -> None:
    """Begin to start Ryuk, once a process.

    Args:
        run: its end waits for a Ryuk that is being started, unless it is hurried: one that nobody has spoken to
            yet would stay for a while. For its image it waits never.
        mirror: the registry that images come from, empty for each one's own.
    """
    from testcontainers.core.config import testcontainers_config

    if testcontainers_config.ryuk_disabled or not _STARTED.acquire(blocking=False):
        return
    testcontainers_config._ryuk_disabled = True  # noqa: SLF001  # the property has no setter
    testcontainers_config.ryuk_image = image.mirrored(testcontainers_config.ryuk_image, mirror)
    begun = threading.Event()
    thread = threading.Thread(target=_try, args=(run, begun), name="realdb-ci-ryuk", daemon=True)
    thread.start()
    run.at_end(lambda: thread.join(START_SECONDS) if begun.is_set() and not run.hurried else None)


def _try(run: Run, begun: threading.Event) -> None:
    from docker.errors import DockerException
    from requests.exceptions import RequestException
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import Reaper
    from testcontainers.core.labels import SESSION_ID

    with contextlib.suppress(RealdbError), daemon.connection() as client:
        try:
            image.have(client, testcontainers_config.ryuk_image)
            begun.set()
            if run.cancelled.is_set():
                return
            with registry.without_login():
                Reaper.get_instance()
            testcontainers_config._ryuk_disabled = False  # noqa: SLF001
        except (DockerException, RequestException, OSError, TimeoutError):
            # A reaper that started and could not be reached would stay behind.
            with contextlib.suppress(DockerException):
                client.containers.get(f"testcontainers-ryuk-{SESSION_ID}").remove(force=True)
