"""The artifact client against a service over HTTP, and zip files that are not what they should be."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from artifact_service import SIGNATURE, token
from cache_service import TOKEN, Store, serving

from realdb_ci.prepare.artifacts import MEMBER, MOST_DAYS, ArtifactService, pack, unpack
from realdb_ci.prepare.results_service import Patience, ServiceTrouble, Taken

QUICK = Patience(connect=1.0, transfer=1.0, pauses=(0.01, 0.01))
LIMIT = 1000


@pytest.fixture
def store() -> Store:
    """What the service holds."""
    return Store()


@pytest.fixture
def service(store: Store) -> Iterator[ArtifactService]:
    """A client of it."""
    with serving(store) as url:
        yield ArtifactService(url, TOKEN, QUICK)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Something to leave."""
    path = tmp_path / "left.zip"
    path.write_bytes(pack(b"some history"))
    return path


def test_file_arrives_under_its_name_in_three_requests(service: ArtifactService, store: Store, file: Path) -> None:
    """In the run that the token names, and without the token where the file goes."""
    service.save("a-name", file)
    assert store.artifacts.kept == {("1", "a-name"): file.read_bytes()}
    assert store.asked == ["CreateArtifact", "FinalizeArtifact"]
    [headers] = store.headers
    assert "authorization" not in headers


def test_name_is_taken_in_its_run_only(service: ArtifactService, store: Store, file: Path) -> None:
    """Another run has names of its own."""
    service.save("a-name", file)
    with pytest.raises(Taken):
        service.save("a-name", file)
    replace(service, token=token("2")).save("a-name", file)
    assert list(store.artifacts.kept) == [("1", "a-name"), ("2", "a-name")]


@pytest.mark.parametrize(("days", "expected"), [(0, None), (5, 5), (90, MOST_DAYS)])
def test_artifact_expires_when_the_repository_says_or_earlier(
    service: ArtifactService, store: Store, file: Path, days: int, expected: int | None
) -> None:
    """Where nothing is said, the server decides."""
    replace(service, days=days).save("a-name", file)
    [told] = store.artifacts.expires.values()
    if expected is None:
        assert told == ""
    else:
        wanted = datetime.now(UTC) + timedelta(days=expected)
        assert wanted - timedelta(minutes=10) < datetime.fromisoformat(told) <= wanted


@pytest.mark.parametrize("behaviour", ["limited", "failing", "babbling", "lossy"])
def test_trouble_with_artifacts_is_one_kind_of_error(
    behaviour: str, service: ArtifactService, store: Store, file: Path
) -> None:
    """Nothing is left then, and no secret told."""
    store.behaviour = behaviour
    with pytest.raises(ServiceTrouble) as caught:
        service.save("a-name", file)
    assert store.artifacts.kept == {}
    assert "secret" not in str(caught.value)
    assert SIGNATURE not in str(caught.value) + repr(service)


TOKENS = {
    "no token": "opaque",
    "no JSON": "a.b.c",
    "no scope": token(scopes="Actions.Other:{run}:{job}"),
    "half a scope": token(scopes="Actions.Results:{run}"),
    "two scopes": token(scopes="Actions.Results:{run}:{job} Actions.Results:{run}:{job}"),
}


@pytest.mark.parametrize("given", TOKENS.values(), ids=TOKENS)
def test_token_that_names_no_run_is_trouble(given: str, service: ArtifactService, store: Store, file: Path) -> None:
    """Nothing is asked then."""
    with pytest.raises(ServiceTrouble, match="does not name its run"):
        replace(service, token=given).save("a-name", file)
    assert store.asked == []


@pytest.mark.parametrize(
    ("changes", "there"),
    [
        ({}, True),
        ({"GITHUB_SERVER_URL": "https://octo.ghe.com"}, True),
        ({"GITHUB_SERVER_URL": "https://github.example.org"}, False),
        ({"ACTIONS_RESULTS_URL": ""}, False),
        ({"ACTIONS_RUNTIME_TOKEN": ""}, False),
        ({"ACTIONS_CACHE_MODE": "none"}, True),
    ],
)
def test_artifacts_need_no_cache_but_a_server_that_has_them(changes: dict[str, str], there: bool) -> None:
    """Enterprise Server has none of this version."""
    environ = {"ACTIONS_RESULTS_URL": "https://r/", "ACTIONS_RUNTIME_TOKEN": "t", "GITHUB_RETENTION_DAYS": "7"}
    found = ArtifactService.of(environ | changes)
    assert (found.days if found else 0) == (7 if there else 0)


def _zip(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


def _changed(packed: bytes, offset: int, byte: int) -> bytes:
    """The same with another byte, in the local and in the central header."""
    changed = bytearray(packed)
    for signature, more in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):
        changed[packed.index(signature) + offset + more] = byte
    return bytes(changed)


WHOLE = _zip((MEMBER, b"x" * LIMIT))
HOSTILE = {
    "empty": b"",
    "no zip": b"<html>",
    "truncated": WHOLE[:-30],
    "damaged": WHOLE.replace(WHOLE[45:50], b"\xff" * 5, 1),
    "no member": _zip(),
    "another member": _zip(("../evil", b"x")),
    "one more member": _zip((MEMBER, b"x"), ("more", b"x")),
    "twice": _zip((MEMBER, b"x"), ("y" * len(MEMBER), b"x")).replace(b"y" * len(MEMBER), MEMBER.encode()),
    "bomb": _zip((MEMBER, bytes(50 << 20))),
    "just too large": _zip((MEMBER, b"x" * (LIMIT + 1))),
    "encrypted": _changed(WHOLE, 6, 1),
    "packed in an unknown way": _changed(WHOLE, 8, 99),
    "wrong sum": _changed(WHOLE, 14, 0),
}


@pytest.mark.parametrize("packed", HOSTILE.values(), ids=HOSTILE)
def test_hostile_or_broken_zip_file_is_one_kind_of_error(packed: bytes) -> None:
    """And never takes more memory than is allowed."""
    with pytest.raises(ValueError, match="the artifact "):
        unpack(packed, LIMIT)


def test_whole_zip_file_comes_back() -> None:
    """Up to the limit, by whomever it was packed."""
    assert unpack(pack(b"some history"), LIMIT) == b"some history"
    assert unpack(WHOLE, LIMIT) == b"x" * LIMIT
