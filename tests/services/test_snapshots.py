"""Snapshots: the second run starts with the schema of the first one; what is wrong with it costs nothing."""

import contextlib
import io
import os
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest
import spoiling

from realdb_ci import archive, services
from realdb_ci.config import Config
from realdb_ci.engines import contract, snapshots
from realdb_ci.servers import Servers
from realdb_ci.services.contract import Wish

MODULE = """
from pathlib import Path

def make(connection):
    with (Path(__file__).parent / "runs.txt").open("a") as file:
        file.write("ran\\n")
    connection.exec_driver_sql("CREATE TABLE shelf (name text)")
    connection.exec_driver_sql("INSERT INTO shelf VALUES ('first')")
"""
TESTS = """
import pytest
from sqlalchemy import text

@pytest.mark.parametrize("turn", [pytest.param(1, marks=pytest.mark.realdb(commit=True)), 2])
def test_it(db_session, turn):
    assert db_session.execute(text("SELECT name FROM shelf")).scalars().all() == ["first"]
    db_session.execute(text("INSERT INTO shelf VALUES ('second')"))
    db_session.commit()
"""
SCHEMA = "--realdb-schema=shelves:make"
ENGINES = ["embedded", pytest.param("docker", marks=pytest.mark.docker)]
Run = Callable[..., pytest.RunResult]


@pytest.fixture
def cache(pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's cache folder, and a project whose schema notes when it is built."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setenv("REALDB_CI_SNAPSHOTS", "true")
    pytester.makepyfile(shelves=MODULE, test_shelf=TESTS)
    return folder / "realdb-ci" / "snapshots"


@pytest.fixture
def run(pytester: pytest.Pytester, cache: Path) -> Run:
    """Run the project's tests, which pass, whatever they start from."""

    def made(*arguments: str, engine: str = "embedded") -> pytest.RunResult:
        done = pytester.runpytest_subprocess(
            "-p", "no:cacheprovider", "-W", "error", f"--realdb-engine={engine}", SCHEMA, *arguments
        )
        done.assert_outcomes(passed=2)
        return done

    return made


def _times_built(pytester: pytest.Pytester) -> int:
    return len((pytester.path / "runs.txt").read_text().splitlines())


def _said(done: pytest.RunResult) -> str:
    (line,) = {line for line in done.outlines if line.startswith("postgres: ")}
    return line


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "workers"])
def test_second_run_builds_nothing(
    pytester: pytest.Pytester, run: Run, cache: Path, engine: str, workers: tuple[str, ...]
) -> None:
    """The schema's function runs once in two runs, and its rows are there in both."""
    first = run(*workers, engine=engine)
    assert "snapshot" not in _said(first)
    (file,) = cache.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert _said(run(*workers, engine=engine)).endswith(", from a snapshot")
    assert _times_built(pytester) == 1
    assert [*cache.iterdir()] == [file]


@pytest.mark.docker
@pytest.mark.parametrize("image", ["postgres:15-alpine", "postgres:18-alpine"])
def test_data_of_each_images_layout_are_put_back(
    pytester: pytest.Pytester, run: Run, cache: Path, image: str
) -> None:
    """Since version 18 the folder of the data lies below others, which the image's account has to pass through."""
    wanted = f"--realdb-service={image}"
    run(wanted, engine="docker")
    assert _said(run(wanted, engine="docker")).endswith(", from a snapshot")
    assert _times_built(pytester) == 1


def test_command_line_and_pytest_share_a_snapshot(pytester: pytest.Pytester, run: Run) -> None:
    """The process that owns the servers keeps it, whichever that is."""
    command = [
        sys.executable,
        "-m",
        "realdb_ci",
        "run",
        ".",
        "--engine=embedded",
        "--",
        SCHEMA,
        "-pno:cacheprovider",
    ]
    assert subprocess.run(command, cwd=pytester.path, check=False, stdout=subprocess.DEVNULL).returncode == 0
    assert _said(run()).endswith(", from a snapshot")
    assert _times_built(pytester) == 1


def test_changed_schema_is_built_again_and_both_are_kept(pytester: pytest.Pytester, run: Run) -> None:
    """Whoever changes a branch and comes back builds each schema once."""
    run()
    pytester.makepyfile(shelves=MODULE.replace("name text", "name text, pages int"))
    run()
    pytester.makepyfile(shelves=MODULE)
    run()
    assert _times_built(pytester) == 2


def test_another_function_of_the_same_module_is_another_schema(pytester: pytest.Pytester, run: Run) -> None:
    """The file is the same, what is built is not."""
    other = (
        MODULE.replace("from pathlib import Path", "").replace("def make", "def other").replace("'first'", "'x'")
    )
    pytester.makepyfile(shelves=MODULE + other)
    run()
    pytester.makepyfile(test_shelf=TESTS.replace('["first"]', '["x"]'))
    run("--realdb-schema=shelves:other")
    assert _times_built(pytester) == 2


def test_what_the_schema_imports_and_reads_counts_as_its_code(pytester: pytest.Pytester, run: Run) -> None:
    """A helper module of the project and a file of data are dependencies like the function's own text."""
    pytester.makepyfile(shelves="import helper\n" + MODULE, helper="size = 1")
    (pytester.path / "rows.sql").write_text("SELECT 1")
    run()
    pytester.makepyfile(helper="size = 12")
    run()
    (pytester.path / "rows.sql").write_text("SELECT 2")
    run()
    run()
    assert _times_built(pytester) == 3


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("CREATE ROLE librarian", "the schema makes the role librarian"),
        ("ALTER ROLE CURRENT_USER SET work_mem = '8MB'", "the schema changes settings of roles or other databases"),
        ("ALTER SYSTEM SET work_mem = '8MB'", "the schema changes the setting work_mem of the server"),
    ],
)
def test_schema_that_changes_the_server_as_a_whole_is_not_kept_and_that_is_said(
    pytester: pytest.Pytester, run: Run, cache: Path, statement: str, why: str
) -> None:
    """Its next version would find what this one made outside its database, and fail on it."""
    # ALTER SYSTEM wants no transaction around it.
    alone = f"""
    own = connection.engine.execution_options(isolation_level="AUTOCOMMIT").connect()
    own.exec_driver_sql("{statement}")
    own.close()
"""
    pytester.makepyfile(shelves=MODULE + alone)
    told = run().stdout.str()
    assert told.count("postgres: snapshot not kept: ") == 1
    assert f"postgres: snapshot not kept: {why}" in told
    assert not [*cache.glob("*")]


MIGRATION = """
from alembic import op
revision, down_revision = "1", None
def upgrade():
    op.execute("CREATE TABLE shelf (name text)")
    op.execute("INSERT INTO shelf VALUES ('first')")
"""
MIGRATION_ENV = """
from alembic import context
from sqlalchemy import create_engine
engine = create_engine(context.config.get_main_option("sqlalchemy.url"))
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
"""


def _passes(pytester: pytest.Pytester, columns: list[str], *, kept: bool) -> None:
    """The tests see these columns, on the server of a snapshot or on a new one."""
    pytester.makepyfile(
        test_shelf="from sqlalchemy import inspect\n"
        "def test_it(db_session):\n"
        "    found = inspect(db_session.connection()).get_columns('shelf')\n"
        f"    assert [one['name'] for one in found] == {columns}\n"
    )
    flags = ("-p", "no:cacheprovider", "--realdb-engine=embedded", "--realdb-schema=alembic.ini")
    done = pytester.runpytest_subprocess(*flags)
    done.assert_outcomes(passed=1)
    assert ("from a snapshot" in _said(done)) == kept


def test_changed_migration_never_gives_the_old_schema(pytester: pytest.Pytester, cache: Path) -> None:
    """A migration changed in place, and one that is added: the tests see the new columns each time."""
    (pytester.path / "alembic.ini").write_text("[alembic]\nscript_location = migrations\n")
    versions = pytester.mkdir("migrations") / "versions"
    versions.mkdir()
    (versions.parent / "env.py").write_text(MIGRATION_ENV)
    (versions / "first.py").write_text(MIGRATION)
    _passes(pytester, ["name"], kept=False)
    _passes(pytester, ["name"], kept=True)
    (versions / "first.py").write_text(MIGRATION.replace("name text", "name text, pages int"))
    _passes(pytester, ["name", "pages"], kept=True)  # the server is, the schema is not
    added = MIGRATION.replace('"1", None', '"2", "1"').replace(
        "CREATE TABLE shelf (name text)", "ALTER TABLE shelf ADD size int"
    )
    (versions / "second.py").write_text(added.replace("INSERT INTO shelf VALUES ('first')", "SELECT 1"))
    _passes(pytester, ["name", "pages", "size"], kept=True)


# How alembic.ini or pyproject.toml says where env.py is and where the migrations are.
PLACES = {
    "a package": ("shop/scripts", "shop/scripts/versions", "script_location = shop:scripts", ""),
    "elsewhere": ("scripts", "changes", "script_location = scripts\nversion_locations = %(here)s/changes", ""),
    "pyproject": ("scripts", "scripts/versions", "", '[tool.alembic]\nscript_location = "%(here)s/scripts"\n'),
}


@pytest.mark.parametrize("place", PLACES)
def test_changed_migration_is_noticed_wherever_alembic_finds_it(
    pytester: pytest.Pytester, cache: Path, place: str
) -> None:
    """In a package, in folders of their own, and where pyproject.toml names them."""
    scripts, versions, says, pyproject = PLACES[place]
    (pytester.path / "alembic.ini").write_text(f"[alembic]\nprepend_sys_path = .\npath_separator = os\n{says}\n")
    (pytester.path / "pyproject.toml").write_text(pyproject)
    for folder in ("shop", scripts, versions):
        (pytester.path / folder).mkdir(parents=True, exist_ok=True)
    (pytester.path / "shop" / "__init__.py").touch()
    (pytester.path / scripts / "env.py").write_text(MIGRATION_ENV)
    (pytester.path / versions / "first.py").write_text(MIGRATION)
    _passes(pytester, ["name"], kept=False)
    (pytester.path / versions / "first.py").write_text(MIGRATION.replace("name text", "name text, pages int"))
    _passes(pytester, ["name", "pages"], kept=True)


def test_another_version_of_a_package_builds_again(pytester: pytest.Pytester, run: Run) -> None:
    """What a schema takes from an installed package changes with it."""
    pytester.syspathinsert()
    made = pytester.mkdir("shapes-1.0.dist-info")
    pytester.makepyfile(shelves=MODULE)
    run()
    made.rename(made.with_name("shapes-1.1.dist-info"))
    run()
    run()
    assert _times_built(pytester) == 2


def test_changed_application_code_builds_nothing(pytester: pytest.Pytester, run: Run) -> None:
    """What the schema does not import does not count."""
    pytester.makepyfile(application="a = 1")
    run()
    pytester.makepyfile(application="a = 2")
    run()
    assert _times_built(pytester) == 1


def test_what_tests_do_to_the_server_does_not_reach_the_next_run(pytester: pytest.Pytester, run: Run) -> None:
    """A role that a test makes and forgets is unknown to the next run, which can make it again."""
    pytester.makepyfile(
        test_shelf=TESTS.replace("def test_it(db_session, turn):", "def test_it(db_session, turn, request):")
        + "    if turn == 1: db_session.execute(text('CREATE ROLE forgotten')); db_session.commit()\n"
    )
    run()
    run()
    assert _times_built(pytester) == 1


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


def _foreign_version(file: Path) -> None:
    spoiling.changed(file, "PG_VERSION", b"9.6\n")


def _standby(file: Path) -> None:
    spoiling.changed(file, "standby.signal", b"")


def _tablespace(file: Path) -> None:
    spoiling.changed(file, "tablespace_map", b"16385 /etc\n")


@dataclass
class Kept:
    """A folder of snapshots, and servers that use it."""

    wish: Wish
    folder: Path

    def start(self) -> tuple[str, list[tuple[object, ...]]]:
        """What a server says of its snapshot, and what it answers."""
        with Servers(snapshots=snapshots.Snapshots(self.folder, "project")) as servers:
            server = servers.get(self.wish)
            if not server.snapshot:
                servers.built(self.wish)
            with contextlib.closing(psycopg2.connect(server.url)) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                return server.snapshot, cursor.fetchall()


@pytest.fixture(scope="module", params=ENGINES)
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, mirror: str) -> Kept:
    """A folder with the snapshot of a server, of each engine."""
    wish = services.wishes(Config(engine=request.param, mirror=mirror))["postgres"]
    kept = Kept(wish, tmp_path_factory.mktemp("kept") / "snapshots")
    kept.start()
    return kept


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (spoiling.truncated, "ended before the end-of-stream marker"),
        (spoiling.garbage, "Not a gzipped file"),
        (spoiling.of_another_server, "it is of another server"),
        (spoiling.without_data, "no server starts from it"),
        (spoiling.leading_out, "leads elsewhere"),
        (spoiling.link, "is neither file nor folder"),
        (spoiling.device, "is neither file nor folder"),
        (spoiling.absolute, "leads elsewhere"),
        (spoiling.larger_than_any, "it is larger than any of ours"),
        (_foreign_version, "no server starts from it"),
        (_standby, "it is the copy of another server's standby"),
        (_tablespace, "it has tablespaces elsewhere"),
        (spoiling.others_may_write, "others may write it"),
        (spoiling.itself_a_link, "it is not a file"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_unusable_snapshot_is_not_used(
    filled: Kept, tmp_path: Path, spoil: Callable[[Path], None], why: str
) -> None:
    """A server starts without it and says why, and the file is gone."""
    shutil.copytree(filled.folder, tmp_path / "snapshots")
    kept = Kept(filled.wish, tmp_path / "snapshots")
    (file,) = kept.folder.iterdir()
    spoil(file)
    told, answer = kept.start()
    assert told.startswith("warning: its snapshot was removed: ")
    assert why in told
    assert answer == [(1,)]
    assert not os.path.lexists(file)
    assert not [*tmp_path.rglob("escaped")]


@pytest.mark.parametrize("engine", ENGINES)
def test_unusable_snapshot_is_one_warning(run: Run, cache: Path, engine: str) -> None:
    """The run is green, says once why the snapshot is gone, builds its schema and keeps it for the next one."""
    run(engine=engine)
    (file,) = cache.iterdir()
    spoiling.truncated(file)
    done = run(engine=engine)
    assert "warning: its snapshot was removed: " in _said(done)
    assert done.stdout.str().count("its snapshot was removed") == 1
    assert _said(run(engine=engine)).endswith(", from a snapshot")


@pytest.mark.parametrize("engine", ENGINES)
def test_configuration_in_a_snapshot_is_never_taken(
    pytester: pytest.Pytester, run: Run, cache: Path, engine: str
) -> None:
    """Neither a program to run, nor a way in without a password; the language and the zone are kept."""
    run(engine=engine)
    (file,) = cache.iterdir()
    _, data = archive.plain(file, {})
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        (theirs,) = [tar.extractfile(one) for one in tar if one.name == "postgresql.conf"]
        assert theirs is not None
        text = theirs.read()
    program = b"archive_mode = on\narchive_command = 'touch /tmp/escaped'\nwork_mem = '3MB'\n"
    spoiling.changed(file, "postgresql.conf", text + program + b"timezone = 'Asia/Tokyo'\n")
    spoiling.changed(file, "postgresql.auto.conf", program)
    spoiling.changed(file, "pg_hba.conf", b"host all all all trust\n")
    pytester.makepyfile(
        test_shelf="""
import psycopg2, pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

@pytest.mark.parametrize("turn", [1, 2])
def test_it(db_session, postgres_url, turn):
    ask = lambda name: db_session.execute(text(f"SHOW {name}")).scalar()
    assert (ask("archive_mode"), ask("work_mem"), ask("TimeZone")) == ("off", "4MB", "Asia/Tokyo")
    wrong = make_url(postgres_url).set(password="wrong").render_as_string(hide_password=False)
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(wrong)
"""
    )
    assert _said(run(engine=engine)).endswith(", from a snapshot")


def _data() -> bytes:
    """A tar file with one large file in it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        member = tarfile.TarInfo("file")
        member.size = 1 << 20
        tar.addfile(member, io.BytesIO(os.urandom(member.size)))
    return stream.getvalue()


@pytest.fixture
def one() -> Iterator[contract.Run]:
    """A run that has ended when the test is over."""
    made = contract.Run()
    yield made
    made.close()


@contextlib.contextmanager
def _full_disk() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_copy_is_compressed_when_there_is_time(tmp_path: Path, one: contract.Run) -> None:
    """What the tests have to wait for is the copy; the snapshot is in its place only when it is whole."""
    slot = snapshots.Snapshots(tmp_path / "kept", "project").slot("postgres", "words")
    finish = slot.save(lambda: io.FileIO(_piped(_data())), "secret", one)
    assert not slot.filled
    finish()
    assert [*(tmp_path / "kept").iterdir()] == [slot.file]
    assert archive.plain(slot.file, {})[0] == {"key": slot.key, "secret": "secret"}


def test_full_disk_leaves_nothing(tmp_path: Path, one: contract.Run) -> None:
    """A snapshot that finds no room is told, and what there was of it is gone."""
    slot = snapshots.Snapshots(tmp_path / "kept", "project").slot("postgres", "words")
    with _full_disk():
        slot.save(lambda: io.FileIO(_piped(_data())), "secret", one)
    assert not [*(tmp_path / "kept").iterdir()]
    finish = slot.save(lambda: io.FileIO(_piped(_data())), "secret", one)
    with _full_disk():
        finish()
    assert not [*(tmp_path / "kept").iterdir()]


def test_interrupted_run_leaves_a_whole_snapshot_or_none(tmp_path: Path) -> None:
    """It does not wait for the compression, which comes to its end or is given up."""
    wish = services.wishes(Config(engine="embedded"))["postgres"]
    kept = tmp_path / "kept"
    with contextlib.suppress(KeyboardInterrupt), Servers(snapshots=snapshots.Snapshots(kept, "project")) as servers:
        servers.get(wish)
        servers.built(wish)
        raise KeyboardInterrupt
    deadline = time.monotonic() + 20
    while [path for path in kept.iterdir() if path.is_dir()]:
        assert time.monotonic() < deadline, [*kept.rglob("*")]
    for file in kept.iterdir():
        archive.plain(file, {})


def _piped(data: bytes) -> int:
    """The reading end of a pipe that these bytes come out of."""
    reading, writing = os.pipe()

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb") as file:
            file.write(data)

    threading.Thread(target=write).start()
    return reading


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_snapshot_of_another_user_is_not_used(pytester: pytest.Pytester, run: Run, cache: Path) -> None:
    """Data of somebody else's making would run as code of ours."""
    run()
    (file,) = cache.iterdir()
    os.chown(file, 65534, 65534)
    assert "removed: it belongs to another user" in _said(run())


def test_folder_that_cannot_be_written_stops_no_run(pytester: pytest.Pytester, run: Run, cache: Path) -> None:
    """The trouble is told, and that is all."""
    cache.parent.mkdir(parents=True)
    cache.write_text("in the way")
    done = run()
    assert "postgres: snapshot not kept: " in done.stdout.str()


def test_two_runs_at_once_do_not_disturb_each_other(pytester: pytest.Pytester, run: Run, cache: Path) -> None:
    """Both are green, and what they leave is one whole snapshot."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--realdb-engine=embedded", SCHEMA]
    both = [subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0]
    assert len([*cache.iterdir()]) == 1
    assert _said(run()).endswith(", from a snapshot")


def test_trouble_that_comes_late_is_told(pytester: pytest.Pytester, run: Run, cache: Path) -> None:
    """What fails while tests run, as on a disk that fills, is in the summary, and no test is the worse for it."""
    pytester.makeconftest(
        "import time\n"
        "from realdb_ci import archive\n"
        "def full(*_):\n"
        "    time.sleep(2)  # a slow disk\n"
        "    raise OSError('no space left')\n"
        "archive.repack = full\n"
    )
    assert "postgres: snapshot not kept: no space left" in run().stdout.str()
    assert not [*cache.iterdir()]


def test_killed_run_leaves_no_half_snapshot(pytester: pytest.Pytester, cache: Path) -> None:
    """The guard takes away what was being written."""
    pytester.makeconftest(
        "import os, signal\n"
        "from realdb_ci import archive\n"
        "def half(stream, file, *_):\n"
        "    file.write_bytes(stream.read(1000))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "archive.repack = half\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--realdb-engine=embedded", SCHEMA]
    done = subprocess.run(command, cwd=pytester.path, stdout=subprocess.DEVNULL, check=False)
    assert done.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 20
    while [*cache.iterdir()]:
        assert time.monotonic() < deadline, [*cache.rglob("*")]


def test_those_unused_for_longest_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither their number nor their size grows without end."""
    for age in range(4):
        file = tmp_path / f"postgres-{age}{snapshots.ENDING}"
        file.write_bytes(b"x" * 100)
        os.utime(file, (1000 - age, 1000 - age))
    monkeypatch.setattr(snapshots, "FILES_LIMIT", 3)
    snapshots.prune(tmp_path)
    assert {path.name[9] for path in tmp_path.iterdir()} == {"0", "1", "2"}
    monkeypatch.setattr(snapshots, "BYTES_LIMIT", 250)
    snapshots.prune(tmp_path)
    assert {path.name[9] for path in tmp_path.iterdir()} == {"0", "1"}
