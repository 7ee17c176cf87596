"""Environment: the tested project's own, made by uv outside the workspace, with our plugin put in last.

Nothing of the environment this process runs in gets there: the interpreter, the packages and the variables are
the project's. Our plugin comes from the wheel beside us, so that both sides of the border are of one version.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from realdb_ci import __version__
from realdb_ci.errors import EnvironmentProblem, SettingError
from realdb_ci.prepare import dependencies, pins
from realdb_ci.prepare.uv import Uv

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
        root = self._uv.home / "environment"
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
        self._install(order, environment.interpreter)
        self._install_plugin(order, environment.interpreter)

    def _install(self, order: Order, interpreter: Path) -> None:
        plan = order.plan
        words = list(plan.arguments)
        if plan.export is not None:
            exported = self._uv.home / "exported.txt"
            self._uv.run(
                order.project,
                ("export", "--quiet", "--frozen", *plan.export, "-o", str(exported)),
                "uv.lock of the project cannot be used",
                "Run 'uv lock' and commit the result.",
            )
            words += ["-r", str(exported)]
        if plan.constraints:
            words += ["--constraints", str(self._file("constraints.txt", plan.constraints))]
        if not words:
            return
        ours = self._file("ours.txt", [f"realdb-ci @ {self.wheel.as_uri()}"])
        self._uv.run(
            plan.root or order.project,
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
            self._uv.run(
                order.project,
                (
                    *("pip", "install", "--python", str(interpreter), "--constraints", str(kept)),
                    f"{wanted} @ {self.wheel.as_uri()}",
                    *([SPLITTER] if order.splits else []),
                ),
                "realdb-ci cannot be installed beside the project's dependencies",
                "Loosen the pins that the lines above name.",
            )
        except EnvironmentProblem as problem:
            raise pins.explain(problem, frozen, extras, plan) from None

    def _frozen(self, interpreter: Path) -> list[str]:
        """What is installed, one ``name==version`` a line; what has no version on an index cannot bind us."""
        lines = self._uv.ask("pip", "freeze", "--quiet", "--python", str(interpreter)).splitlines()
        return [line for line in lines if "==" in line and not line.startswith(("-e", "realdb-ci"))]

    def _file(self, name: str, lines: Sequence[str]) -> Path:
        path = self._uv.home / name
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path


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
