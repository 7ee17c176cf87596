"""uv: the program that makes the project's environment, run so that its words reach the log."""

from __future__ import annotations

import re
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
# uv's own lines of that kind, and what a build says in them.
_REASON = re.compile(r"\s*(?:error|cause): (.+)", re.IGNORECASE)
_REASONS = 6
_UNBUILT = re.compile("Failed to build|build backend returned an error")
NO_COMPILER = (
    "The Action's image has no compiler: name a version that has a wheel for this Python, "
    "or use the composite action on a machine that has one."
)


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

    @property
    def environment(self) -> Path:
        """The environment that it makes and fills."""
        return self.home / "environment"

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
        reasons: dict[str, None] = {}
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
                    # What a build wrote stands between the reasons and the end.
                    if (found := _REASON.match(line)) and len(reasons) < _REASONS:
                        reasons[found[1].strip()] = None
                    self.write(line)
            except BaseException:
                processes.end_all(process.pid)
                raise
        if process.returncode:
            plain = [text for line in last if (text := line.strip()) and not text.startswith("hint: ")]
            why = ": ".join(reasons or plain[-1:])
            if _UNBUILT.search(why):
                remedy = f"{remedy} {NO_COMPILER}"
            raise EnvironmentProblem(what, why=why, remedy=remedy, log="".join(last))

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
            "UV_PROJECT_ENVIRONMENT": str(self.environment),
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
