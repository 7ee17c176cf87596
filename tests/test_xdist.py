"""Many workers, killed workers, two runs at once: real pytest processes on real servers, and what they leave."""

import json
import secrets
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from leftovers import MARK, containers, folders, processes

from realdb_ci import services
from realdb_ci.config import Config
from realdb_ci.servers import Servers
from realdb_ci.services.postgres.connections import connect

# Only what is tested is loaded, or most of the time would go into the imports of eight workers.
ARGUMENTS = ("-p", "realdb_ci", "-p", "xdist", "-p", "no:cacheprovider", "-W", "error")
EMBEDDED = (*ARGUMENTS, "--realdb-engine=embedded")
# A run that waits for ever fails instead.
WAIT_SECONDS = 120
MODELS = """
from sqlmodel import Field, SQLModel

class User(SQLModel, table=True):
    id: str = Field(primary_key=True)
"""
# Each of these would see what another one left, or what another worker is doing.
ALONE = """
import pytest
from models import User
from sqlmodel import select

def be_alone(session, name="ann"):
    session.add(User(id=name))
    session.commit()
    assert [user.id for user in session.exec(select(User))] == [name]
"""


@pytest.fixture(autouse=True)
def lean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No plugin is loaded that is not named."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with one table."""
    pytester.makepyfile(models=MODELS, alone=ALONE)
    pytester.makepyprojecttoml('[tool.pytest.ini_options]\npythonpath = ["."]\n')
    return pytester


@pytest.fixture(scope="module")
def given_url() -> Iterator[str]:
    """URL of a PostgreSQL server that all runs of this module are given."""
    with Servers() as servers:
        wish = services.wishes(Config(engine="embedded"))["postgres"]
        yield servers.get(wish).url


def test_eight_workers_share_one_server_a_service(suite: pytest.Pytester) -> None:
    """Each of eight workers works in databases of its own, on one PostgreSQL and one MongoDB."""
    suite.makepyfile(
        test_it="""
        from alone import *

        @pytest.mark.parametrize("turn", range(40))
        def test_postgres(db_session, turn):
            be_alone(db_session)

        @pytest.mark.parametrize("turn", range(8))
        @pytest.mark.realdb(commit=True)
        def test_clone(db_session, turn):
            be_alone(db_session)

        @pytest.mark.parametrize("turn", range(16))
        def test_mongo(mongo_db, turn):
            mongo_db.users.insert_one({"_id": "ann"})
            assert mongo_db.users.count_documents({}) == 1
        """
    )
    result = suite.runpytest_subprocess(*EMBEDDED, "-n", "8", "--realdb-events=events", timeout=WAIT_SECONDS)
    result.assert_outcomes(passed=64)
    recorded = events(suite.path / "events")
    assert Counter(event["service"] for event in recorded if event["event"] == "server") == {
        "postgres": 1,
        "mongodb": 1,
    }
    assert len({event["worker"] for event in recorded if event["event"] == "phase"}) == 8


@pytest.mark.parametrize("how", ["loadscope", "worksteal"])
def test_tests_are_alone_however_they_are_dealt_out(suite: pytest.Pytester, how: str) -> None:
    """By scope or by whoever has nothing to do: isolation and clones hold."""
    for module in "one", "two":
        suite.makepyfile(
            **{
                f"test_{module}": """
                from alone import *

                @pytest.mark.parametrize("turn", range(6))
                class TestRows:
                    def test_rolled_back(self, db_session, turn):
                        be_alone(db_session)

                    @pytest.mark.realdb(commit=True)
                    def test_committed(self, db_session, turn):
                        be_alone(db_session)
                """
            }
        )
    result = suite.runpytest_subprocess(
        *EMBEDDED, "-n", "3", "--dist", how, "--realdb-events=events", timeout=WAIT_SECONDS
    )
    result.assert_outcomes(passed=24)
    scopes = {
        (event["nodeid"].rpartition("::")[0], event["worker"])
        for event in events(suite.path / "events")
        if event["event"] == "phase"
    }
    assert how != "loadscope" or len(scopes) == 2


def test_worker_killed_in_a_test_takes_nothing_with_it(suite: pytest.Pytester, given_url: str) -> None:
    """Another worker replaces it, later tests are right, and its databases go at the end of the run."""
    suite.makepyfile(
        test_it="""
        import os, signal
        from alone import *

        @pytest.mark.parametrize("turn", range(12))
        def test_rolled_back(db_session, turn):
            be_alone(db_session)
            if turn == 3:
                os.kill(os.getpid(), signal.SIGKILL)

        @pytest.mark.realdb(commit=True)
        @pytest.mark.parametrize("turn", range(12))
        def test_committed(db_session, turn):
            be_alone(db_session)
            if turn == 3:
                os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    result = suite.runpytest_subprocess(
        *ARGUMENTS, f"--realdb-service=postgres={given_url}", "-n", "2", timeout=WAIT_SECONDS
    )
    result.assert_outcomes(passed=22, failed=2)
    assert result.stdout.str().count("crashed while running") >= 2
    assert databases(given_url) == []


@pytest.mark.parametrize("engine", ["url", pytest.param("docker", marks=pytest.mark.docker)])
def test_two_checkouts_at_once_do_not_meet(request: pytest.FixtureRequest, tmp_path: Path, engine: str) -> None:
    """Two runs of the same project overlap on one engine; one ends while the other still works."""
    server = (
        f"--realdb-service=postgres={request.getfixturevalue('given_url')}"
        if engine == "url"
        else "--realdb-engine=docker"
    )
    with socket.create_server(("127.0.0.1", 0)) as gate:
        gate.settimeout(WAIT_SECONDS)
        runs = [
            checkout(tmp_path / name / "project", server, gate.getsockname()[1]) for name in ("first", "second")
        ]
        # Both have committed rows and databases when the first to come may end; the other one waits until it has.
        begun = dict(_name_of(gate.accept()[0]) for _ in runs)
        for name, run in zip(("first", "second"), runs, strict=True):
            begun[name].close()
            output, _ = run.communicate(timeout=WAIT_SECONDS)
            assert run.returncode == 0, output
            assert "3 passed" in output
    if engine == "url":
        assert databases(request.getfixturevalue("given_url")) == []


@pytest.mark.parametrize("engine", ["embedded", pytest.param("docker", marks=pytest.mark.docker)])
def test_two_thousand_tests_leave_nothing(
    suite: pytest.Pytester,
    given_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine: str,
) -> None:
    """No database on a given server, no container, network or volume, no process and no temporary folder."""
    mark, temporary = secrets.token_hex(8), tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv(MARK, mark)
    monkeypatch.setenv("TMPDIR", str(temporary))
    suite.makepyfile(
        test_it=f"""
        from pathlib import Path
        from alone import *

        @pytest.mark.parametrize("turn", range(1940))
        def test_rolled_back(db_session, turn):
            db_session.add(User(id="ann"))
            db_session.commit()

        @pytest.mark.parametrize("turn", range(40))
        @pytest.mark.realdb(commit=True)
        def test_committed(db_session, turn):
            be_alone(db_session)

        @pytest.mark.parametrize("turn", range(20))
        def test_mongo(mongo_db, turn, postgres_url):
            mongo_db.users.insert_one({{"_id": turn}})
            Path({str(tmp_path / "database")!r}).write_text(postgres_url.rpartition("/")[2])
        """
    )
    result = suite.runpytest_subprocess(
        *(*ARGUMENTS, f"--realdb-engine={engine}", f"--realdb-service=postgres={given_url}"),
        *("-n", "4", f"--basetemp={tmp_path / 'basetemp'}"),
        timeout=WAIT_SECONDS,
    )
    result.assert_outcomes(passed=2000)
    run = (tmp_path / "database").read_text(encoding="utf-8").split("_")[1]
    assert databases(given_url) == []
    assert processes(mark, run) == []
    assert folders(temporary, run) == []
    if engine == "docker":
        assert containers(run) == []


def events(path: Path) -> list[dict[str, Any]]:
    """What a run recorded."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def databases(url: str) -> list[str]:
    """Our databases on the server."""
    with closing(connect(url, 10)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, 'realdb_')")
        return [name for (name,) in cursor.fetchall()]


def checkout(folder: Path, server: str, port: int) -> subprocess.Popen[str]:
    """Start a run of the project in that folder; its last test waits at the gate until it may end."""
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["."]\n', encoding="utf-8")
    (folder / "models.py").write_text(MODELS, encoding="utf-8")
    (folder / "alone.py").write_text(ALONE, encoding="utf-8")
    name = folder.parent.name
    (folder / "test_it.py").write_text(
        f"""
import socket
from alone import *

def at_the_gate():
    with socket.create_connection(("127.0.0.1", {port})) as gate:
        gate.settimeout({WAIT_SECONDS})
        gate.sendall(b"{name}")
        gate.shutdown(socket.SHUT_WR)
        assert gate.recv(1) == b""

@pytest.mark.realdb(commit=True)
def test_committed(db_session):
    be_alone(db_session, "{name}")
    at_the_gate()
    assert [user.id for user in db_session.exec(select(User))] == ["{name}"]

@pytest.mark.realdb(commit=True)
def test_after_the_other_run(db_session):
    be_alone(db_session, "{name}")

def test_rolled_back(db_session):
    be_alone(db_session, "{name}")
""",
        encoding="utf-8",
    )
    return subprocess.Popen(
        (sys.executable, "-m", "pytest", *ARGUMENTS, server, "-n", "1"),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _name_of(arrived: socket.socket) -> tuple[str, socket.socket]:
    arrived.settimeout(WAIT_SECONDS)
    return arrived.recv(64).decode(), arrived
