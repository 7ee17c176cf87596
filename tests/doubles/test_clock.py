"""The frozen clock, in whole pytest processes and around real servers."""

import json
from pathlib import Path

import pytest
from doubled import Suite

EMBEDDED = "--realdb-engine=embedded"


@pytest.fixture
def suite(pytester: pytest.Pytester) -> Suite:
    """A project whose code asks for the time."""
    return Suite(pytester)


def test_clock_stands_and_is_moved(suite: Suite) -> None:
    """Marker, ``move_to`` and ``tick`` decide; afterwards the real time is back."""
    suite.run(
        """
        import datetime, time
        import pytest
        from datetime import date, datetime as Moment

        @pytest.mark.realdb_time("2026-06-01 12:00")
        def test_marked(frozen_time):
            assert Moment.now() == datetime.datetime.utcnow() == Moment(2026, 6, 1, 12)
            assert time.time() == Moment(2026, 6, 1, 12, tzinfo=datetime.timezone.utc).timestamp()
            frozen_time.tick(90)
            assert Moment.now() == frozen_time() == Moment(2026, 6, 1, 12, 1, 30)
            frozen_time.move_to("2001-01-01")
            assert date.today() == date(2001, 1, 1)

        @pytest.mark.realdb_time("2026-06-01 12:00", tz_offset=2)
        def test_marker_alone():
            assert Moment.now() == Moment(2026, 6, 1, 14)

        def test_fixture_alone(frozen_time):
            first = time.time()
            assert time.time() == first > 1_700_000_000
            assert time.monotonic() == time.monotonic()

        def test_unfrozen():
            assert time.time_ns() < time.time_ns() + 1
            assert type(Moment.now()) is Moment and "freezegun" not in str(type(time.time))
            assert Moment.now().year != 2001
        """,
        "-W",
        "ignore:datetime.datetime.utcnow",
    ).assert_outcomes(passed=4)


def test_fixtures_of_a_marked_test_see_the_frozen_clock(suite: Suite) -> None:
    """The clock stands before the project's own fixtures of that test run."""
    suite.run(
        """
        import datetime
        import pytest

        @pytest.fixture
        def order():
            return {"created": datetime.date.today()}

        @pytest.mark.realdb_time("2026-06-01")
        def test_order(order):
            assert order["created"] == datetime.date(2026, 6, 1)
        """
    ).assert_outcomes(passed=1)


def test_durations_stay_real(suite: Suite) -> None:
    """Neither pytest nor our own events take a jump of the clock for time that passed."""
    result = suite.run(
        """
        import threading

        def test_jump(frozen_time):
            threading.Event().wait(0.05)
            frozen_time.move_to("2001-01-01")
            assert not threading.Event().wait(0.05)
            frozen_time.move_to("2040-01-01")
        """,
        "--realdb-events=events.jsonl",
        "--durations=0",
        "-vv",
    )
    result.assert_outcomes(passed=1)
    events = [json.loads(line) for line in Path(suite.pytester.path, "events.jsonl").read_text().splitlines()]
    (call,) = (event for event in events if event["event"] == "phase" and event["when"] == "call")
    assert 0.1 <= call["duration"] < 30
    assert 0.1 <= call["stop"] - call["start"] < 30
    moments = [event["at"] for event in events]
    assert moments == sorted(moments)
    assert moments[-1] - moments[0] < 60
    (line,) = (line for line in result.outlines if line.endswith("call     test_it.py::test_jump"))
    assert 0.1 <= float(line.split("s ")[0]) < 30


def test_waiting_ends(suite: Suite) -> None:
    """Time-outs of asyncio, queues, child processes and futures expire although the clock stands."""
    suite.run(
        """
        import asyncio, queue, subprocess, sys
        from concurrent.futures import Future, as_completed
        import pytest

        @pytest.mark.realdb_time("2026-06-01")
        def test_waits():
            asyncio.run(asyncio.sleep(0.02))
            with pytest.raises(TimeoutError):
                asyncio.run(asyncio.wait_for(asyncio.sleep(60), 0.02))
            with pytest.raises(queue.Empty):
                queue.Queue().get(timeout=0.02)
            with pytest.raises(TimeoutError):
                next(as_completed([Future()], timeout=0.02))
            child = [sys.executable, "-c", "import time; time.sleep(60)"]
            with pytest.raises(subprocess.TimeoutExpired):
                subprocess.run(child, timeout=0.1, capture_output=True)
        """
    ).assert_outcomes(passed=1)


def test_callbacks_see_the_frozen_clock(suite: Suite) -> None:
    """Code of the test that a module with the real clock calls back is frozen like the rest."""
    suite.run(
        """
        import time
        from concurrent.futures import ThreadPoolExecutor
        import pytest

        @pytest.mark.realdb_time("2001-01-01")
        def test_callback():
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(lambda: time.time()).result(10) == 978307200
        """
    ).assert_outcomes(passed=1)


def test_other_freezes_inside_keep_the_rules(suite: Suite) -> None:
    """A ``freeze_time`` of the project inside the frozen test leaves the drivers alone too."""
    suite.run(
        """
        import queue, time
        import pytest
        from freezegun import freeze_time

        def test_nested(frozen_time):
            with freeze_time("2001-01-01"), pytest.raises(queue.Empty):
                assert time.time() == 978307200
                queue.Queue().get(timeout=0.02)
        """
    ).assert_outcomes(passed=1)


def test_postgres_works_in_frozen_time(suite: Suite) -> None:
    """Rows carry the frozen moment, read back as it was; the pool's own time-out still expires."""
    suite.run(
        """
        import datetime as dt
        import pytest, sqlalchemy
        from sqlmodel import Field, SQLModel, select

        class Order(SQLModel, table=True):
            id: int | None = Field(default=None, primary_key=True)
            created: dt.datetime = Field(default_factory=lambda: dt.datetime.now(dt.timezone.utc))
            day: dt.date = Field(default_factory=lambda: dt.date.today())

        NOON = dt.datetime(2001, 1, 1, 12, tzinfo=dt.timezone.utc)

        @pytest.mark.realdb_time("2001-01-01 12:00")
        def test_order(db_session, frozen_time):
            db_session.add(Order())
            db_session.commit()
            frozen_time.tick(60)
            db_session.add(Order())
            db_session.commit()
            db_session.expire_all()
            first, second = db_session.exec(select(Order).order_by(Order.created)).all()
            assert (first.created, first.day) == (NOON, NOON.date())
            assert second.created - first.created == dt.timedelta(minutes=1)
            last_second = dt.datetime.now(dt.timezone.utc) - dt.timedelta(seconds=1)
            assert db_session.exec(select(Order).where(Order.created > last_second)).all() == [second]

        def test_pool(postgres_engine, frozen_time):
            engine = sqlalchemy.create_engine(postgres_engine.url, pool_size=1, max_overflow=0, pool_timeout=0.05)
            with engine.connect(), pytest.raises(sqlalchemy.exc.TimeoutError):
                engine.connect()
            engine.dispose()
        """,
        EMBEDDED,
    ).assert_outcomes(passed=2)


def test_every_postgres_driver_takes_a_frozen_moment(suite: Suite) -> None:
    """A driver that is first imported while the clock stands adapts and returns plain moments."""
    suite.run(
        """
        import asyncio, datetime
        import pytest

        @pytest.mark.realdb_time("2001-01-01 12:00")
        @pytest.mark.parametrize("name", ["psycopg", "psycopg2"])
        def test_synchronous(postgres_url, name):
            driver = __import__(name)
            connection = driver.connect(postgres_url)
            cursor = connection.cursor()
            now = datetime.datetime.now()
            cursor.execute("SELECT %s::timestamp, %s::date", (now, datetime.date.today()))
            assert cursor.fetchone() == (now, datetime.date(2001, 1, 1))
            cursor.close()
            connection.close()

        @pytest.mark.realdb_time("2001-01-01 12:00")
        def test_asyncpg(postgres_url):
            import asyncpg

            async def ask():
                connection = await asyncpg.connect(postgres_url)
                now = datetime.datetime.now()
                found = await connection.fetchrow("SELECT $1::timestamp, $2::date", now, datetime.date.today())
                assert tuple(found) == (now, datetime.date(2001, 1, 1))
                with pytest.raises(TimeoutError):
                    await connection.execute("SELECT pg_sleep(60)", timeout=0.1)
                await connection.close()

            asyncio.run(ask())
        """,
        EMBEDDED,
    ).assert_outcomes(passed=3)


def test_mongodb_works_in_frozen_time(suite: Suite) -> None:
    """Documents carry the frozen moment; a server that does not answer is given up; callbacks are frozen."""
    suite.run(
        """
        import datetime
        import pymongo, pytest

        pytestmark = pytest.mark.realdb_time("2001-01-01 12:00")
        NOON = datetime.datetime(2001, 1, 1, 12)

        def test_document(mongo_db, mongo_client):
            mongo_db.orders.insert_one({"created": datetime.datetime.now()})
            found = mongo_db.orders.find_one()
            assert found["created"] == NOON
            assert found["_id"].generation_time.replace(tzinfo=None) == NOON
            with mongo_client.start_session() as session:
                moment = session.with_transaction(lambda session: datetime.datetime.now())
            assert moment == NOON

        def test_selection():
            with pymongo.MongoClient("mongodb://127.0.0.1:9", serverSelectionTimeoutMS=100) as client:
                with pytest.raises(pymongo.errors.ServerSelectionTimeoutError):
                    client.admin.command("ping")
        """,
        EMBEDDED,
    ).assert_outcomes(passed=2)


def test_servers_may_boot_in_frozen_time(suite: Suite) -> None:
    """A server that the first frozen test boots is awaited with the real clock and its seconds are true."""
    result = suite.run(
        """
        import pytest

        @pytest.mark.realdb_time("2001-01-01")
        def test_boot(request):
            assert 0 < request.getfixturevalue("postgres_server").seconds < 60
        """,
        EMBEDDED,
    )
    result.assert_outcomes(passed=1)


def test_doubles_follow_the_frozen_clock(suite: Suite) -> None:
    """Keys of the Redis double expire when the clock is moved, its blocking reads still end, S3 stays reachable."""
    suite.run(
        """
        import threading
        import pytest

        @pytest.mark.realdb_time("2001-01-01")
        def test_expiry(redis_client, frozen_time):
            redis_client.set("k", 1, ex=60)
            frozen_time.tick(59)
            assert redis_client.get("k") == b"1"
            frozen_time.tick(2)
            assert redis_client.get("k") is None
            assert redis_client.blpop(["q"], timeout=0.1) is None
            assert redis_client.lock("l", timeout=9).acquire()
            assert not redis_client.lock("l", blocking_timeout=0.2).acquire()

        @pytest.mark.realdb_time("2001-01-01")
        def test_s3(s3_client, s3_bucket):
            s3_client.put_object(Bucket=s3_bucket, Key="k", Body=b"")
            assert s3_client.head_object(Bucket=s3_bucket, Key="k")["LastModified"].year == 2001
            url = s3_client.generate_presigned_url("get_object", {"Bucket": s3_bucket, "Key": "k"}, ExpiresIn=60)
            assert url.endswith("Expires=978307260")
        """,
    ).assert_outcomes(passed=2)


@pytest.mark.parametrize("arguments", ['"not a time"', "2001, colour=1", '"2001-01-01", "noon"', "[1]"])
def test_unreadable_moment_names_the_marker(suite: Suite, arguments: str) -> None:
    """The test fails with the moment, the cause and the remedy, and no trace of ours."""
    result = suite.run(f"import pytest\n@pytest.mark.realdb_time({arguments})\ndef test_it(): pass\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*The marker realdb_time cannot*", "*why: *", "*fix: Write a moment*"])
    result.stdout.no_fnmatch_line("*doubles/clock.py*")


def test_marker_is_known(suite: Suite) -> None:
    """``--strict-markers`` accepts it and ``--markers`` explains it."""
    result = suite.run("", "--markers", "--strict-markers")
    result.stdout.fnmatch_lines(["@pytest.mark.realdb_time(moment*"])


def test_unused_double_imports_nothing(suite: Suite) -> None:
    """A project that does not freeze the clock does not pay for freezegun."""
    suite.run("import sys\ndef test_modules(): assert 'freezegun' not in sys.modules").assert_outcomes(passed=1)
