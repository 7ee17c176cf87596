"""uv: the program that makes the project's environment, run so that its words reach the log."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from realdb_ci import processes
from realdb_ci.errors import EnvironmentProblem

LOG_LINES = 25


@dataclass(frozen=True)
class Uv:
    """uv, with all that it keeps below one folder.

    Attributes:
        home: a folder outside the workspace.
        visible: the variables it may see: the user's, without secrets of ours.
        write: given its output as it comes.
    """

    home: Path
    visible: Mapping[str, str]
    write: Callable[[str], None]

    @property
    def cache(self) -> Path:
        """Where it keeps what it downloaded and built."""
        return self.home / "packages"

    def run(self, folder: Path, words: Sequence[str], what: str, remedy: str) -> None:
        """Run it to its end.

        Args:
            folder: where.
            words: its arguments.
            what: what is the matter if it fails.
            remedy: what to do then.

        Raises:
            EnvironmentProblem: it failed; its last lines are the problem's log.
        """
        last: deque[str] = deque(maxlen=LOG_LINES)
        with subprocess.Popen(
            [program(), *words],
            cwd=folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            **processes.apart(),
        ) as process:
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    last.append(line)
                    self.write(line)
            except BaseException:
                processes.end_all(process.pid)
                raise
        if process.returncode:
            text = "".join(last)
            raise EnvironmentProblem(what, why=_reason(text), remedy=remedy, log=text)

    def ask(self, *words: str) -> str:
        """What it prints for these arguments.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        return subprocess.run(
            [program(), *words], env=self._environ, capture_output=True, text=True, check=True
        ).stdout

    @property
    def _environ(self) -> dict[str, str]:
        return {
            **{name: value for name, value in self.visible.items() if name not in ("VIRTUAL_ENV", "PYTHONHOME")},
            "UV_CACHE_DIR": str(self.cache),
            "UV_PYTHON_INSTALL_DIR": str(self.home / "pythons"),
            "UV_NO_PROGRESS": "1",
        }


def program() -> str:
    """The uv beside our own interpreter, else the one on PATH.

    Raises:
        EnvironmentProblem: there is none.
    """
    beside = Path(sys.executable).with_name("uv.exe" if sys.platform == "win32" else "uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise EnvironmentProblem(
            "uv is not there", why="it makes the project's environment", remedy="pip install uv"
        )
    return found


def _reason(text: str) -> str:
    """The line of uv's that says what is wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    marked = [line.partition(": ")[2] for line in lines if line.startswith(("error: ", "cause: "))]
    return ": ".join(marked or lines[-1:])
