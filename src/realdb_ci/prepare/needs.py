"""Needs: which services and libraries a suite will ask for, read from its sources before anything is imported.

A guess that only saves time: a service it misses starts when collection shows the need, and one that it names
in vain serves nobody.
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


def words(project: Path) -> frozenset[str]:
    """The names that stand in the project's tests."""
    found: set[str] = set()
    for number, path in enumerate(_sources(project)):
        if number >= FILES_LIMIT:
            break
        try:
            found.update(_WORD.findall(path.read_bytes()[:BYTES_LIMIT].decode("utf-8", "replace")))
        except OSError:
            continue
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
        for name in sorted(files):
            if name.endswith(".py") and (name.startswith(("test_", "conftest")) or name.endswith("_test.py")):
                yield Path(folder, name)
