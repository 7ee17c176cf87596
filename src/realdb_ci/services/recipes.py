"""Recipes: what an engine has to do to get a service, and to keep its data."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Backup:
    """How a service's data are kept from one run for the next.

    Attributes:
        command: writes a consistent copy to its standard output, as a tar file of the data folder.
        unfit: why what is at an administrator's URL may not be kept, empty where it may.
        adopt: makes the data of an earlier run this one's: given the administrator's URL with the password in
            these data, and the password it is to be.
        own: files of the data folder that are never taken from a copy as they are: what makes the content from the
            copy's, or raises ValueError for data that are not to be used.
        known: whether a data folder has files of that name; a copy that holds any other is not used.
        still: given an administrator's URL, keeps the data as they are while they are looked at and copied.
    """

    command: tuple[str, ...]
    unfit: Callable[[str], str]
    adopt: Callable[[str, str], None]
    own: Mapping[str, Callable[[bytes], bytes]]
    known: Callable[[str], bool] = lambda _: True
    still: Callable[[str], AbstractContextManager[object]] = nullcontext


@dataclass(frozen=True)
class ContainerRecipe:
    """How to run a service in a container.

    Attributes:
        env: environment variables.
        command: the container's command.
        port: the port the server listens on inside.
        data: where the image keeps its data if it declares no volume.
        restore: shell words that put the data, coming as a tar file on standard input, in their place.
        backup: how its data are kept between runs, None where they are not.

    """

    env: Mapping[str, str]
    command: tuple[str, ...]
    port: int
    data: str
    restore: str = ""
    backup: Backup | None = None


@dataclass(frozen=True)
class Installation:
    """Server binaries found on this machine.

    Attributes:
        binary: the server's program.
        place: where it was found, in words.
        version: as the program says it, such as "15.18"; empty where it does not run.
        complaint: why it does not run, in the program's or the system's words.
        root: the folder to copy where the binary is out of reach, or None where it never is.
        extensions: names the server can load, where the service knows extensions.

    """

    binary: Path
    place: str
    version: str
    root: Path | None = None
    extensions: frozenset[str] = frozenset()
    complaint: str = ""

    @property
    def major(self) -> int:
        """The major version."""
        return int(self.version.split(".")[0])


@dataclass(frozen=True)
class ProcessRecipe:
    """How to run a service as a process of this machine.

    Attributes:
        files: name (relative to the private folder) to content, written with mode 0600 first.
        prepare: commands to run to the end before the server starts; of each group the first that
            succeeds counts (so an older program may refuse a newer flag).
        command: the server itself, staying in the foreground.
        stop: the signal that stops it quickly and in order.
        backup: how its data are kept between runs, None where they are not.

    """

    files: Mapping[str, str]
    prepare: tuple[tuple[tuple[str, ...], ...], ...]
    command: tuple[str, ...]
    stop: int
    backup: Backup | None = None


def ask_version(binary: Path) -> tuple[str, str]:
    """What ``binary --version`` says: the version and no complaint, or no version and why."""
    try:
        shown = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, errors="replace", timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        return "", str(problem)
    found = re.search(r"\d+(?:\.\d+)+", shown.stdout) if shown.returncode == 0 else None
    return (found[0], "") if found else ("", (shown.stderr or shown.stdout).strip())
