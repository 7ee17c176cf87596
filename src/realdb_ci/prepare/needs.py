"""Needs: which services and libraries a suite will ask for, read from its sources before anything is imported.

A guess. For servers it only saves time: one that it misses starts when collection shows the need, and one that it
names in vain serves nobody. But drivers are installed by it alone, so that it had better name too many.
"""

from __future__ import annotations

import ast
import functools
import os
import re
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from realdb_ci import doubles, services

# Folders that hold other people's code, and limits that keep the search short in any checkout.
SKIPPED = frozenset({"node_modules", "site-packages", "__pycache__", "build", "dist", "venv"})
FILES_LIMIT = 5000
BYTES_LIMIT = 1_000_000
# What a fixture can need; a double whose library we bring in any case has no extra.
EXTRAS = frozenset({"postgres", "mongo", "redis", "s3", "http", "async"})
_WORD = re.compile(r"[A-Za-z_]\w*")
# What stands in any module with tests or fixtures, whatever its name. The application's own modules, where a
# name of ours means another thing, have nothing of it.
_TESTS = re.compile(r"\bpytest|\bdef test")


def words(project: Path) -> frozenset[str]:
    """The names that stand in the project's tests, and in the modules that their fixtures come from."""
    found: set[str] = set()
    for path in sorted(_sources(project), key=_is_named_so, reverse=True)[:FILES_LIMIT]:
        try:
            text = path.read_bytes()[:BYTES_LIMIT].decode("utf-8", "replace")
        except OSError:
            continue
        if _is_named_so(path) or _TESTS.search(text):
            found.update(_WORD.findall(text))
    return frozenset(found)


def of(found: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The services and the extras of ours that such names ask for.

    Args:
        found: what ``words`` gave.
    """
    asked = set(found)
    of_services = {name: asked & fixtures(f"realdb_ci.services.{name}") for name in services.MODULES}
    wanted = tuple(name for name, names in of_services.items() if names)
    extras = {services.get(name).extra for name in wanted}
    extras |= {name for name in doubles.MODULES if asked & fixtures(f"realdb_ci.doubles.{name}")}
    if any(name.startswith("async_") for names in of_services.values() for name in names):
        extras.add("async")
    return wanted, tuple(sorted(extras & EXTRAS))


@functools.cache
def fixtures(module: str) -> frozenset[str]:
    """The names of the fixtures that a module or package of ours defines, read without importing it."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return frozenset()
    origin = Path(spec.origin)
    files = origin.parent.glob("*.py") if spec.submodule_search_locations else [origin]
    nodes = (node for file in files for node in ast.parse(file.read_text(encoding="utf-8")).body)
    return frozenset(
        node.name
        for node in nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and any("fixture" in ast.unparse(decorator) for decorator in node.decorator_list)
    )


def _sources(project: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(project):
        folders[:] = sorted(name for name in folders if name not in SKIPPED and not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(files) if name.endswith(".py"))


def _is_named_so(path: Path) -> bool:
    """Whether its name says that it has tests; such are read first."""
    return path.name.startswith(("test_", "conftest")) or path.name.endswith("_test.py")
