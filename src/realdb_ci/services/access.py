"""What fixtures ask of the plugin, and where they find it: one object in pytest's stash."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pytest

from realdb_ci.config import Config
from realdb_ci.services.contract import Server

# The words of the mark ``realdb``.
COMMIT = "commit"


class Access(Protocol):
    """The plugin, as fixtures see it."""

    config: Config
    root: Path
    """The folder that holds the project's settings; relative paths in them start there."""

    @property
    def prefix(self) -> str:
        """What the name of every database of this run starts with, in all its processes."""

    def server(self, service: str) -> Server:
        """The run's server of that service; waits until it is ready.

        Raises:
            RealdbError: it could not be had.
        """

    def database_name(self, suffix: str = "") -> str:
        """A database name of this run and this worker alone, at most 40 characters."""

    def is_marked(self, item: pytest.Item, word: str) -> bool:
        """Whether the test carries ``@pytest.mark.realdb(<word>=True)``; its own mark counts before its class's."""

    def marked(self, word: str) -> int:
        """How many of this process's tests carry it."""

    def keep(self, server: Server, what: str) -> None:
        """Tell the reader, at the end of the run, how to look into a database that stays.

        Args:
            server: where it is; one of ours lives until the reader is done.
            what: one line, with the command.
        """

    def finished(self, service: str) -> None:
        """Say that a template has just been finished on the run's server of that service."""

    def step(self, name: str, detail: str = "") -> AbstractContextManager[None]:
        """Around work on a database: its time is the infrastructure's, and an error of ours fails the test.

        The failure shows our message alone, without a trace through our own code.
        """


ACCESS: pytest.StashKey[Access] = pytest.StashKey()


def access(config: pytest.Config) -> Access:
    """The plugin of this pytest process."""
    return config.stash[ACCESS]
