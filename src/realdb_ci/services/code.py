"""Code: what a function of the project's does, as a hash that changes with all it is known to depend on.

A template may be used for weeks, so the file a function stands in is not enough: what it imports of the project
counts, and so do the data files beside it. What a hash cannot see (a clock, a random number, another server) is
fixed in the template, as it would be in a database dump.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

# Installed packages are known by their versions, which count as a whole.
_LIBRARIES = re.compile(r"[/\\](site-packages|dist-packages|realdb_ci)[/\\]|^<")
_STANDARD = os.path.dirname(os.__file__)  # noqa: PTH120  # compared as text, for each file of a project
DATA_ENDINGS = (".sql", ".json", ".csv", ".tsv", ".yaml", ".yml")
DATA_FILES_LIMIT = 1000
_SKIPPED = ("__pycache__", "node_modules")


def digest(function: Callable[..., Any]) -> str:
    """A hash of the function's module, of what that imports of the project, and of the data files beside it."""
    found = inspect.getsourcefile(function)
    if not found or not Path(found).is_file():
        return repr(function)
    hashed = hashlib.sha256()
    _add(hashed, closure([Path(found)]))
    _add(hashed, _data_beside(Path(found).parent))
    hashed.update(installed().encode())
    return hashed.hexdigest()


def scripts_digest(folders: Iterable[Path]) -> str:
    """A hash of all files of folders of scripts, and of what their scripts import of the project.

    ``env.py`` itself counts, not what it imports: that is the whole application in many projects, and the tables
    come from the scripts alone.
    """
    hashed = hashlib.sha256()
    files = sorted({path for folder in folders for path in _files(folder) if path.suffix != ".pyc"})
    _add(hashed, files)
    scripts = [path for path in files if path.suffix == ".py" and path.name != "env.py"]
    known = set(files)
    _add(hashed, [path for path in closure(scripts) if path not in known])
    hashed.update(installed().encode())
    return hashed.hexdigest()


def installed() -> str:
    """What is installed, by name and version; where a version says little, by the hashes of its files.

    A distribution that does not come from an index (a folder, a repository) has ``direct_url.json``, by PEP 610.
    """
    found = []
    for folder in map(Path, dict.fromkeys(sys.path)):
        for one in folder.glob("*.dist-info"):
            record = one / "RECORD"
            local = (one / "direct_url.json").is_file() and record.is_file()
            found.append(f"{one.name} {hashlib.sha256(record.read_bytes()).hexdigest() if local else ''}")
    return "\n".join(sorted(found))


def closure(files: Iterable[Path]) -> list[Path]:
    """These Python files and all files of the project that they import, directly or not."""
    waiting, seen = [path.resolve() for path in files], set[Path]()
    modules = list(sys.modules.values())
    packages = {getattr(one, "__file__", None): str(getattr(one, "__package__", "") or "") for one in modules}
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in _imported(path, packages.get(str(path), "")):
            found = _source(name)
            if found is not None and found not in seen:
                waiting.append(found)
    return sorted(seen)


def _imported(path: Path, package: str) -> Iterator[str]:
    """Names of modules a file of that package imports; some of them may be no modules."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join(filter(None, (*above, node.module)))
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _source(name: str) -> Path | None:
    """The file of a module of the project's, None for any other name."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    above = name.rpartition(".")[0]
    if spec is None and (not above or above in sys.modules):
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):
            return None
    origin = getattr(spec, "origin", None)
    if not origin or not origin.endswith(".py") or _LIBRARIES.search(origin) or origin.startswith(_STANDARD):
        return None
    return Path(origin).resolve()


def _data_beside(folder: Path) -> list[Path]:
    found = sorted(path for path in _files(folder) if path.suffix in DATA_ENDINGS)
    return found[:DATA_FILES_LIMIT]


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _SKIPPED]
        yield from (Path(parent, name) for name in names)


def _add(hashed: Any, files: Iterable[Path]) -> None:
    for path in files:
        hashed.update(f"{path.name}\0".encode())
        try:
            hashed.update(hashlib.sha256(path.read_bytes()).digest())
        except OSError:  # gone meanwhile, or not ours to read
            continue
