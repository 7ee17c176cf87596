"""One image as a file: what the daemon gives of it, and what it is given only after a look inside."""

from __future__ import annotations

import gzip
import json
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from realdb_ci.measured import Measured, members

if TYPE_CHECKING:
    from docker import DockerClient

MEGABYTE = 1e6
BYTES_LIMIT = 2 << 30
# Of a file that names images, which is read into memory.
NAMING_LIMIT = 1 << 20
# What tells a daemon under which names to keep the images of an archive.
NAMING = frozenset({"manifest.json", "repositories", "index.json"})
_NAMES = frozenset({"io.containerd.image.name", "org.opencontainers.image.ref.name"})


# What parsers say of values that are nested, or larger, than anything can be.
_ABSURD = (RecursionError, OverflowError, MemoryError)


class Foreign(Exception):
    """The archive holds something else than this one image."""


def check(file: Path, name: str) -> None:
    """Refuse an archive that would give the daemon anything but one image under one name.

    What it unpacks where is the daemon's own concern; under which names it keeps images is what could replace
    others on a machine that is not thrown away.

    Raises:
        Foreign: it holds something else, or is damaged.
    """
    naming: dict[str, Any] = {}
    links = set[PurePosixPath]()
    try:
        with gzip.open(file) as compressed:
            stream = Measured(compressed)
            for member, content in members(stream, BYTES_LIMIT):
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts or not links.isdisjoint((path, *path.parents)):
                    raise Foreign(f"{member.name!r} leads elsewhere")
                if str(path) in naming or (str(path) in NAMING and not member.isreg()):
                    raise Foreign(f"it has {path} twice, or as a link")
                if member.issym() or member.islnk():
                    links.add(path)
                if str(path) in NAMING:
                    naming[str(path)] = json.loads(content.read(NAMING_LIMIT)) if content else None
            stream.to_the_end()
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, *_ABSURD) as problem:
        raise Foreign(f"it is damaged: {problem}") from None
    if set(_named(naming)) != {name}:
        raise Foreign("it has images of other names, or none")


def _named(naming: dict[str, Any]) -> list[str]:
    """All names in an archive; a name that only repeats the tag counts as the whole."""
    try:
        found = [str(tag) for image in naming.get("manifest.json") or [] for tag in image["RepoTags"] or [""]]
        tags = {name.rpartition(":")[2]: name for name in found}
        for repository, versions in (naming.get("repositories") or {}).items():
            found += [f"{repository}:{tag}" for tag in versions]
        for image in (naming.get("index.json") or {}).get("manifests", []):
            noted = [value for key, value in (image.get("annotations") or {}).items() if key in _NAMES]
            found += [tags.get(str(value), str(value)) for value in noted]
    except (TypeError, KeyError, AttributeError) as problem:
        raise Foreign(f"it is damaged: {problem!r}") from None
    return found


def export(client: DockerClient, name: str, file: Path) -> None:
    """Write what ``docker save`` gives of one name.

    Raises:
        ValueError: it is too large to keep.
    """
    size = 0
    with gzip.open(file, "wb", compresslevel=1) as compressed:
        for piece in client.images.get(name).save(named=name):
            size += len(piece)
            if size > BYTES_LIMIT:
                raise ValueError(f"it has more than {BYTES_LIMIT / MEGABYTE:.0f} MB")
            compressed.write(piece)
