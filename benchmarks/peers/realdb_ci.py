"""realdb-ci as a user has it: ``db_session`` is the plugin's. Only the boot time is written down."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from realdb_ci.services.contract import Server


@pytest.fixture(scope="session", autouse=True)
def boot_seconds(postgres_server: Server) -> None:
    """What the server's event says under ``seconds``: from the order to the first answered handshake."""
    Path(os.environ["BENCH_BOOT"]).write_text(str(postgres_server.seconds), encoding="utf-8")
