"""Isolation of MongoDB: an empty database for each test and each test process, dropped behind the test's back."""

import re
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pymongo
import pytest
from mongo_servers import mongodb

from realdb_ci.errors import IsolationWarning
from realdb_ci.services.contract import Server
from realdb_ci.services.mongodb.databases import NAMES_SHOWN, Databases
from realdb_ci.services.mongodb.recipe import MongoDB

ARGUMENTS = ("-p", "realdb_ci", "-p", "no:cacheprovider", "-W", "error", "--strict-markers")
ENGINES = ["embedded", pytest.param("docker", marks=pytest.mark.docker)]
ANYIO = ("-p", "anyio")
PARALLEL = ("-p", "xdist", "-n", "2")
STRICT = ("-p", "asyncio", "-o", "asyncio_mode=strict", "-o", "asyncio_default_fixture_loop_scope=function")
AUTO = ("-p", "asyncio", "-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
Client = pymongo.MongoClient[dict[str, Any]]
Run = Callable[..., pytest.RunResult]


@pytest.fixture(scope="session", params=ENGINES)
def server(request: pytest.FixtureRequest, mirror: str) -> Iterator[Server]:
    """A server of each engine."""
    with mongodb(request.param, mirror) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    """Its administrator."""
    client: Client
    with pymongo.MongoClient(server.url) as client:
        yield client


@pytest.fixture
def run(pytester: pytest.Pytester, server: Server, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a test module in a pytest process that is given the server, as one that outlives it.

    Of plugins it has ours, and those that are named.
    """
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def _run(test: str, *arguments: str, url: str = server.url) -> pytest.RunResult:
        pytester.makepyfile(test_it=test)
        return pytester.runpytest_subprocess(*ARGUMENTS, f"--realdb-service=mongodb={url}", *arguments)

    return _run


def _ours(client: Client) -> list[str]:
    """The databases that runs of ours left."""
    return [name for name in client.list_database_names() if name.startswith("realdb")]


def test_server_of_ours_is_tuned_for_tests(server: Server, client: Client) -> None:
    """What was read back from it is told, and is what it has."""
    parameters = {
        "minSnapshotHistoryWindowInSeconds": 10,
        "syncdelay": 5.0,
        "scramSHA256IterationCount": 5000,
    }
    found = client.admin.command({"getParameter": 1, **dict.fromkeys(parameters, 1)})
    assert {name: found[name] for name in parameters} == parameters
    assert client.admin.command("replSetGetConfig")["config"]["writeConcernMajorityJournalDefault"] is False
    told = {"replica_set": "realdb", "writeConcernMajorityJournalDefault": "false"}
    assert server.settings == told | {name: str(value) for name, value in parameters.items()}


def test_server_of_ours_may_open_as_many_files_as_there_can_be() -> None:
    """The low limit of a shell would end it in the middle of a suite."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    client: Client
    try:
        with mongodb("embedded", "") as server, pymongo.MongoClient(server.url) as client:
            process = psutil.Process(client.admin.command("serverStatus")["pid"])
            assert process.rlimit(psutil.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_server_of_ours_lets_go_of_what_was_dropped() -> None:
    """Its files are gone within seconds, so that no suite is too long for it."""
    client: Client
    with mongodb("embedded", "") as server, pymongo.MongoClient(server.url) as client:
        data = Path(client.admin.command("getCmdLineOpts")["parsed"]["storage"]["dbPath"])
        before = len(list(data.glob("*.wt")))
        for number in range(40):
            client[f"gone_{number}"].part.insert_one({})
            client.drop_database(f"gone_{number}")
        deadline = time.monotonic() + 55  # before the checkpoint there would be by default
        while len(list(data.glob("*.wt"))) > before + 10:
            assert time.monotonic() < deadline, "the files are still there"
            client.kept.part.insert_one({})  # history ends some time before the last write
            time.sleep(0.2)


def test_every_test_has_an_empty_database_and_nothing_is_left(run: Run, client: Client) -> None:
    """Whatever the test before did to its database, and whatever becomes of the test."""
    result = run(
        """
        import pytest
        names = set()

        @pytest.mark.parametrize("turn", range(4))
        def test_it(mongo_db, turn):
            assert mongo_db.list_collection_names() == []
            assert mongo_db.name not in names
            names.add(mongo_db.name)
            mongo_db.users.create_index("email", unique=True)
            mongo_db.users.insert_one({"email": "ann@example.org"})
            mongo_db.create_collection("adults", viewOn="users", pipeline=[])
            assert turn != 3
        """
    )
    result.assert_outcomes(passed=3, failed=1)
    assert _ours(client) == []


def test_parallel_workers_do_not_meet(run: Run, client: Client) -> None:
    """Under xdist each worker has databases of its own, and leaves none."""
    result = run(
        """
        import pytest

        @pytest.mark.parametrize("turn", range(10))
        def test_it(mongo_db, worker_id, turn):
            assert mongo_db.list_collection_names() == []
            assert f"_{worker_id}_" in mongo_db.name
            mongo_db.chats.insert_many([{"_id": number} for number in range(20)])
            assert mongo_db.chats.count_documents({}) == 20
        """,
        *PARALLEL,
    )
    result.assert_outcomes(passed=10)
    assert _ours(client) == []


def test_test_does_not_wait_for_the_drop_before_it(server: Server, client: Client) -> None:
    """A drop that takes long is behind the next test, and at the end all are done."""
    databases = Databases(client, "realdb_slow{}".format, owned=False)
    first, second = databases.take(), databases.take()
    first.chats.insert_one({"_id": 1})
    second.chats.insert_one({"_id": 2})
    with client.start_session() as session:
        session.start_transaction()
        first.chats.insert_one({"_id": 2}, session=session)
        databases.give_back(first)  # waits for the transaction
        databases.give_back(second)
        third = databases.take()
        assert third.chats.find_one() is None
        assert first.name in client.list_database_names()
        session.abort_transaction()
    databases.give_back(third)
    databases.close()
    assert _ours(client) == []


def test_transaction_that_a_test_leaves_open_is_told_and_holds_nothing_up(server: Server, client: Client) -> None:
    """A server of ours goes with all in it; the warning names the test."""
    databases = Databases(client, "realdb_open{}".format, owned=True)
    first, second = databases.take(), databases.take()
    first.chats.insert_one({"_id": 1})
    with client.start_session() as session:
        session.start_transaction()
        first.chats.insert_one({"_id": 2}, session=session)
        databases.give_back(first, "test_leaves")
        databases.give_back(second, "test_behind_it")
        with pytest.warns(IsolationWarning, match=r"did not drop realdb_open_1 \(test_leaves\): .*time limit$"):
            databases.close()
    MongoDB().sweep(server.url, "realdb_open")
    assert _ours(client) == []


def test_client_that_a_test_closes_is_open_for_the_next(run: Run) -> None:
    """An application that shuts down closes the client it was given."""
    run(
        """
        import pytest

        @pytest.mark.parametrize("turn", [1, 2])
        def test_it(mongo_db, mongo_client, turn):
            mongo_db.chats.insert_one({})
            mongo_db.client.close()
            mongo_client.close()
        """
    ).assert_outcomes(passed=2)


def test_drop_that_fails_is_told_once_with_its_name(server: Server, client: Client) -> None:
    """Nothing is lost silently, and however many fail, the warning stays short."""
    client.admin.command("createUser", "writer", pwd="secret", roles=["readWriteAnyDatabase"])
    url = server.url.replace(server.url.split("//")[1].split("@")[0], "writer:secret")
    writer: Client
    with pymongo.MongoClient(url) as writer:
        databases = Databases(writer, "realdb_kept{}".format, owned=False)
        for _ in range(NAMES_SHOWN + 2):
            database = databases.take()
            database.chats.insert_one({})
            databases.give_back(database)
        with pytest.warns(IsolationWarning, match=r"realdb_kept_1, .*_5 and 2 more: not authorized") as caught:
            databases.close()
    assert len(caught) == 1
    client.admin.command("dropUser", "writer")
    MongoDB().sweep(server.url, "realdb_kept")
    assert _ours(client) == []


def test_user_who_may_not_drop_is_warned_at_the_end_of_the_run(run: Run, server: Server, client: Client) -> None:
    """The tests pass, the last one's teardown carries the warning, and the run ends in order."""
    client.admin.command("createUser", "writer", pwd="secret", roles=["readWriteAnyDatabase"])
    url = server.url.replace(server.url.split("//")[1].split("@")[0], "writer:secret")
    result = run(
        """
        def test_it(mongo_db):
            mongo_db.chats.insert_one({})
        """,
        "-W",
        "default",
        url=url,
    )
    client.admin.command("dropUser", "writer")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*IsolationWarning: MongoDB did not drop realdb_*_1 (test_it): not authorized*"])
    result.stderr.no_fnmatch_line("*Traceback*")
    MongoDB().sweep(server.url, "realdb_")


def test_fixtures_of_the_project_come_first(run: Run, client: Client) -> None:
    """A client of the project's own is used for the databases, and one of its databases in the place of ours."""
    result = run(
        """
        import pymongo, pytest
        from realdb_ci.services.active import active
        from realdb_ci.factories import MongoFactory

        class ChatFactory(MongoFactory):
            class Meta:
                collection = "chats"

        @pytest.fixture(scope="session")
        def mongo_client(mongo_url):
            with pymongo.MongoClient(mongo_url, tz_aware=True) as client:
                yield client

        def test_client(mongo_db, mongo_client):
            assert mongo_db.client is mongo_client
            assert mongo_db.codec_options.tz_aware

        class TestOwnDatabase:
            @pytest.fixture
            def mongo_db(self, mongo_client):
                with active.bind(mongo=mongo_client.of_the_project):
                    yield mongo_client.of_the_project
                mongo_client.drop_database("of_the_project")

            def test_it(self, mongo_db):
                ChatFactory()
                assert mongo_db.name == "of_the_project" and mongo_db.chats.count_documents({}) == 1
        """
    )
    result.assert_outcomes(passed=2)


def test_pytest_lists_every_fixture_with_a_line(pytester: pytest.Pytester) -> None:
    """``pytest --fixtures`` says of each what a test gets."""
    result = pytester.runpytest_subprocess(*ARGUMENTS, "--fixtures")
    line = r"^(\w+)[^\n]* -- [^\n]*/mongodb/fixtures\.py:\d+\n    ([^\n]+)$"
    listed = dict(re.findall(line, result.stdout.str(), re.MULTILINE))
    assert listed == {
        "mongodb_server": "The run's MongoDB server: URL of its administrator, exact version, engine.",
        "mongo_url": "URL (``mongodb://...``) of the run's server, a replica set of one member.",
        "mongo_client": "``MongoClient`` of the run's server; a test may close it, and the next one finds it open.",
        "mongo_seed": "Override it with the function that fills each test's ``mongo_db``.",
        "mongo_db": "Database that belongs to this test alone; empty, or as ``mongo_seed`` fills it.",
        "async_mongo_client": "PyMongo's ``AsyncMongoClient`` of the run's server, in the event loop of the test.",
        "async_mongo_db": "The same database as ``mongo_db``, for PyMongo's async API.",
    }


ASYNC_TESTS = """
import asyncio
import pytest
from realdb_ci.factories import MongoFactory

class ChatFactory(MongoFactory):
    class Meta:
        collection = "chats"

@pytest.fixture
def anyio_backend():
    return "asyncio"

{mark}
async def test_factories_write_where_async_code_reads(async_mongo_db):
    ChatFactory.create_batch(3)
    assert await async_mongo_db.chats.count_documents({{}}) == 3

{mark}
async def test_both_apis_have_one_database(mongo_db, async_mongo_db):
    assert mongo_db.name == async_mongo_db.name
    await async_mongo_db.chats.insert_one({{"_id": 1}})
    assert mongo_db.chats.find_one() == {{"_id": 1}}

{mark}
async def test_many_at_once(async_mongo_client, async_mongo_db):
    assert await async_mongo_db.list_collection_names() == []
    await asyncio.gather(*(async_mongo_db.chats.insert_one({{"_id": n}}) for n in range(50)))
    assert await async_mongo_client[async_mongo_db.name].chats.count_documents({{}}) == 50
"""


@pytest.mark.parametrize(
    ("arguments", "mark"),
    [
        (ANYIO, "@pytest.mark.anyio"),
        ((*STRICT, *ANYIO), "@pytest.mark.anyio"),
        (STRICT, "@pytest.mark.asyncio"),
        (STRICT, "@pytest.mark.asyncio(loop_scope='module')"),
        ((*STRICT, "-o", "asyncio_default_test_loop_scope=session"), "@pytest.mark.asyncio"),
        (AUTO, ""),
        ((*AUTO, *ANYIO, *PARALLEL), ""),
    ],
)
def test_async_database_is_the_one_of_its_test(
    run: Run, client: Client, with_pytest_asyncio: None, arguments: tuple[str, ...], mark: str
) -> None:
    """Under each async plugin, in loops of every scope, beside the other plugin, and in parallel."""
    run(ASYNC_TESTS.format(mark=mark), *arguments).assert_outcomes(passed=3)
    assert _ours(client) == []


def test_async_fixtures_do_not_start_a_server_of_their_own(run: Run) -> None:
    """A project's own URL is what the async client speaks to."""
    result = run(
        """
        import pytest

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        async def test_it(async_mongo_client, mongo_url):
            host, port = await async_mongo_client.address
            assert f"@{host}:{port}/" in mongo_url
        """,
        *ANYIO,
    )
    result.assert_outcomes(passed=1)
