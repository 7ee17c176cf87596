"""Projects of every kind through the built image, as GitHub's runner would run it."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import docker
import psycopg2
import pytest
from artifact_service import token as runtime_token
from cache_service import Store, serving
from imitation import AFTER_SIGINT, GATEWAY, ROOT, RUNNER_UID, TOKEN, Machine
from junitparser import JUnitXml
from remains import left

from realdb_ci import results

pytestmark = pytest.mark.docker
SAMPLES = ROOT / "fixtures"
MakeMachine = Callable[..., Machine]


def test_crash_of_pytest_is_a_failure_with_a_report(machine: MakeMachine) -> None:
    """The process dies at its second test: the record names it, the outputs are there."""
    one = machine()
    one.check_out(SAMPLES / "crash")
    done = one.run(with_={"working-directory": "crash"})
    assert done.code == 1, done.raw
    assert (done.outputs["passed"], done.outputs["errors"]) == ("1", "1")
    assert "test_ends_the_process" in done.summary


@pytest.mark.parametrize("network", ["none", "job"])
def test_cancelled_job_reports_and_leaves_nothing(
    network: str, machine: MakeMachine, docker_engine: docker.DockerClient, request: pytest.FixtureRequest
) -> None:
    """SIGINT while a test on a real database hangs: within the runner's grace all is reported and gone."""
    job = request.getfixturevalue("job_network") if network == "job" else None
    one = machine(network=job)
    one.write(
        "hangs/test_hangs.py",
        "import threading\ndef test_first(db_session): pass\n"
        "def test_hangs(db_session):\n    print('hanging', flush=True)\n    threading.Event().wait()\n",
    )
    done = one.run(lambda raw: "hanging" in raw, with_={"working-directory": "hangs", "pytest-args": "-s"})
    assert done.code == 130, done.raw
    assert done.after_cancel < AFTER_SIGINT
    assert done.outputs["outcome"] == "interrupted"
    assert done.outputs["passed"] == "1"
    assert "test_hangs" in done.summary
    assert left(docker_engine, done) == []


SPY = """
import os, pathlib, subprocess

def test_spies():
    mine = "\\n".join(f"{name}={value}" for name, value in os.environ.items())
    assert "{token}" not in mine and "{runtime}" not in mine
    assert "INPUT_" not in mine and "GITHUB_OUTPUT" not in mine and "/opt/realdb-ci" not in mine
    assert os.environ["USERS_OWN"] == "kept"
    assert os.environ["HOME"] == "/github/home"
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            theirs = (process / "environ").read_bytes()
        except OSError:
            continue
        assert b"{token}" not in theirs and b"{runtime}" not in theirs, process
    assert subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True).returncode == 0
    import importlib.util
    assert importlib.util.find_spec("uv") is None
    pathlib.Path("made").mkdir()
    pathlib.Path("made/file").touch()

def test_shouts(capfd):
    with capfd.disabled():
        print("\\n::error::taken over\\n##[error]taken over\\n::add-mask::passed\\n::stop-commands::x")
"""


def test_tested_code_gets_no_secret_and_gives_no_command(machine: MakeMachine) -> None:
    """What it prints is shown, what it makes belongs to the runner, Git works for it."""
    one = machine()
    one.environ |= {"USERS_OWN": "kept", "ALSO_THE_TOKEN": TOKEN}
    one.write("spy/test_spy.py", SPY.replace("{token}", TOKEN).replace("{runtime}", runtime_token()))
    one.check_out()
    done = one.run(with_={"working-directory": "spy", "cache": "false"})
    assert done.code == 0, done.raw
    assert done.log.issues == []
    assert not done.log.failed
    assert "passed" not in done.log.masks
    assert "taken over" in "\n".join(done.log.shown)
    assert {path.lstat().st_uid for path in one.workspace.rglob("*")} == {RUNNER_UID}


ARTICLE = """
import psycopg2, pytest
from pymongo import MongoClient
from testcontainers.core.network import Network
from testcontainers.mongodb import MongoDbContainer
from testcontainers.postgres import PostgresContainer

@pytest.fixture(scope="session")
def postgres_by_hand():
    with PostgresContainer("{mirror}/postgres:17-alpine", driver=None) as container:
        yield container.get_connection_url()

def test_by_hand(postgres_by_hand):
    with psycopg2.connect(postgres_by_hand) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    connection.close()

def test_mongo_by_hand():
    with MongoDbContainer("{mirror}/mongo:7.0") as container:
        with MongoClient(container.get_connection_url()) as client:
            assert client.admin.command("ping")["ok"]

def test_network_by_hand():
    container = PostgresContainer("{mirror}/postgres:17-alpine", driver=None)
    with Network() as network, container.with_network(network).with_network_aliases("database"):
        psycopg2.connect(container.get_connection_url(), connect_timeout=10).close()

def test_ours_beside_it(db_session):
    pass
"""


@pytest.mark.parametrize("network", ["none", "job"])
def test_suite_that_starts_containers_by_itself_runs_unchanged(
    network: str, machine: MakeMachine, mirror: str, request: pytest.FixtureRequest
) -> None:
    """As in the article, or on a network of its own; beside our fixtures, with and without a network of the job."""
    job = request.getfixturevalue("job_network") if network == "job" else None
    one = machine(network=job)
    one.write("hand/test_hand.py", ARTICLE.replace("{mirror}", mirror))
    one.write("hand/requirements.txt", "psycopg2-binary\npymongo\ntestcontainers[postgres,mongodb]\n")
    done = one.run(with_={"working-directory": "hand"})
    assert done.code == 0, done.raw
    assert done.outputs["passed"] == "4"


BAD = {
    "nothing to run": ({"working-directory": "empty"}, 1, "failed", "No tests were collected"),
    "unresolvable": (
        {"working-directory": "empty", "install": "click==8.1.7 click==8.1.8"},
        3,
        "no-server",
        "click",
    ),
    "no such image": ({"working-directory": "one", "services": "postgres:404"}, 3, "no-server", "postgres:404"),
    "bad argument": (
        {"working-directory": "one", "pytest-args": "--frobnicate"},
        2,
        "bad-setting",
        "unrecognized arguments: --frobnicate",
    ),
    "mistyped": ({"working-directory": "one", "shards": "1/2"}, 2, "bad-setting", "Did you mean 'shard'"),
}


@pytest.mark.parametrize(("inputs", "code", "outcome", "said"), BAD.values(), ids=BAD)
def test_what_cannot_work_ends_with_one_annotation(
    inputs: dict[str, str], code: int, outcome: str, said: str, machine: MakeMachine
) -> None:
    """One error that says what to do, the right number, outputs all the same."""
    one = machine()
    one.write("empty/app.py", "")
    one.write("one/test_one.py", "def test_one(db_session): pass\n")
    done = one.run(with_=inputs)
    assert done.code == code, done.raw
    (error,) = done.log.of("error")
    assert said in error.message
    assert done.outputs["outcome"] == outcome
    assert "Traceback" not in done.raw


@pytest.mark.parametrize("way", ["absent", "forbidden"])
def test_no_docker_socket_is_said(way: str, machine: MakeMachine, tmp_path: Path) -> None:
    """Nothing in the image stands in for a server: the step ends, and the reason is Docker's."""
    one = machine(socket={"absent": "", "forbidden": str(tmp_path / "nobody.sock")}[way])
    (tmp_path / "nobody.sock").touch()
    one.write("one/test_one.py", "def test_one(db_session): pass\n")
    done = one.run(with_={"working-directory": "one"})
    assert done.code == 3, done.raw
    assert done.outputs["outcome"] == "no-server"
    (error,) = done.log.of("error")
    assert "Docker daemon does not answer" in error.message


def test_second_run_finds_the_packages_of_the_first(machine: MakeMachine) -> None:
    """Through the cache service, spoken from inside the container: saved, found, and told in seconds."""
    store = Store()
    with serving(store, GATEWAY) as url:
        one = machine(cache=url)
        one.check_out(SAMPLES / "bookshelf")
        runs = [one.run(with_={"working-directory": "bookshelf"}) for _ in range(2)]
    assert [done.code for done in runs] == [0, 0], runs[1].raw
    assert "Package cache: nothing found" in runs[0].raw
    assert re.search(r"Package cache: \d+ MB in [\d.]+ s, environment in [\d.]+ s instead of [\d.]+ s", runs[1].raw)
    assert "Downloading" not in runs[1].raw
    assert sorted(key.split("-")[2] for key, _ in store.entries) == [
        "environment",
        "snapshots",
        "timings",
        "timings",
    ]
    assert not [done.log.of("warning") for done in runs if done.log.of("warning")]


def test_shards_run_each_test_once_by_the_recorded_durations(machine: MakeMachine, tmp_path: Path) -> None:
    """Two jobs of one workflow run: together the whole suite, split by what an earlier run measured; one report."""
    store = Store()
    slow = (
        "import time, pytest\n@pytest.mark.parametrize('n', range(6))\ndef test_it(n): time.sleep(0.5 * (n == 0))\n"
    )
    with serving(store, GATEWAY) as url:
        one = machine(cache=url)
        one.write("slow/test_slow.py", slow)
        one.run(with_={"working-directory": "slow", "cache": "timings"})
        one.run_id = "2"
        shards = []
        for shard in ("1/2", "2/2"):
            done = one.run(with_={"working-directory": "slow", "cache": "timings", "shard": shard})
            assert done.code == 0, done.raw
            recorded = one.workspace / done.outputs["events"]
            shards.append({case.nodeid for case in results.read(recorded).cases})
            recorded.rename(tmp_path / f"{shard[0]}.jsonl")
    # Half a second weighs more than the five others together.
    assert sorted(map(len, shards)) == [1, 5]
    assert not shards[0] & shards[1]
    words = [sys.executable, "-m", "realdb_ci", "report", "1.jsonl", "2.jsonl", "--out", "both"]
    told = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "6 passed" in told
    assert JUnitXml.fromfile(str(tmp_path / "both" / "junit.xml")).tests == 6


@pytest.mark.parametrize(
    "way", [{"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, {"PYTEST_ADDOPTS": "--disable-plugin-autoload"}]
)
def test_shard_of_a_project_without_entry_points_runs(way: dict[str, str], machine: MakeMachine) -> None:
    """What we add to a suite is named to pytest, not found by it."""
    one = machine()
    one.environ |= way
    one.write("one/test_one.py", "def test_one(): pass\ndef test_two(): pass\n")
    done = one.run(with_={"working-directory": "one", "shard": "1/2"})
    assert done.code == 0, done.raw
    assert done.outputs["passed"] == "1"


def test_shard_without_a_test_is_green(machine: MakeMachine, tmp_path: Path) -> None:
    """A matrix may have more jobs than a suite has tests; a suite without any test is red as ever."""
    one = machine()
    one.write("few/test_one.py", "def test_one(): pass\n")
    one.write("none/app.py", "")
    counts = []
    for shard in ("1/2", "2/2"):
        done = one.run(with_={"working-directory": "few", "shard": shard})
        assert done.code == 0, done.raw
        counts.append(done.outputs["tests"])
        (one.workspace / done.outputs["events"]).rename(tmp_path / f"{shard[0]}.jsonl")
    assert sorted(counts) == ["0", "1"]
    words = [sys.executable, "-m", "realdb_ci", "report", "1.jsonl", "2.jsonl"]
    told = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "1 passed" in told
    assert one.run(with_={"working-directory": "none", "shard": "1/2"}).code == 1


def test_shard_that_cannot_agree_with_the_others_runs_the_whole_suite(machine: MakeMachine, tmp_path: Path) -> None:
    """The cache fails one job alone: no test runs nowhere, and a report of the other alone says what is missing."""
    store = Store()
    with serving(store, GATEWAY) as url:
        one = machine(cache=url)
        one.write(
            "few/test_few.py", "import pytest\n@pytest.mark.parametrize('n', range(4))\ndef test_it(n): pass\n"
        )
        counts = []
        for number, store.behaviour in ((1, "well"), (2, "failing")):
            done = one.run(with_={"working-directory": "few", "cache": "timings", "shard": f"{number}/2"})
            assert done.code == 0, done.raw
            counts.append((done.outputs["tests"], len(done.log.of("warning"))))
            (one.workspace / done.outputs["events"]).rename(tmp_path / f"{number}.jsonl")
    assert counts == [("2", 0), ("4", 1)]
    words = [sys.executable, "-m", "realdb_ci", "report", "1.jsonl"]
    alone, both = (
        subprocess.run([*words, *more], cwd=tmp_path, capture_output=True, text=True, check=False)
        for more in ([], ["2.jsonl"])
    )
    assert (alone.returncode, both.returncode) == (1, 0)
    assert "Part 2/2 of few is missing" in alone.stdout
    assert "4 passed" in both.stdout


@pytest.mark.parametrize("behaviour", ["failing", "hanging", "unreadable", "refusing blobs", "failing blobs"])
def test_cache_that_fails_is_one_warning(behaviour: str, machine: MakeMachine) -> None:
    """The run is as green as without it, and the service is not asked again."""
    store = Store(behaviour)
    with serving(store, GATEWAY) as url:
        one = machine(cache=url)
        one.write("one/test_one.py", "def test_one(): pass\n")
        done = one.run(with_={"working-directory": "one"})
    assert done.code == 0, done.raw
    assert len(done.log.of("warning")) == 1
    # One that has nothing to give fails once it is given something.
    if "blobs" not in behaviour:
        assert set(store.asked) == {"GetCacheEntryDownloadURL"}
    assert done.seconds < 100


def test_service_of_the_job_is_used_by_its_url(
    machine: MakeMachine, docker_engine: docker.DockerClient, job_network: str, mirror: str
) -> None:
    """A database of ``services:`` is reached by its alias, and none of ours is started."""
    container = docker_engine.containers.create(
        f"{mirror}/postgres:17-alpine", environment={"POSTGRES_PASSWORD": "postgres"}
    )
    try:
        docker_engine.networks.get(job_network).connect(container, aliases=["database"])
        # The runner waits for a service's health before the first step.
        container.start()
        container.reload()
        address = container.attrs["NetworkSettings"]["Networks"][job_network]["IPAddress"]
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg2.connect(f"postgresql://postgres:postgres@{address}/postgres").close()
            except psycopg2.OperationalError:
                assert time.monotonic() < deadline, container.logs().decode()
                time.sleep(0.1)
            else:
                break
        one = machine(network=job_network)
        one.write("one/test_one.py", "def test_one(db_session): pass\n")
        url = "postgres=postgresql://postgres:postgres@database:5432/postgres"
        done = one.run(with_={"working-directory": "one", "services": url})
        assert done.code == 0, done.raw
        assert "url, PostgreSQL" in done.raw
        assert "postgres:postgres@" not in done.raw
    finally:
        container.remove(force=True, v=True)


def test_report_folder_that_a_test_replaced_is_said(machine: MakeMachine) -> None:
    """There is no record any more, and the log says what is the matter."""
    one = machine()
    one.write(
        "one/test_one.py",
        "import pathlib, shutil\ndef test_one():\n    folder = pathlib.Path('../.realdb-ci')\n"
        "    shutil.rmtree(folder)\n    folder.touch()\n",
    )
    done = one.run(with_={"working-directory": "one"})
    assert done.code == 3, done.raw
    (error,) = done.log.of("error")
    assert ".realdb-ci" in error.message


def test_full_disk_is_said(machine: MakeMachine) -> None:
    """No room for the environment: the installer's words, and the outputs all the same."""
    one = machine(imposed=("--tmpfs", "/var/cache:size=1m"))
    one.write("one/test_one.py", "def test_one(): pass\n")
    done = one.run(with_={"working-directory": "one"})
    assert done.code == 3, done.raw
    assert done.outputs["outcome"] == "no-server"
    (error,) = done.log.of("error")
    assert "No space left on device" in error.message
