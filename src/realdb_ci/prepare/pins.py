"""Pins: which of a project's versions stands against which of our requirements."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib.metadata import requires

from realdb_ci.errors import EnvironmentProblem
from realdb_ci.prepare.dependencies import Plan

# How uv begins to say that no versions fit one another.
_UNSOLVED = "No solution found"


def explain(
    problem: EnvironmentProblem, frozen: Sequence[str], extras: Sequence[str], plan: Plan
) -> EnvironmentProblem:
    """The installer's problem in words about the project's own pins, where it is one of those.

    Args:
        problem: what the installer said.
        frozen: what the project has installed, as ``name==version``.
        extras: the extras of ours that were to be installed.
        plan: where the project's dependencies come from.
    """
    found = list(_conflicts(frozen, extras))
    if not found:
        return _transitive(problem, frozen, plan)
    return EnvironmentProblem(
        "The project's versions do not fit realdb-ci",
        why="; ".join(
            f"the project has {name} {version}{_place(name, plan)}, realdb-ci needs {name}{needed}"
            for name, version, needed in found
        ),
        remedy="Allow a version that fits: " + ", ".join(f"{name}{needed}" for name, _, needed in found) + ".",
    )


def _transitive(problem: EnvironmentProblem, frozen: Sequence[str], plan: Plan) -> EnvironmentProblem:
    """Where a package that ours bring with them is the one to need another version, the resolver's proof has it."""
    named = [line for line in frozen if re.search(rf"(?<![\w.-]){re.escape(line)}(?![\w.+!-])", problem.log)]
    if not named or _UNSOLVED not in problem.why:
        return problem
    pins = [(name, version) for name, _, version in (line.partition("==") for line in named)]
    return EnvironmentProblem(
        "The project's versions do not fit what realdb-ci needs",
        why="; ".join(f"the project has {name} {version}{_place(name, plan)}" for name, version in pins),
        remedy=f"Allow another version of {', '.join(name for name, _ in pins)}; the lines below say which.",
        log=problem.log,
    )


def _conflicts(frozen: Sequence[str], extras: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    versions = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in frozen)}
    for text in requires("realdb-ci") or ():
        needed = Requirement(text)
        applies = needed.marker is None or any(needed.marker.evaluate({"extra": one}) for one in ("", *extras))
        version = versions.get(canonicalize_name(needed.name))
        if applies and version is not None and not needed.specifier.contains(version, prereleases=True):
            yield needed.name, version, str(needed.specifier)


def _place(name: str, plan: Plan) -> str:
    """Where the project names that package, as far as it can be read off its files."""
    line = re.compile(rf"^\W*(?:name = \")?{re.escape(name)}(?![\w.-])", re.IGNORECASE)
    for path in plan.files:
        for number, text in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if line.match(text):
                return f" ({path.name} line {number})"
    return f" (from {plan.source})"
