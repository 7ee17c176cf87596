"""Snapshots of MongoDB: the second run starts with the server and the seeds of the first, or as if none were."""

import contextlib
import io
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import leftovers
import pymongo
import pytest
import spoiling
from pymongo.errors import OperationFailure

from realdb_ci import archive, services
from realdb_ci.config import Config
from realdb_ci.engines import contract, snapshots
from realdb_ci.engines.copying import Output
from realdb_ci.servers import Servers
from realdb_ci.services.contract import Server, Wish
from realdb_ci.services.mongodb import backup

SEEDS = """
from pathlib import Path

def fill(db):
    with (Path(__file__).parent / "runs.txt").open("a") as file:
        file.write("ran\\n")
    db.users.create_index("email", unique=True)
    db.users.insert_many([{"email": f"{number}@example.org"} for number in range(3)])
"""
TESTS = """
import pytest, seeds

@pytest.fixture(scope="session")
def mongo_seed():
    return seeds.fill

@pytest.mark.parametrize("turn", range(4))
def test_it(mongo_db, mongo_client, turn):
    assert mongo_db.users.count_documents({}) == 3
    assert mongo_db.users.index_information()["email_1"]["unique"]
    with mongo_client.start_session(causal_consistency=True) as session, session.start_transaction():
        mongo_db.users.insert_one({"email": "ann@example.org"}, session=session)
        mongo_db.others.insert_one({}, session=session)
    assert session.operation_time
    ours = mongo_db.name.rpartition("_")[0].rpartition("_")[0].rpartition("_")[0]  # run, process, number
    for name in mongo_client.list_database_names():
        assert name.startswith((ours, "realdb_template", "admin", "config", "local"))
"""
PLAIN_TESTS = """
def test_it(mongo_db):
    mongo_db.users.insert_one({"email": "ann@example.org"})

def test_other(mongo_db, mongo_client):
    assert mongo_db.list_collection_names() == []
    assert mongo_client.options.pool_options
"""
ENGINES = ["embedded", pytest.param("docker", marks=pytest.mark.docker)]
Client = pymongo.MongoClient[dict[str, Any]]
Run = Callable[..., pytest.RunResult]


@pytest.fixture
def cache(pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's cache folder, and a project whose seed notes when it is called."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setenv("REALDB_CI_SNAPSHOTS", "true")
    pytester.makepyfile(seeds=SEEDS, test_users=TESTS)
    return folder / "realdb-ci" / "snapshots"


@pytest.fixture
def run(pytester: pytest.Pytester, cache: Path) -> Run:
    """Run the project's tests, which pass, whatever they start from; return what was said of the server."""

    def made(*arguments: str, engine: str = "embedded") -> pytest.RunResult:
        done = pytester.runpytest_subprocess(
            "-p", "no:cacheprovider", "-W", "error", f"--realdb-engine={engine}", *arguments
        )
        assert done.ret == 0, done.stdout.str()
        return done

    return made


def _times_called(pytester: pytest.Pytester) -> int:
    return len((pytester.path / "runs.txt").read_text().splitlines())


def _said(done: pytest.RunResult) -> str:
    (line,) = {line for line in done.outlines if line.startswith("mongodb: ")}
    return line


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "workers"])
def test_second_run_seeds_nothing(
    pytester: pytest.Pytester, run: Run, cache: Path, engine: str, workers: tuple[str, ...]
) -> None:
    """The seed's function is called once in two runs; transactions work in both, and no data of a test stay."""
    assert "snapshot" not in _said(run(*workers, engine=engine))
    (file,) = cache.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.stat().st_size < 1 << 20
    assert _said(run(*workers, engine=engine)).endswith(", from a snapshot")
    assert _times_called(pytester) == 1
    assert [*cache.iterdir()] == [file]


@pytest.mark.docker
def test_container_without_a_seed_is_kept_as_it_starts(pytester: pytest.Pytester, run: Run, cache: Path) -> None:
    """The image's own first start is spared; a process of this machine gains nothing and is not kept."""
    pytester.makepyfile(test_users=PLAIN_TESTS)
    run(engine="docker")
    assert _said(run(engine="docker")).endswith(", from a snapshot")
    run()
    assert "snapshot" not in _said(run())
    assert len([*cache.iterdir()]) == 1


def test_changed_seed_is_called_again_and_both_are_kept(pytester: pytest.Pytester, run: Run) -> None:
    """Whoever changes a branch and comes back calls each once; what it imports and reads counts as its code."""
    run()
    pytester.makepyfile(seeds=SEEDS + "\nimport helper", helper="size = 1")
    run()
    pytester.makepyfile(helper="size = 12")
    run()
    (pytester.path / "rows.json").write_text("[]")
    run()
    assert _times_called(pytester) == 4
    (pytester.path / "rows.json").unlink()
    run()
    assert _times_called(pytester) == 4


def test_async_seed_is_kept_too(pytester: pytest.Pytester, run: Run) -> None:
    """It is known by the function that the project wrote."""
    text = SEEDS.replace("def fill", "async def fill").replace("    db.", "    await db.")
    pytester.makepyfile(seeds=text)
    run()
    assert _said(run()).endswith(", from a snapshot")
    assert _times_called(pytester) == 1


@pytest.mark.parametrize(
    ("seed", "times"),
    [
        ("return lambda db: seeds.fill(db)", 2),
        ("return functools.partial(seeds.fill)", 2),
        ("def inner(db): seeds.fill(db)\n    return inner", 2),
        ("return seeds.ageing", 2),
        ("return seeds.decorated", 1),
    ],
    ids=["lambda", "partial", "inner", "documents that expire", "decorated"],
)
def test_seed_that_no_file_tells_of_or_that_ages_is_called_each_time(
    pytester: pytest.Pytester, run: Run, seed: str, times: int
) -> None:
    """What it holds on to could have changed, or the server could have removed some of it meanwhile."""
    more = """
import functools

def ageing(db):
    fill(db)
    db.users.create_index("at", expireAfterSeconds=3600)

def marked(function):
    @functools.wraps(function)
    def inner(db):
        return function(db)
    return inner

@marked
def decorated(db):
    fill(db)
"""
    pytester.makepyfile(
        seeds=SEEDS + more,
        test_users="import functools\n" + TESTS.replace("return seeds.fill", seed),
    )
    run()
    run()
    assert _times_called(pytester) == times


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("db.command('createUser', 'ann', pwd='ann', roles=[])", "the seed makes the user ann"),
        ("db.command('createRole', 'reader', privileges=[], roles=[])", "the seed makes the role reader"),
        ("db.client['elsewhere'].users.insert_one({})", "tests have begun on this server"),
    ],
    ids=["user", "role", "another database"],
)
def test_seed_that_changes_more_than_its_database_is_not_kept_and_that_is_said(
    pytester: pytest.Pytester, run: Run, cache: Path, statement: str, why: str
) -> None:
    """Its next version would find what this one made, and a run without it would lack that."""
    pytester.makepyfile(seeds=f"{SEEDS}    {statement}\n", test_users=TESTS[: TESTS.index("    ours =")])
    told = run().stdout.str()
    assert told.count("mongodb: snapshot not kept: ") == 1
    assert f"mongodb: snapshot not kept: {why}" in told
    assert not [*cache.glob("*")]


def test_seed_that_fails_leaves_nothing_and_is_called_again(pytester: pytest.Pytester, cache: Path) -> None:
    """The function's own exception comes through for every test, and nothing is kept."""
    pytester.makepyfile(seeds=SEEDS + "    raise ZeroDivisionError\n")
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--realdb-engine=embedded")
    done.assert_outcomes(errors=4)
    assert _times_called(pytester) == 4
    assert not [*cache.glob("*")]


def test_worker_waits_for_the_seed_of_another_and_takes_over_where_that_dies(
    pytester: pytest.Pytester, run: Run
) -> None:
    """The first call ends its process; the tests of that worker and of the other one run all the same."""
    fatal = "    import os\n    if len(Path(__file__).with_name('runs.txt').read_text()) == 4: os._exit(1)\n"
    short = "import realdb_ci.services.mongodb.templates as ours\nours.LEASE_SECONDS = 2\n"
    pytester.makepyfile(seeds=SEEDS + fatal, conftest=short)
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--realdb-engine=embedded", "-n2")
    outcomes = done.parseoutcomes()
    assert (outcomes["passed"], outcomes["failed"]) == (3, 1), done.stdout.str()
    assert _times_called(pytester) == 2


def test_switched_off_nothing_is_kept_or_used(
    pytester: pytest.Pytester, run: Run, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One setting turns it off in both directions."""
    monkeypatch.setenv("REALDB_CI_SNAPSHOTS", "false")
    run()
    assert not cache.exists()
    monkeypatch.setenv("REALDB_CI_SNAPSHOTS", "true")
    run()
    monkeypatch.setenv("REALDB_CI_SNAPSHOTS", "false")
    assert "snapshot" not in _said(run())


def test_other_binaries_do_not_take_it(
    pytester: pytest.Pytester, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mongod that differs in its last byte starts without a warning and without the snapshot."""
    run()
    (binary,) = [one.binary for one in services.get("mongodb").installations("")]
    other = tmp_path / "bin" / "mongod"
    other.parent.mkdir()
    shutil.copy(binary, other)
    with other.open("ab") as file:
        file.write(b"x")
    monkeypatch.setenv("PATH", str(other.parent), prepend=":")
    said = _said(run())
    assert str(other) in said
    assert "snapshot" not in said
    assert _times_called(pytester) == 2


def test_two_runs_at_once_do_not_disturb_each_other(pytester: pytest.Pytester, run: Run, cache: Path) -> None:
    """Both are green, and what they leave is one whole snapshot."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--realdb-engine=embedded"]
    both = [subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0]
    assert len([*cache.iterdir()]) == 1
    assert _said(run()).endswith(", from a snapshot")


@dataclass
class Bench:
    """Servers of one engine that share a folder of snapshots.

    Attributes:
        wish: what to start.
        folder: the folder.
        told: what was said while they ran.
        runs: their runs' ids.
    """

    wish: Wish
    folder: Path
    told: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)

    @property
    def kept(self) -> snapshots.Snapshots:
        """Where they are kept."""
        return snapshots.Snapshots(self.folder, "project")

    @contextlib.contextmanager
    def server(self) -> Iterator[tuple[Servers, Server, Client]]:
        """A server while the body runs, and its administrator."""
        with Servers(lambda notice: self.told.append(notice.detail), snapshots=self.kept) as servers:
            self.runs.append(servers.id)
            server = servers.get(self.wish)
            client: Client
            with pymongo.MongoClient(server.url) as client:
                yield servers, server, client

    def keep(self) -> Path:
        """Keep a server's data as it starts; return the file."""
        with self.server() as (servers, _, _):
            servers.built(self.wish)
        (file,) = self.folder.iterdir()
        return file


@pytest.fixture(scope="module", params=ENGINES)
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, mirror: str) -> Bench:
    """A folder with the snapshot of a server, of each engine."""
    wish = services.wishes(Config(engine=request.param, mirror=mirror))["mongodb"]
    bench = Bench(wish, tmp_path_factory.mktemp("kept") / "snapshots")
    bench.keep()
    return bench


@pytest.fixture
def bench(kept: Bench, tmp_path: Path) -> Iterator[Bench]:
    """The same for one test, which leaves neither files nor processes nor containers."""
    shutil.copytree(kept.folder, tmp_path / "snapshots")
    made = Bench(kept.wish, tmp_path / "snapshots")
    yield made
    for run in made.runs:
        assert not [*Path("/dev/shm").glob(f"*{run}*")]
        assert not leftovers.processes("-", run)
        assert kept.wish.engine != "docker" or not leftovers.containers(run)


def _file_of(bench: Bench) -> Path:
    (file,) = bench.folder.iterdir()
    return file


def _description(file: Path) -> bytes:
    _, data = archive.plain(file, {})
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = tar.extractfile(backup.DESCRIPTION)
        assert found is not None
        return found.read()


def _library(file: Path) -> None:
    """WiredTiger would load what this names, were it there when mongod starts."""
    spoiling.changed(file, "WiredTiger.config", b"extensions=[/tmp/escaped.so]\n")


def _library_by_another_name(file: Path) -> None:
    spoiling.changed(file, "./WiredTiger.config", b"extensions=[/tmp/escaped.so]\n")


def _path(file: Path) -> None:
    """WiredTiger would open, write and remove a file elsewhere, with the rights of whoever runs mongod."""
    text = _description(file).replace(b"file:sizeStorer.wt", b"file:/tmp/escaped.wt")
    spoiling.changed(file, backup.DESCRIPTION, text)


def _of_newer_files(file: Path) -> None:
    text = _description(file).replace(b"version=(major=1,", b"version=(major=99,")
    spoiling.changed(file, backup.DESCRIPTION, text)


def _turtle(file: Path) -> None:
    spoiling.changed(file, "WiredTiger.turtle", b"")


def _journal(file: Path) -> None:
    spoiling.changed(file, "journal/WiredTigerLog.0000000001", b"")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (spoiling.truncated, "ended before the end-of-stream marker"),
        (spoiling.garbage, "Not a gzipped file"),
        (spoiling.of_another_server, "it is of another server"),
        (spoiling.without_data, "no server starts from it"),
        (spoiling.leading_out, "leads elsewhere"),
        (spoiling.link, "is neither file nor folder"),
        (spoiling.others_may_write, "others may write it"),
        (_of_newer_files, "no server starts from it"),
        (_library, "'WiredTiger.config' is no file of such data"),
        (_library_by_another_name, "'WiredTiger.config' is no file of such data"),
        (_path, "it speaks of files elsewhere"),
        (_turtle, "'WiredTiger.turtle' is no file of such data"),
        (_journal, "'journal/WiredTigerLog.0000000001' is no file of such data"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_unusable_snapshot_is_one_warning(bench: Bench, spoil: Callable[[Path], None], why: str) -> None:
    """The server starts without it and works, and it is gone."""
    spoil(_file_of(bench))
    with bench.server() as (_, server, client):
        assert server.snapshot.startswith("warning: its snapshot was removed: ")
        assert why in server.snapshot
        client["app"].users.insert_one({})
    assert not [*bench.folder.iterdir()]


def test_server_from_a_snapshot_has_a_password_and_an_address_of_its_own(bench: Bench) -> None:
    """The password of the earlier run is no way in, and the replica set has one member: this server."""
    passwords = set()
    for _ in range(2):
        with bench.server() as (_, server, client):
            assert server.snapshot == "from a snapshot"
            note, _ = archive.plain(_file_of(bench), {})
            passwords |= {str(note["secret"]), urlsplit(server.url).password}
            stranger: Client
            with (
                pymongo.MongoClient(_with_password(server.url, str(note["secret"]))) as stranger,
                pytest.raises(OperationFailure, match="Authentication failed"),
            ):
                stranger.admin.command("ping")
            (member,) = client.admin.command("replSetGetStatus")["members"]
            port = client.admin.command("getCmdLineOpts")["parsed"].get("net", {}).get("port", 27017)
            assert (member["stateStr"], member["name"]) == ("PRIMARY", f"127.0.0.1:{port}")
            assert server.settings["writeConcernMajorityJournalDefault"] == "false"
            with client["app"].users.watch() as changes:
                client["app"].users.insert_one({"_id": 1})
                assert changes.next()["documentKey"] == {"_id": 1}
    assert len(passwords) == 3


def test_users_databases_and_half_seeds_of_a_snapshot_are_not_taken(bench: Bench) -> None:
    """Nobody else has a way in, and no data are there but seeds that are complete."""
    for file in bench.folder.iterdir():
        file.unlink()
    with bench.server() as (_, server, client):
        client.admin.command("createUser", "ann", pwd="ann", roles=["root"])
        client["elsewhere"].users.insert_one({})
        client[f"{backup.TEMPLATES}half"].users.insert_one({})
        client[f"{backup.TEMPLATES}whole"].users.insert_one({})
        seeds = client[backup.REGISTRY]["seeds"]
        seeds.insert_one({"_id": "half", "name": f"{backup.TEMPLATES}half"})
        seeds.insert_one({"_id": "whole", "name": f"{backup.TEMPLATES}whole", "finished": True})
        _keep_whatever_is_in_it(bench, server)
    with bench.server() as (_, server, client):
        assert server.snapshot == "from a snapshot"
        assert {*client.list_database_names()} == {
            *backup.SYSTEM,
            backup.REGISTRY,
            f"{backup.TEMPLATES}whole",
        }
        assert [one["_id"] for one in client[backup.REGISTRY]["seeds"].find()] == ["whole"]
        users = client.admin.command({"usersInfo": {"forAllDBs": True}})["users"]
        assert [one["user"] for one in users] == [urlsplit(server.url).username]


def test_data_of_several_members_are_not_taken(bench: Bench) -> None:
    """A server of ours would speak to the others, wherever they are."""
    for file in bench.folder.iterdir():
        file.unlink()
    with bench.server() as (_, server, client):
        config = client.admin.command("replSetGetConfig")["config"]
        other = {"_id": 1, "host": "127.0.0.1:1", "priority": 0, "votes": 0}
        config |= {"version": config["version"] + 1, "members": [*config["members"], other]}
        client.admin.command("replSetReconfig", config, force=True)
        _keep_whatever_is_in_it(bench, server)
    with bench.server() as (_, server, _):
        assert server.snapshot == "warning: its snapshot was removed: no server starts from it"


def test_data_of_tests_are_not_kept_and_the_server_is_not_held_up(bench: Bench) -> None:
    """Whoever writes meanwhile waits for the copy, whatever becomes of it, and goes on."""
    for file in bench.folder.iterdir():
        file.unlink()
    with bench.server() as (servers, _, client), pymongo.timeout(30):
        client["app"].users.insert_one({})
        servers.built(bench.wish)
        client["app"].users.insert_one({})
        client.drop_database("app")
        bench.folder.rmdir()
        bench.folder.write_text("in the way")
        servers.built(bench.wish)
        client["app"].users.insert_one({})
        assert client.admin.command("currentOp").get("fsyncLock") is None
    assert [text for text in bench.told if text.startswith("not kept")] == [
        "not kept: tests have begun on this server",
        f"not kept: [Errno 17] File exists: '{bench.folder}'",
    ]


def _with_password(url: str, password: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.username}:{password}@{parts.hostname}:{parts.port}").geturl()


def _keep_whatever_is_in_it(bench: Bench, server: Server) -> None:
    """Keep a server's data as somebody might who means us harm."""
    service = services.get("mongodb")
    if bench.wish.engine == "docker":
        command = service.container("").backup
        words = ["docker", "exec", f"realdb-ci-{bench.runs[-1]}-mongodb"]
    else:
        (folder,) = Path("/dev/shm").glob(f"realdb-ci-{bench.runs[-1]}-mongodb-*/data")
        command, words = backup.of(str(folder), "realdb"), []
    assert command is not None
    one = contract.Run()
    with backup.still(server.url):
        process = subprocess.Popen([*words, *command.command], stdout=subprocess.PIPE)
        finish = _slot(bench).save(lambda: Output(process), str(urlsplit(server.url).password), one)
    finish()
    one.close()


def _slot(bench: Bench) -> snapshots.Slot:
    """The place of the engine's snapshot, which keeping one and looking at it tells."""
    file = Bench(bench.wish, bench.folder.with_name("other")).keep()
    return snapshots.Slot(bench.folder / file.name, str(archive.plain(file, {})[0]["key"]))
