"""What an archive of an image may hold before the daemon is given it."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from realdb_ci.prepare.image_archive import Foreign, check


def _archive(*members: tuple[str, object]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, content in members:
            member = tarfile.TarInfo(path)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
            else:
                text = json.dumps(content).encode()
                member.size = len(text)
                tar.addfile(member, io.BytesIO(text))
    return gzip.compress(packed.getvalue())


def _with(text: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo("manifest.json")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    return packed.getvalue()


def _of(*tags: str) -> list[dict[str, object]]:
    return [{"Config": "c", "RepoTags": list(tags), "Layers": []}]


HOSTILE = {
    "garbage": b"garbage",
    "truncated": _archive(("manifest.json", _of("db:1")))[:-20],
    "nothing": _archive(("other", {})),
    "no name": _archive(("manifest.json", [{"Config": "c", "RepoTags": None, "Layers": []}])),
    "another name": _archive(("manifest.json", _of("python:3"))),
    "two names": _archive(("manifest.json", _of("db:1", "python:3"))),
    "two images": _archive(("manifest.json", _of("db:1") + _of("python:3"))),
    "the older list": _archive(("manifest.json", _of("db:1")), ("repositories", {"python": {"3": "i"}})),
    "the newer list": _archive(
        ("manifest.json", _of("db:1")),
        ("index.json", {"manifests": [{"annotations": {"io.containerd.image.name": "python:3"}}]}),
    ),
    "twice": _archive(("manifest.json", _of("db:1")), ("./manifest.json", _of("python:3"))),
    "a link": _archive(("manifest.json", "elsewhere"), ("elsewhere", _of("python:3"))),
    "below a link": _archive(("manifest.json", _of("db:1")), ("a", "."), ("a/manifest.json", _of("python:3"))),
    "upwards": _archive(("manifest.json", _of("db:1")), ("../x", {})),
    "deep": gzip.compress(_with(b"[" * 200_000)),
    "large list": _archive(("manifest.json", [*_of("db:1"), {"RepoTags": [], "x": "x" * (1 << 21)}])),
    "behind the end": gzip.compress(gzip.decompress(_archive(("manifest.json", _of("db:1")))) + bytes(1 << 22)),
    "no list": _archive(("manifest.json", {"RepoTags": "db:1"})),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_archive_with_anything_else_is_refused(content: bytes, tmp_path: Path) -> None:
    """On a machine that is not thrown away it could replace another image."""
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(Foreign):
        check(tmp_path / "a", "db:1")


def test_archive_of_one_image_is_taken(tmp_path: Path) -> None:
    """Of both kinds that Docker writes; an annotation may have the tag alone."""
    index = {
        "manifests": [
            {"annotations": {"io.containerd.image.name": "db:1", "org.opencontainers.image.ref.name": "1"}}
        ]
    }
    lists = (("manifest.json", _of("db:1")), ("repositories", {"db": {"1": "i"}}), ("index.json", index))
    (tmp_path / "a").write_bytes(_archive(*lists, ("b/layer.tar", "../a/layer.tar")))
    check(tmp_path / "a", "db:1")
