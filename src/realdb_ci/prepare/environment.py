"""Environment: the tested project's own, made by uv outside the workspace, with our plugin put in last.

Nothing of the environment this process runs in gets there: the interpreter, the packages and the variables are
the project's.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from realdb_ci import __version__
from realdb_ci.errors import EnvironmentProblem, SettingError
from realdb_ci.prepare import pyproject
from realdb_ci.prepare.installing import Installation, Order
from realdb_ci.prepare.uv import Uv


@dataclass(frozen=True)
class Environment:
    """An environment.

    Attributes:
        interpreter: its Python.
        version: that Python's version.
        source: who said what to install.
    """

    interpreter: Path
    version: str
    source: str

    @property
    def root(self) -> Path:
        """Its folder."""
        return self.interpreter.parent.parent

    def variables(self) -> dict[str, str]:
        """What an activated environment adds to the variables; PATH is to be put before the old one."""
        return {"VIRTUAL_ENV": str(self.root), "PATH": str(self.interpreter.parent)}


class Maker:
    """Makes environments with uv, below its folder.

    Args:
        uv: uv.
        wheel: the wheel of realdb-ci to put into them; by default the one beside our own environment.
    """

    def __init__(self, uv: Uv, wheel: Path | None = None) -> None:
        self._uv = uv
        self.wheel = wheel or own_wheel()

    def empty(self, order: Order) -> Environment:
        """An environment with nothing in it but the project's Python.

        Raises:
            SettingError: inputs contradict the project.
            EnvironmentProblem: no such Python.
        """
        self._uv.home.mkdir(parents=True, exist_ok=True)
        root = self._uv.environment
        chosen = ("--python", order.python_version) if order.python_version else ()
        self._uv.run(
            order.project,
            ("venv", "--quiet", "--clear", *chosen, str(root)),
            "No Python for the project could be had",
            "Choose one that exists with 'python-version', .python-version or requires-python.",
        )
        interpreter = root / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        asked = subprocess.run(
            [interpreter, "-I", "-c", "import platform; print(platform.python_version())"],
            capture_output=True,
            text=True,
            check=True,
        )
        version = asked.stdout.strip()
        _check_python(order, version)
        self._uv.write(f"Python {version}; dependencies from {order.plan.source}\n")
        return Environment(interpreter, version, order.plan.source)

    def fill(self, order: Order, environment: Environment) -> None:
        """Install the project's dependencies, and then our plugin beside them.

        Raises:
            EnvironmentProblem: something cannot be installed.
        """
        installation = Installation(self._uv, self.wheel, order, environment.interpreter)
        installation.project()
        installation.plugin()


def _check_python(order: Order, version: str) -> None:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    metadata = pyproject.read(order.project / "pyproject.toml")
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
