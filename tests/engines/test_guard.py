"""The guard: after SIGKILL nothing of a run is left."""

import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psutil
import psycopg2
import pytest
from launching import Launcher

from realdb_ci.engines.contract import Run

WAIT_SECONDS = 20

OWNER = """
import subprocess, sys, time
from pathlib import Path
from realdb_ci import engines, services
from realdb_ci.config import Config
from realdb_ci.engines.contract import Run

run = Run()
wish = services.wishes(Config(engine="embedded"))[sys.argv[1]]
engines.start(services.get(sys.argv[1]), wish, run)
print(run.id, flush=True)
time.sleep(600)
"""


def _of_run(run_id: str) -> list[psutil.Process]:
    """The processes whose command line holds the run's id."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "status"])
        if run_id in " ".join(process.info["cmdline"] or ()) and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


@pytest.mark.parametrize("service", ["postgres", "mongodb"])
def test_killed_owner_leaves_no_server_and_no_folder(service: str) -> None:
    """SIGKILL cannot be caught, and still the server and its data go."""
    with subprocess.Popen([sys.executable, "-c", OWNER, service], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        run_id = owner.stdout.readline().strip()
        servers = _of_run(run_id)
        assert servers
        guard = [child for child in psutil.Process(owner.pid).children() if "guard" in " ".join(child.cmdline())]
        owner.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs([*servers, *guard], timeout=WAIT_SECONDS)
    assert not alive
    assert not list(Path("/dev/shm").glob(f"realdb-ci-{run_id}-*"))


USER = """
import sys, time
from contextlib import closing
from realdb_ci.config import Config
from realdb_ci.servers import Servers
from realdb_ci import services
from realdb_ci.services.postgres import database

servers = Servers()
given = servers.get(services.wishes(Config(services=(f"postgres={sys.argv[1]}",)))["postgres"])
database.create(given, servers.prefix + "_main", ())
print(servers.prefix, flush=True)
time.sleep(600)
"""


def test_killed_user_of_a_given_server_leaves_no_database(launch: Launcher) -> None:
    """The server is not ours and stays; what we made on it goes."""
    url = launch("postgres", engine="embedded").server.url
    with subprocess.Popen([sys.executable, "-c", USER, url], stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout is not None
        prefix = user.stdout.readline().strip()
        assert _databases(url, prefix) == [f"{prefix}_main"]
        guard = [child for child in psutil.Process(user.pid).children() if "guard" in " ".join(child.cmdline())]
        user.send_signal(signal.SIGKILL)
    assert guard
    _, alive = psutil.wait_procs(guard, timeout=WAIT_SECONDS)
    assert not alive
    assert _databases(url, prefix) == []


def _databases(url: str, prefix: str) -> list[str]:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (prefix,))
        return [name for (name,) in cursor.fetchall()]


def test_orderly_end_dismisses_the_guard(tmp_path: Path) -> None:
    """A run that cleans up by itself leaves no guard process, and nothing for it to do."""
    run = Run()
    folder = run.folder("test", tmp_path)
    (guard,) = [one for one in psutil.Process().children() if "guard" in " ".join(one.cmdline())]
    run.close()
    assert not guard.is_running()
    assert not folder.exists()


def test_folder_is_private(tmp_path: Path) -> None:
    """Nobody else may look into a run's folders."""
    run = Run()
    try:
        assert run.folder("test", tmp_path).stat().st_mode & 0o077 == 0
    finally:
        run.close()
