"""Installing: what the tested project needs into its environment, and then our plugin beside it.

Our plugin comes from the wheel beside us, so that both sides of the border are of one version, in place of any
realdb-ci that the project names.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from realdb_ci.errors import EnvironmentProblem
from realdb_ci.prepare import pins, psycopg2
from realdb_ci.prepare.dependencies import Plan
from realdb_ci.prepare.uv import Uv

SPLITTER = "pytest-split>=0.10"
# How a project asks for extras of ours in any of its files.
_OWN_EXTRAS = re.compile(r"realdb[-_.]ci\s*\[([^\]]*)\]", re.IGNORECASE)
_HASHES = "UV_REQUIRE_HASHES"
_FAILED = "The project's dependencies cannot be installed"


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
    plan: Plan
    python_version: str = ""
    extras: tuple[str, ...] = ()
    splits: bool = False


@dataclass(frozen=True)
class Installation:
    """The packages of one environment.

    Attributes:
        uv: uv.
        wheel: the wheel of realdb-ci.
        order: what to install.
        interpreter: the environment's Python.
    """

    uv: Uv
    wheel: Path
    order: Order
    interpreter: Path

    def project(self) -> None:
        """Install the project's dependencies; a psycopg2 that cannot be built, as psycopg2-binary.

        Raises:
            EnvironmentProblem: something cannot be installed.
        """
        try:
            self._dependencies()
        except EnvironmentProblem as problem:
            version = psycopg2.unbuilt(problem)
            if not version:
                raise
            binary = f"{psycopg2.BINARY}=={version}"
            self.uv.write(f"psycopg2 {version} cannot be built here; {binary}, the same module, takes its place\n")
            self._dependencies(without=(psycopg2.SOURCE,))
            self._pip(binary)

    def plugin(self) -> None:
        """Install our plugin; what the project has stays as it is.

        Raises:
            EnvironmentProblem: the two do not fit.
        """
        plan, installed = self.order.plan, self._installed()
        asked = {extra for path in plan.files for extra in _own_extras(path)} | set(self.order.extras)
        # Servers belong to this process, so their binaries are of no use on the other side.
        extras = sorted(asked - {"embedded", "all"})
        wanted = f"realdb-ci[{','.join(extras)}]" if extras else "realdb-ci"
        # The project's own psycopg2 serves us, in whichever package it came.
        others = [line for line in installed if not psycopg2.is_in(line)]
        spared = self._file("spared.txt", [psycopg2.without(psycopg2.BINARY)])
        try:
            self._pip(
                *(("--constraints", self._file("project.txt", others)) if others else ()),
                *(("--overrides", spared) if others != installed else ()),
                # The day by which the project's own packages are to be known is not meant for ours.
                *("--exclude-newer", "false"),
                f"{wanted} @ {self.wheel.as_uri()}",
                *([SPLITTER] if self.order.splits else []),
                what="realdb-ci cannot be installed beside the project's dependencies",
                remedy="Loosen the pins that the lines above name.",
            )
        except EnvironmentProblem as problem:
            raise pins.explain(problem, others, extras, plan) from None

    def _dependencies(self, without: Sequence[str] = ()) -> None:
        """Install them, but for some packages."""
        if self.order.plan.sync is None:
            self._listed(without)
            return
        left = [word for name in ("realdb-ci", *without) for word in ("--no-install-package", name)]
        words = ("sync", "--frozen", "--inexact", "--python", str(self.interpreter), *left, *self.order.plan.sync)
        self.uv.run(self.order.project, words, _FAILED, self._remedy)

    def _listed(self, without: Sequence[str]) -> None:
        plan = self.order.plan
        words = list(plan.arguments)
        if plan.bound:
            words += ["-r", self._file("bound/pyproject.toml", [plan.bound])]
        if plan.constraints:
            words += ["--constraints", self._file("constraints.txt", plan.constraints)]
        apart = plan.itself if plan.hashed or self.uv.visible.get(_HASHES) else ()
        words += [] if apart else plan.itself
        digest = hashlib.sha256(self.wheel.read_bytes()).hexdigest()
        ours = [f"realdb-ci @ {self.wheel.as_uri()}#sha256={digest}", *map(psycopg2.without, without)]
        overrides = ("--overrides", self._file("ours.txt", ours))
        if words:
            self._pip(*overrides, *words, hashed=True)
        if apart:
            self._pip(*overrides, "--constraints", self._file("listed.txt", self._installed()), *apart)

    def _pip(self, *words: str, what: str = _FAILED, remedy: str = "", hashed: bool = False) -> None:
        """Run ``uv pip install``; only what the project lists can have the hashes that it may demand."""
        uv = self.uv
        if not hashed:
            uv = replace(uv, visible={name: value for name, value in uv.visible.items() if name != _HASHES})
            words = ("--no-require-hashes", *words)
        uv.run(
            self.order.project,
            ("pip", "install", "--python", str(self.interpreter), *self.order.plan.indexes, *words),
            what,
            remedy or self._remedy,
        )

    @property
    def _remedy(self) -> str:
        return f"They come from {self.order.plan.source}; the lines above say what does not fit."

    def _installed(self) -> list[str]:
        """What is there, one ``name==version`` a line; what has no version on an index cannot bind us."""
        lines = self.uv.ask("pip", "freeze", "--quiet", "--python", str(self.interpreter)).splitlines()
        return [line for line in lines if "==" in line and not line.startswith(("-e", "realdb-ci"))]

    def _file(self, name: str, lines: Sequence[str]) -> str:
        path = self.uv.home / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return str(path)


def _own_extras(path: Path) -> set[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    return {word.strip() for found in _OWN_EXTRAS.findall(text) for word in found.split(",") if word.strip()}
