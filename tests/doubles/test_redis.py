"""The Redis double, in whole pytest processes."""

import pytest
from doubled import Suite


@pytest.fixture
def suite(pytester: pytest.Pytester) -> Suite:
    """A project that uses Redis."""
    return Suite(pytester)


def test_each_test_finds_redis_empty(suite: Suite) -> None:
    """Keys of every database, scripts and functions are gone, by whatever fixture a test reaches them."""
    suite.run(
        """
        import pytest, redis

        @pytest.mark.parametrize("turn", [1, 2])
        def test_client(redis_client, turn):
            assert redis_client.set("lock", "me", nx=True)
            redis_client.select(3)
            assert redis_client.set("lock", "me", nx=True)
            code = "return 1"
            sha = redis_client.register_script(code).sha
            assert redis_client.script_exists(sha) == [False]
            redis_client.script_load(code)

        @pytest.mark.parametrize("turn", [1, 2])
        def test_url(redis_url, turn):
            with redis.Redis.from_url(redis_url) as client:
                assert client.keys() == []
                client.set("a", 1)
        """
    ).assert_outcomes(passed=4)


def test_all_ways_lead_to_the_same_data(suite: Suite) -> None:
    """What one client writes, another thread's, another process's and an asynchronous one read."""
    suite.run(
        """
        import asyncio, subprocess, sys
        import redis
        from redis.asyncio import Redis

        def test_same(redis_client, async_redis_client, redis_url):
            redis_client.set("a", "1")

            async def both():
                assert await async_redis_client.get("a") == b"1"
                assert await async_redis_client.incr("a") == 2
                async with Redis.from_url(redis_url) as client:
                    assert await client.incr("a") == 3

            asyncio.run(both())
            script = "import sys, redis; print(redis.Redis.from_url(sys.argv[1]).incr('a'))"
            child = subprocess.run([sys.executable, "-c", script, redis_url], capture_output=True, text=True)
            assert child.stdout == "4\\n", child.stderr
            assert redis_client.get("a") == b"4"
        """
    ).assert_outcomes(passed=1)


def test_what_applications_use_works(suite: Suite) -> None:
    """Pipelines, optimistic locking, locks, streams, publish and subscribe, blocking reads."""
    suite.run(
        """
        import threading
        import pytest, redis

        def test_features(redis_client):
            with redis_client.pipeline() as pipe:
                pipe.watch("n")
                redis_client.set("n", 1)
                pipe.multi()
                pipe.set("n", 2)
                with pytest.raises(redis.WatchError):
                    pipe.execute()
            with redis_client.lock("l", timeout=5):
                assert not redis_client.lock("l", blocking=False).acquire()
            redis_client.xgroup_create("s", "g", mkstream=True)
            redis_client.xadd("s", {"k": "v"})
            assert redis_client.xreadgroup("g", "c", {"s": ">"})
            subscriber = redis_client.pubsub(ignore_subscribe_messages=True)
            subscriber.subscribe("news")
            subscriber.get_message(timeout=1)
            redis_client.publish("news", "hi")
            assert subscriber.get_message(timeout=1)["data"] == b"hi"
            subscriber.close()
            thread = threading.Thread(target=redis_client.rpush, args=("q", "x"))
            thread.start()
            assert list(redis_client.blpop(["q"], timeout=5)) == [b"q", b"x"]
            thread.join()
        """
    ).assert_outcomes(passed=1)


def test_asynchronous_client_under_anyio(suite: Suite) -> None:
    """The fixture needs no plugin of its own and leaves no loop's garbage behind, test after test."""
    suite.run(
        """
        import gc
        import pytest

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        @pytest.mark.parametrize("turn", [1, 2])
        async def test_turn(async_redis_client, turn):
            assert await async_redis_client.set("k", turn, nx=True)
            async with async_redis_client.pipeline() as pipe:
                assert await pipe.incr("n").get("n").execute() == [1, b"1"]

        def test_nothing_unclosed():
            gc.collect()
        """
    ).assert_outcomes(passed=3)


def test_workers_do_not_meet(suite: Suite) -> None:
    """Under xdist each worker has its own data."""
    suite.run(
        """
        import pytest

        @pytest.mark.parametrize("turn", range(20))
        def test_set(redis_client, turn):
            assert redis_client.incr("n") == 1
        """,
        "-n",
        "2",
    ).assert_outcomes(passed=20)


@pytest.mark.parametrize("library", ["fakeredis", "lupa"])
def test_missing_library_names_the_extra(suite: Suite, library: str) -> None:
    """One clear failure with the remedy and no trace of ours; other tests run."""
    result = suite.run_without((library,), "def test_redis(redis_url): pass\ndef test_plain(): pass\n")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*needs a library*", f"*why: *{library}*", "*pip install 'realdb-ci?redis?'*"])
    result.stdout.no_fnmatch_line("*doubles/redis.py*")


def test_users_fixture_of_the_same_name_wins(suite: Suite) -> None:
    """A project that has its own client keeps it."""
    suite.pytester.makeconftest("import pytest\n@pytest.fixture\ndef redis_client(): return 'mine'\n")
    suite.run("def test_it(redis_client): assert redis_client == 'mine'").assert_outcomes(passed=1)


def test_unused_double_imports_nothing(suite: Suite) -> None:
    """A project that does not use Redis does not pay for it."""
    suite.run(
        """
        import sys

        def test_modules():
            assert not {"redis", "fakeredis"} & set(sys.modules)
        """
    ).assert_outcomes(passed=1)
