"""Environment: the tested project's own, made by uv outside the workspace, with our plugin put in last.

Nothing of the environment this process runs in gets there: the interpreter, the packages and the variables are
the project's. Our plugin comes from the wheel beside us, so that both sides of the border are of one version.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from realdb_ci import __version__
from realdb_ci.errors import EnvironmentProblem, SettingError
from realdb_ci.prepare import dependencies, pins

LOG_LINES = 25
SPLITTER = "pytest-split>=0.10"
# How a project asks for extras of ours in any of its files.
_OWN_EXTRAS = re.compile(r"realdb[-_.]ci\s*\[([^\]]*)\]", re.IGNORECASE)


@dataclass(frozen=True)
class Order:
    """What environment to make.

    Attributes:
        project: the project's folder.
        plan: what to install for it.
        python_version: the Python the user told, or nothing.
        extras: extras of ours that the tests need.
        splits: whether the suite is to be split.
    """

    project: Path
    plan: dependencies.Plan
    python_version: str = ""
    extras: tuple[str, ...] = ()
    splits: bool = False


@dataclass(frozen=True)
class Environment:
    """An environment that is ready.

    Attributes:
        interpreter: its Python.
        version: that Python's version.
        source: who said what to install.
    """

    interpreter: Path
    version: str
    source: str

    def variables(self) -> dict[str, str]:
        """What an activated environment adds to the variables; PATH is to be put before the old one."""
        root = self.interpreter.parent.parent
        return {"VIRTUAL_ENV": str(root), "PATH": str(self.interpreter.parent)}


class Maker:
    """Makes environments below one folder.

    Args:
        home: a folder outside the workspace.
        environ: the variables uv is to see: the user's, without secrets of ours.
        write: given uv's output as it comes.
        wheel: the wheel of realdb-ci to put into them; by default the one beside our own environment.
    """

    def __init__(
        self,
        home: Path,
        environ: Mapping[str, str],
        write: Callable[[str], None],
        wheel: Path | None = None,
    ) -> None:
        self._home = home
        self._environ = {
            **{name: value for name, value in environ.items() if name not in ("VIRTUAL_ENV", "PYTHONHOME")},
            "UV_CACHE_DIR": str(home / "packages"),
            "UV_PYTHON_INSTALL_DIR": str(home / "pythons"),
            "UV_NO_PROGRESS": "1",
        }
        self._write = write
        self._wheel = wheel or own_wheel()

    @property
    def packages(self) -> Path:
        """Where uv keeps what it downloaded and built."""
        return self._home / "packages"

    def make(self, order: Order) -> Environment:
        """Make it.

        Raises:
            SettingError: inputs contradict the project.
            EnvironmentProblem: no such Python, or something cannot be installed.
        """
        self._home.mkdir(parents=True, exist_ok=True)
        interpreter, version = self._python(order)
        self._write(f"Python {version}; dependencies from {order.plan.source}\n")
        self._install(order, interpreter)
        self._install_plugin(order, interpreter)
        return Environment(interpreter, version, order.plan.source)

    def _python(self, order: Order) -> tuple[Path, str]:
        folder = self._home / "environment"
        chosen = ("--python", order.python_version) if order.python_version else ()
        self._uv(
            order.project,
            ("venv", "--quiet", "--clear", *chosen, str(folder)),
            "No Python for the project could be had",
            "Choose one that exists with 'python-version', .python-version or requires-python.",
        )
        interpreter = folder / "bin" / "python"
        asked = subprocess.run(
            [interpreter, "-I", "-c", "import platform; print(platform.python_version())"],
            capture_output=True,
            text=True,
            check=True,
        )
        version = asked.stdout.strip()
        _check_python(order, version)
        return interpreter, version

    def _install(self, order: Order, interpreter: Path) -> None:
        plan = order.plan
        words = list(plan.arguments)
        if plan.export:
            exported = self._home / "exported.txt"
            self._uv(
                order.project,
                ("export", "--quiet", "--frozen", "--no-default-groups", *plan.export, "-o", str(exported)),
                "uv.lock of the project cannot be used",
                "Run 'uv lock' and commit the result.",
            )
            words += ["-r", str(exported)]
        if plan.constraints:
            words += ["--constraints", str(self._file("constraints.txt", plan.constraints))]
        if not words:
            return
        ours = self._file("ours.txt", [f"realdb-ci @ {self._wheel.as_uri()}"])
        self._uv(
            order.project,
            ("pip", "install", "--python", str(interpreter), "--overrides", str(ours), *words),
            "The project's dependencies cannot be installed",
            f"They come from {plan.source}; the lines above say what does not fit.",
        )

    def _install_plugin(self, order: Order, interpreter: Path) -> None:
        plan = order.plan
        frozen = self._frozen(interpreter)
        asked = {extra for path in plan.files for extra in _own_extras(path)} | set(order.extras)
        # Servers belong to this process, so their binaries are of no use on the other side.
        extras = sorted(asked - {"embedded", "all"})
        wanted = f"realdb-ci[{','.join(extras)}]" if extras else "realdb-ci"
        kept = self._file("project.txt", frozen)
        try:
            self._uv(
                order.project,
                (
                    *("pip", "install", "--python", str(interpreter), "--constraints", str(kept)),
                    f"{wanted} @ {self._wheel.as_uri()}",
                    *([SPLITTER] if order.splits else []),
                ),
                "realdb-ci cannot be installed beside the project's dependencies",
                "Loosen the pins that the lines above name.",
            )
        except EnvironmentProblem as problem:
            raise pins.explain(problem, frozen, extras, plan) from None

    def _frozen(self, interpreter: Path) -> list[str]:
        """What is installed, one ``name==version`` a line; what has no version on an index cannot bind us."""
        listed = subprocess.run(
            [_uv(), "pip", "freeze", "--quiet", "--python", str(interpreter)],
            env=self._environ,
            capture_output=True,
            text=True,
            check=True,
        )
        lines = listed.stdout.splitlines()
        return [line for line in lines if "==" in line and not line.startswith(("-e", "realdb-ci"))]

    def _file(self, name: str, lines: Sequence[str]) -> Path:
        path = self._home / name
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    def _uv(self, folder: Path, words: Sequence[str], what: str, remedy: str) -> None:
        """Run uv to its end, its output handed on as it comes.

        Raises:
            EnvironmentProblem: it failed; its last lines are the problem's log.
        """
        last: deque[str] = deque(maxlen=LOG_LINES)
        with subprocess.Popen(
            [_uv(), *words],
            cwd=folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    last.append(line)
                    self._write(line)
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, 9)
                raise
        if process.returncode:
            text = "".join(last)
            raise EnvironmentProblem(what, why=_reason(text), remedy=remedy, log=text)


def _reason(text: str) -> str:
    """The line of uv's that says what is wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    marked = [line.partition(": ")[2] for line in lines if line.startswith(("error: ", "cause: "))]
    return ": ".join(marked or lines[-1:])


def _check_python(order: Order, version: str) -> None:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    metadata = dependencies.read_toml(order.project / "pyproject.toml")
    required = metadata.get("project", {}).get("requires-python", "")
    with contextlib.suppress(InvalidSpecifier, TypeError):
        if required and not SpecifierSet(required).contains(version, prereleases=True):
            raise SettingError(
                f"Python {version} does not fit the project",
                why=f"pyproject.toml says requires-python = {required!r}",
                remedy="Change 'python-version' or .python-version, or the project's requires-python.",
            )
    if tuple(map(int, version.split(".")[:2])) < (3, 11):
        raise EnvironmentProblem(
            f"Python {version} is too old for realdb-ci",
            why="it needs Python 3.11 or newer",
            remedy="Choose a newer one with 'python-version'.",
        )


def _own_extras(path: Path) -> set[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    return {word.strip() for found in _OWN_EXTRAS.findall(text) for word in found.split(",") if word.strip()}


def _uv() -> str:
    """The uv beside our own interpreter, else the one on PATH."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise EnvironmentProblem(
            "uv is not there", why="it makes the project's environment", remedy="pip install uv"
        )
    return found


def own_wheel() -> Path:
    """The wheel of this very version, which the image holds beside our environment.

    Raises:
        EnvironmentProblem: there is none.
    """
    wheels = sorted(Path(sys.prefix, "wheels").glob(f"realdb_ci-{__version__}-*.whl"))
    if not wheels:
        raise EnvironmentProblem(
            "The wheel of realdb-ci is not there",
            why=f"{Path(sys.prefix, 'wheels')} holds none of version {__version__}",
            remedy="Build the image of the Action anew.",
        )
    return wheels[-1]
