"""The cache client against a service over HTTP that can do everything the real one may do to us."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cache_service import TOKEN, Store, serving

from realdb_ci import archive
from realdb_ci.prepare import results_service
from realdb_ci.prepare.cache import CacheService
from realdb_ci.prepare.results_service import Patience, ServiceTrouble, Taken

QUICK = Patience(connect=1.0, transfer=1.0, pauses=(0.01, 0.01), answer=0.5)


@pytest.fixture
def store() -> Store:
    """What the service holds."""
    return Store()


@pytest.fixture
def service(store: Store) -> Iterator[CacheService]:
    """A client of it."""
    with serving(store) as url:
        yield CacheService(url + "some/path", TOKEN, patience=QUICK)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Something to keep."""
    path = tmp_path / "kept"
    path.write_bytes(os.urandom(5000))
    return path


def test_what_was_saved_is_found_by_its_key_and_by_a_prefix(
    service: CacheService, file: Path, tmp_path: Path
) -> None:
    """Exact first, then the newest of a prefix; another kind has nothing."""
    got = tmp_path / "got"
    service.save("packages", "a-1", file)
    newer = tmp_path / "newer"
    newer.write_bytes(b"newer")
    service.save("packages", "a-2", newer)
    assert service.fetch("packages", ["a-1", "a-"], got) == "a-1"
    assert got.read_bytes() == file.read_bytes()
    assert service.fetch("packages", ["a-3", "a-"], got) == "a-2"
    assert got.read_bytes() == b"newer"
    assert service.fetch("packages", ["b-1", "b-"], got) is None
    assert service.fetch("timings", ["a-1"], got) is None


def test_large_files_go_up_in_blocks(
    service: CacheService, store: Store, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is beyond one request's size arrives in order."""
    monkeypatch.setattr(results_service, "BLOCK", 1024)
    service.save("packages", "a", file)
    assert len(store.blocks) == 5
    service.fetch("packages", ["a"], tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == file.read_bytes()


def test_keys_are_made_fit(service: CacheService, file: Path, tmp_path: Path) -> None:
    """A comma or a long name is no reason to lose an entry."""
    service.save("packages", "a,b" * 300, file)
    assert service.fetch("packages", ["a,b" * 300], tmp_path / "got")


def test_an_entry_cannot_be_written_twice(service: CacheService, file: Path) -> None:
    """Another job was first: nothing to worry about, and told apart from trouble."""
    service.save("packages", "a", file)
    with pytest.raises(Taken):
        service.save("packages", "a", file)


@pytest.mark.parametrize(
    "behaviour",
    [
        *("limited", "failing", "babbling", "truncated", "slow"),
        *("hanging", "unreadable", "refusing blobs", "failing blobs"),
    ],
)
def test_trouble_is_one_kind_of_error_and_short(
    behaviour: str, service: CacheService, store: Store, file: Path, tmp_path: Path
) -> None:
    """Whatever the service does, the caller learns that there is no cache."""
    service.save("packages", "a", file)
    store.behaviour = behaviour
    with pytest.raises(ServiceTrouble) as caught:
        service.fetch("packages", ["a"], tmp_path / "got")
    assert "secret" not in str(caught.value)
    assert TOKEN not in str(caught.value) + repr(service)


@pytest.mark.parametrize("behaviour", ["refusing blobs", "failing blobs"])
def test_blob_that_is_not_taken_is_trouble(behaviour: str, service: CacheService, store: Store, file: Path) -> None:
    """The entry is begun and never finished, so nobody finds half of it."""
    store.behaviour = behaviour
    with pytest.raises(ServiceTrouble, match=r"403|503"):
        service.save("packages", "a", file)
    assert not store.entries


def test_service_that_takes_a_call_and_does_not_answer_is_not_waited_for_as_for_a_blob(
    service: CacheService, store: Store, tmp_path: Path
) -> None:
    """A step has three calls to wait for where one has been lost, and a blob may take a minute."""
    store.behaviour = "hanging"
    patient = replace(service, patience=replace(QUICK, transfer=100.0))
    began = time.monotonic()
    with pytest.raises(ServiceTrouble, match="does not answer"):
        patient.fetch("packages", ["a"], tmp_path / "got")
    assert time.monotonic() - began < 20
    assert len(store.asked) == 3


def test_a_service_that_recovers_is_asked_again(
    service: CacheService, store: Store, file: Path, tmp_path: Path
) -> None:
    """Answers that may pass are no failure yet."""
    store.behaviour = "flaky"
    service.save("packages", "a", file)
    assert service.fetch("packages", ["a"], tmp_path / "got") == "a"


def test_a_limited_service_is_not_asked_again(service: CacheService, store: Store, tmp_path: Path) -> None:
    """HTTP 429 asks for silence."""
    store.behaviour = "limited"
    with pytest.raises(ServiceTrouble, match="429"):
        service.fetch("packages", ["a"], tmp_path / "got")
    assert len(store.asked) == 1


def test_a_read_only_job_reads(service: CacheService, store: Store, file: Path, tmp_path: Path) -> None:
    """The refusal is the service's own word, or known before anything is asked."""
    service.save("packages", "a", file)
    store.behaviour = "read-only"
    assert service.fetch("packages", ["a"], tmp_path / "got") == "a"
    with pytest.raises(ServiceTrouble, match="write denied"):
        service.save("packages", "b", file)
    asked = len(store.asked)
    with pytest.raises(ServiceTrouble, match="only read"):
        replace(service, mode="read").save("packages", "b", file)
    assert replace(service, mode="write-only").fetch("packages", ["a"], file) is None
    assert len(store.asked) == asked


def test_an_absent_service_is_trouble_too(tmp_path: Path) -> None:
    """Nothing listens there."""
    with pytest.raises(ServiceTrouble, match="does not answer"):
        CacheService("http://127.0.0.1:9/", TOKEN, patience=QUICK).fetch("packages", ["a"], tmp_path / "got")


@pytest.mark.parametrize(
    ("changes", "there"),
    [
        ({}, True),
        ({"GITHUB_SERVER_URL": "https://octo.ghe.com"}, True),
        ({"GITHUB_SERVER_URL": "https://github.example.org"}, False),
        ({"ACTIONS_RESULTS_URL": ""}, False),
        ({"ACTIONS_RUNTIME_TOKEN": ""}, False),
        ({"ACTIONS_CACHE_MODE": "none"}, False),
    ],
)
def test_service_is_known_by_what_the_runner_sets(changes: dict[str, str], there: bool) -> None:
    """Version 2 needs no variable of its own, which container actions do not get; Enterprise Server has none."""
    environ = {"ACTIONS_RESULTS_URL": "https://r/", "ACTIONS_RUNTIME_TOKEN": "t"}
    assert (CacheService.of(environ | changes) is not None) == there


def _tar(*members: tarfile.TarInfo, note: str = "{}") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        noted = tarfile.TarInfo(archive.NOTE)
        noted.size = len(note)
        tar.addfile(noted, io.BytesIO(note.encode()))
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return gzip.compress(packed.getvalue())


def _member(
    name: str, kind: bytes = tarfile.DIRTYPE, link: str = "", size: int = 0, mtime: float = 0
) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size, member.mtime = kind, link, size, mtime
    return member


def test_files_come_back_as_they_were(tmp_path: Path) -> None:
    """Content, date, the right to be executed, and the note; links stay behind, a second name is a file."""
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    program = folder / "deep" / "program"
    program.write_text("text")
    program.chmod(0o755)
    os.utime(program, (1e9, 1e9))
    (folder / "link").symlink_to("deep/program")
    (folder / "twin").hardlink_to(program)
    archive.pack(folder, tmp_path / "a", {"seconds": 1.5})
    assert archive.unpack(tmp_path / "a", tmp_path / "back") == {"seconds": 1.5}
    back = tmp_path / "back" / "deep" / "program"
    assert (back.read_text(), back.stat().st_mtime, os.access(back, os.X_OK)) == ("text", 1e9, True)
    assert (tmp_path / "back" / "twin").read_text() == "text"
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == ["deep", "twin"]


def test_only_the_files_that_were_named_are_packed(tmp_path: Path) -> None:
    """The others are not of it."""
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    for name in ("a", "deep/b", "deep/c"):
        (folder / name).touch()
    archive.pack(folder, tmp_path / "x", {}, {"a", "deep/c"})
    archive.unpack(tmp_path / "x", tmp_path / "back")
    found = [path.relative_to(tmp_path / "back").as_posix() for path in (tmp_path / "back").rglob("*")]
    assert sorted(found) == ["a", "deep", "deep/c"]


WHOLE = _tar(_member("content"), _member("content/file", tarfile.REGTYPE, size=2000))
HOSTILE = {
    "empty": b"",
    "no archive": b"<html>",
    "truncated": WHOLE[:-30],
    "damaged": WHOLE[:-8] + bytes(8),
    "foreign": gzip.compress(b"something else"),
    "without content": _tar(),
    "note is no object": _tar(_member("content"), note="[]"),
    "note is no JSON": _tar(_member("content"), note="{"),
    "note without end": _tar(_member("content"), note="[" * 200_000),
    "large note": _tar(_member("content"), note=f'{{"a": "{"x" * (1 << 21)}"}}'),
    "no date": _tar(_member("content"), _member("content/file", tarfile.REGTYPE, mtime=1e30)),
    "behind the end": gzip.compress(gzip.decompress(_tar(_member("content"))) + bytes(1 << 22)),
    "upwards": _tar(_member("content"), _member("../evil", tarfile.REGTYPE)),
    "absolute": _tar(_member("content"), _member("/tmp/../evil", tarfile.REGTYPE)),
    "link out": _tar(_member("content"), _member("content/link", tarfile.SYMTYPE, "/etc/passwd")),
    "link upwards": _tar(_member("content"), _member("content/link", tarfile.SYMTYPE, "../..")),
    "below a file": _tar(
        _member("content/file", tarfile.REGTYPE),
        _member("content/file/evil", tarfile.REGTYPE),
    ),
    "twice": _tar(_member("content/file", tarfile.REGTYPE), _member("content/file", tarfile.REGTYPE)),
    "link inside": _tar(_member("content"), _member("content/link", tarfile.SYMTYPE, "there")),
    "hard link inside": _tar(
        _member("content/file", tarfile.REGTYPE), _member("content/hard", tarfile.LNKTYPE, "content/file")
    ),
    "content is a file": _tar(_member("content", tarfile.REGTYPE)),
    "hard link out": _tar(_member("content"), _member("content/hard", tarfile.LNKTYPE, "../../a")),
    "content is a link": _tar(_member("content", tarfile.SYMTYPE, ".")),
    "device": _tar(_member("content"), _member("content/null", tarfile.CHRTYPE)),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_broken_or_hostile_archives_change_nothing(data: bytes, tmp_path: Path) -> None:
    """What was in place stays, and nothing appears beside it."""
    home = tmp_path / "home"
    folder = home / "folder"
    folder.mkdir(parents=True)
    (folder / "mine").touch()
    (tmp_path / "a").write_bytes(data)
    with pytest.raises((archive.BrokenArchive, OSError)):
        archive.unpack(tmp_path / "a", folder)
    assert [path.name for path in tmp_path.rglob("*") if path.name != "a"] == ["home", "folder", "mine"]


def test_bombs_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit counts what would be written, not what was sent."""
    monkeypatch.setattr(archive, "BYTES_LIMIT", 1000)
    (tmp_path / "a").write_bytes(WHOLE)
    with pytest.raises(archive.BrokenArchive, match="larger"):
        archive.unpack(tmp_path / "a", tmp_path / "folder")
