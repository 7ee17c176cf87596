"""The real Redis behind the fixtures' names, in whole pytest processes."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from doubled import ARGUMENTS, SECONDS

from realdb_ci.engines import embedded
from realdb_ci.engines.contract import Run, Running
from realdb_ci.errors import EnvironmentProblem, ServerError
from realdb_ci.services.contract import Wish
from realdb_ci.services.redis import SERVICE, database

WISH = Wish("redis", "redis:7")
needs_server = pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server on PATH")
ENGINES = [pytest.param("embedded", marks=needs_server), pytest.param("docker", marks=pytest.mark.docker)]


@pytest.fixture
def real(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project whose fixtures are those of the service."""
    pytester.makepyprojecttoml('[tool.realdb-ci]\nredis = "real"\n')
    return pytester


def _run(project: pytest.Pytester, test: str, *arguments: str) -> pytest.RunResult:
    project.makepyfile(test_it=test)
    return project.runpytest_subprocess(*ARGUMENTS, *arguments, timeout=SECONDS)


@pytest.fixture
def running() -> Iterator[Running]:
    """A Redis of this machine."""
    run = Run()
    running = embedded.start(SERVICE, WISH, run)
    yield running
    running.stop()
    run.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_each_test_finds_its_database_empty(real: pytest.Pytester, engine: str) -> None:
    """On a real server, said in the header, by every fixture and for every client."""
    result = _run(
        real,
        """
        import asyncio, gc
        import pytest, redis

        @pytest.mark.parametrize("turn", [1, 2])
        def test_client(redis_client, turn):
            assert redis_client.set("k", turn, nx=True)
            assert redis_client.object("encoding", "k") == b"int"
            with redis_client.lock("l", timeout=5):
                assert redis_client.dbsize() == 2

        @pytest.mark.parametrize("turn", [1, 2])
        def test_url(redis_url, turn):
            with redis.Redis.from_url(redis_url) as client:
                assert client.set("k", turn, nx=True)

        @pytest.mark.parametrize("turn", [1, 2])
        def test_async(async_redis_client, turn):
            async def use():
                assert await async_redis_client.set("k", turn, nx=True)
                async with async_redis_client.pipeline() as pipe:
                    assert await pipe.incr("n").get("n").execute() == [1, b"1"]

            asyncio.run(use())
            asyncio.run(use_again(async_redis_client))

        async def use_again(client):
            assert await client.delete("k") == 1

        def test_nothing_unclosed():
            gc.collect()
        """,
        f"--realdb-engine={engine}",
    )
    result.assert_outcomes(passed=7)
    result.stdout.re_match_lines_random([rf"redis: {engine}, Redis \d+\.\d+\.\d+, .*ready in \d+\.\d s"])


@pytest.mark.parametrize("engine", ENGINES)
def test_workers_share_a_server_and_have_a_database_each(real: pytest.Pytester, engine: str) -> None:
    """Under xdist no worker sees another's keys, a replaced worker included."""
    result = _run(
        real,
        """
        import os, pytest

        @pytest.mark.parametrize("turn", range(40))
        def test_set(redis_client, turn):
            if turn == 11:
                os._exit(1)
            assert redis_client.incr("n") == 1
            assert redis_client.keys() == [b"n"]
        """,
        f"--realdb-engine={engine}",
        *("-n", "2"),
    )
    result.assert_outcomes(passed=39, failed=1)
    assert result.stdout.str().count(f"redis: {engine}") == 1


@needs_server
def test_given_server_keeps_its_keys(real: pytest.Pytester, running: Running) -> None:
    """A database that holds keys is refused, nothing in it is deleted, and an empty one is left empty."""
    url = running.server.url
    test = "def test_set(redis_client): assert redis_client.set('n', 1)"
    with redis.Redis.from_url(url) as client:
        client.set("precious", 1)
        refused = _run(real, test, f"--realdb-service=redis={url}")
        refused.assert_outcomes(errors=1)
        refused.stdout.fnmatch_lines(["*The Redis database at redis:*127.0.0.1:*/0 is not empty*", "*fix: *"])
        assert client.keys() == [b"precious"]
        fifth = database.numbered(url, 5)
        _run(real, test, f"--realdb-service=redis={fifth}").assert_outcomes(passed=1)
        assert set(client.info("keyspace")) == {"db0"}


@needs_server
def test_own_redis_url_is_never_emptied(real: pytest.Pytester, running: Running) -> None:
    """A project's own ``redis_url`` serves our client, and its keys stay."""
    url = running.server.url
    real.makeconftest(f"import pytest\n@pytest.fixture(scope='session')\ndef redis_url(): return {url!r}\n")
    with redis.Redis.from_url(url) as client:
        client.set("precious", 1)
        result = _run(real, "def test_get(redis_client): assert redis_client.get('precious') == b'1'")
        result.assert_outcomes(passed=1)
        result.stdout.no_fnmatch_line("redis: *")
        assert client.get("precious") == b"1"


@needs_server
def test_embedded_server_writes_nothing_and_asks_for_its_password(running: Running) -> None:
    """The settings are read back from the live server; without the password nothing works."""
    assert running.server.settings == {"save": "", "appendonly": "no", "databases": "1024"}
    url = running.server.url
    with (
        redis.Redis.from_url(f"redis://{url.partition('@')[2]}") as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


@needs_server
@pytest.mark.parametrize("change", [("redis://:", "redis://:wrong"), ("/0", "/4096")])
def test_wrong_password_and_wrong_database_are_final(running: Running, change: tuple[str, str]) -> None:
    """Waiting would not help, so the handshake says so at once, without the password."""
    with pytest.raises(ServerError, match="refuses us") as caught:
        SERVICE.handshake(running.server.url.replace(*change), 2)
    assert ":***@" in caught.value.what


def test_nobody_there_may_be_asked_again() -> None:
    """A port that refuses is no final answer."""
    with pytest.raises(ConnectionError, match="refused"):
        SERVICE.handshake("redis://127.0.0.1:9/0", 1)


def test_broken_program_is_named_with_its_complaint_and_not_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken ``redis-server`` on PATH says why it does not run; the next one would serve."""
    for name, text in (("broken", "echo no libjemalloc >&2; exit 1"), ("whole", "echo Redis server v=7.2.4 sha=0")):
        (tmp_path / name).mkdir()
        program = tmp_path / name / "redis-server"
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    path = f"{tmp_path / 'broken'}::{tmp_path / 'whole'}:{tmp_path}"
    broken, whole = SERVICE.installations(path)
    assert (broken.binary.parent.name, broken.version, broken.complaint) == ("broken", "", "no libjemalloc")
    assert (whole.binary.parent.name, whole.version, whole.major) == ("whole", "7.2.4", 7)
    monkeypatch.setenv("PATH", path)
    assert str(whole.binary) in embedded.offer(SERVICE, WISH).detail


def test_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(EnvironmentProblem) as caught:
        SERVICE.require_driver()
    assert caught.value.remedy == "pip install 'realdb-ci[redis]'"
