"""Snapshots: the second run starts with the schema of the first one; what is wrong with it costs nothing."""

import gzip
import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from realdb_ci import archive
from realdb_ci.engines import snapshots

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


@pytest.mark.parametrize("statement", ["CREATE ROLE librarian", "ALTER ROLE CURRENT_USER SET work_mem = '8MB'"])
def test_schema_that_changes_the_server_as_a_whole_is_not_kept(
    pytester: pytest.Pytester, run: Run, cache: Path, statement: str
) -> None:
    """Its next version would find what this one made outside its database, and fail on it."""
    pytester.makepyfile(shelves=MODULE + f'    connection.exec_driver_sql("{statement}")\n')
    run()
    assert not cache.exists()
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


def _truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])


def _garbage(file: Path) -> None:
    file.write_bytes(os.urandom(1000))


def _of_another_server(file: Path) -> None:
    note, _ = archive.plain(file)
    _repacked(file, {**note, "key": "0" * 24}, [])


def _without_data(file: Path) -> None:
    note, _ = archive.plain(file)
    _repacked(file, note, [])


def _leading_out(file: Path) -> None:
    note, _ = archive.plain(file)
    _repacked(file, note, [tarfile.TarInfo("content/../../../escaped")])


def _link(file: Path) -> None:
    note, _ = archive.plain(file)
    link = tarfile.TarInfo("content/base")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc"
    _repacked(file, note, [link, tarfile.TarInfo("content/base/escaped")])


def _others_may_write(file: Path) -> None:
    file.chmod(0o666)


def _itself_a_link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def _repacked(file: Path, note: dict[str, object], members: list[tarfile.TarInfo]) -> None:
    empty = io.BytesIO()
    with tarfile.open(fileobj=empty, mode="w"):
        pass
    archive.repack(io.BytesIO(empty.getvalue()), file, note, ())
    with gzip.open(file) as compressed, tarfile.open(fileobj=compressed) as tar:
        kept = [(member, tar.extractfile(member)) for member in tar]
        with gzip.open(file.with_name("made"), "wb") as out, tarfile.open(fileobj=out, mode="w") as made:
            for member, content in kept:
                made.addfile(member, content)
            for member in members:
                made.addfile(member)
    file.with_name("made").replace(file)
    file.chmod(0o600)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (_truncated, "ended before the end-of-stream marker"),
        (_garbage, "Not a gzipped file"),
        (_of_another_server, "it is of another server"),
        (_without_data, "no server starts from it"),
        (_leading_out, "leads elsewhere"),
        (_link, ""),
        (_others_may_write, "others may write it"),
        (_itself_a_link, "it is not a file"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_unusable_snapshot_is_one_warning(
    run: Run, cache: Path, engine: str, spoil: Callable[[Path], None], why: str
) -> None:
    """The run is green, says once why the snapshot is gone, builds its schema and keeps it for the next one."""
    run(engine=engine)
    (file,) = cache.iterdir()
    spoil(file)
    done = run(engine=engine)
    assert "warning: its snapshot was removed: " in _said(done)
    assert why in _said(done)
    assert done.stdout.str().count("its snapshot was removed") == 1
    assert not [*cache.parents[1].rglob("escaped")]
    assert _said(run(engine=engine)).endswith(", from a snapshot")


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
