"""The command line as a person uses it: whole processes, their output, their exit code, and what they leave."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from junitparser import JUnitXml
from leftovers import MARK, TELL_RUN, containers, processes

from realdb_ci import results, run

Realdb = Callable[..., subprocess.CompletedProcess[str]]
SECONDS = 120
HANGING = f"""
import threading

def test_first(db_session): pass

def test_hangs(db_session, postgres_url):
    {TELL_RUN}
    open("hanging", "w").close()
    threading.Event().wait()
"""
PASSING = f"""
def test_it(db_session, postgres_url):
    {TELL_RUN}

def test_plain(): pass
"""


@pytest.fixture
def realdb(tmp_path: Path) -> Realdb:
    """Run ``realdb-ci`` in the test's folder and wait for its end."""

    def call(*words: object, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "realdb_ci", *map(str, words)],
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "120", MARK: str(tmp_path), **environ},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    return call


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project with one test on PostgreSQL and one without."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (folder / "test_shelf.py").write_text(PASSING)
    return folder


def _left(project: Path) -> list[str]:
    """What still runs of the run on this project."""
    told = project / "run"
    return processes(str(project.parent), told.read_text() if told.exists() else None)


def test_green_run_writes_every_report_and_exits_0(realdb: Realdb, project: Path, tmp_path: Path) -> None:
    """Events, JUnit and summary lie in the output folder; the terminal says which server it was."""
    done = realdb("run", project, "--engine", "embedded")
    assert done.returncode == 0, done.stdout + done.stderr
    out = tmp_path / ".realdb-ci"
    reports = {"junit.xml", "report.html", "report.sarif", "summary.md"}
    assert {file.name for file in out.iterdir()} == {"events.jsonl", *reports}
    found = results.read(out / "events.jsonl")
    assert [case.outcome for case in found.cases] == ["passed", "passed"]
    assert JUnitXml.fromfile(str(out / "junit.xml")).tests == 2
    assert "PostgreSQL" in (out / "summary.md").read_text()
    assert "postgres: embedded, PostgreSQL" in done.stdout
    assert _left(project) == []


def test_projects_share_servers_and_reports(realdb: Realdb, project: Path, tmp_path: Path) -> None:
    """Two projects in one run: one PostgreSQL, a database each, one report."""
    second = tmp_path / "second"
    second.mkdir()
    (second / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (second / "test_second.py").write_text(PASSING)
    done = realdb("run", project, second, "--engine", "embedded", "--out", "out")
    assert done.returncode == 0, done.stdout + done.stderr
    found = results.read(tmp_path / "out" / "events.jsonl")
    assert [suite.project for suite in found.suites] == ["shelf", "second"]
    assert len(found.cases) == 4
    assert done.stdout.count("starting postgres") == 1


def test_failing_test_exits_1_and_pytest_arguments_pass(realdb: Realdb, project: Path) -> None:
    """What stands behind -- goes to pytest."""
    (project / "test_shelf.py").write_text("def test_good(): pass\ndef test_bad(): assert 0\n")
    assert realdb("run", project).returncode == 1
    assert realdb("run", project, "--", "-k", "good").returncode == 0


def test_services_are_booted_ahead_and_may_be_named_in_one_flag(
    realdb: Realdb, project: Path, tmp_path: Path
) -> None:
    """``--services a,b`` starts both, whether or not a test asks for them."""
    (project / "test_shelf.py").write_text("def test_plain(): pass\n")
    done = realdb("run", project, "--engine", "embedded", "--services", "postgres,mongodb")
    assert done.returncode == 0
    assert "starting postgres" in done.stdout
    assert "starting mongodb" in done.stdout


def test_xdist_suite_runs_on_the_commands_servers(realdb: Realdb, project: Path, tmp_path: Path) -> None:
    """Workers of the child ask their controller, and that asks the command: still one server."""
    (project / "test_shelf.py").write_text(
        "import pytest\n@pytest.mark.parametrize('n', range(8))\ndef test_it(db_session, n): pass\n"
    )
    done = realdb("run", project, "--engine", "embedded", "--", "-n", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    suite = results.read(tmp_path / ".realdb-ci" / "events.jsonl").suites[0]
    assert len(suite.servers) == 1
    assert {phase.worker for case in suite.cases for phase in case.phases} == {"gw0", "gw1"}


BAD_INPUT = {
    "unknown service": (["--services", "mysql"], 2, ["Unknown service 'mysql'", "postgres, mongodb"]),
    "unreadable image": (["--services", "postgres=Post Gres"], 2, ["image name 'Post Gres'", "postgres:17-alpine"]),
    "wrong URL": (["--services", "postgres=mysql://h/d"], 2, ["not one of PostgreSQL", "postgresql://"]),
    "unknown engine": (["--engine", "podman"], 2, ["podman", "auto"]),
    "unknown option": (["--frobnicate"], 2, ["--frobnicate"]),
    "pytest's option": (["--", "--nope"], 2, ["pytest refused its arguments", "unrecognized arguments: --nope"]),
    "pytest's path": (["--", "nowhere/test_it.py"], 2, ["pytest refused", "not found: nowhere/test_it.py"]),
    "port refused": (["--services", "postgres=postgresql://u:secret@127.0.0.1:1/d"], 3, ["127.0.0.1:1", "refused"]),
    "no daemon": (["--engine", "docker"], 3, ["Docker daemon does not answer", "DOCKER_HOST"]),
}


@pytest.mark.parametrize(("words", "code", "said"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_flags_end_with_one_message_and_the_right_code(
    realdb: Realdb, project: Path, words: list[str], code: int, said: list[str]
) -> None:
    """The thing, the cause and the remedy are named, nothing is left running, no password is shown."""
    done = realdb("run", project, *words, DOCKER_HOST="unix:///nowhere/docker.sock")
    output = done.stdout + done.stderr
    assert done.returncode == code, output
    for text in said:
        assert text in output
    assert "Traceback" not in output
    assert "secret" not in output
    assert _left(project) == []


BAD_SETTINGS = {
    "unknown key": ('[tool.realdb-ci]\nengin = "docker"\n', ["'engin'", "Did you mean 'engine'?"]),
    "wrong value": ('[tool.realdb-ci]\nstrict = "yes"\n', ["'strict'", "true or false"]),
    "broken file": ("[tool.realdb-ci\n", ["not valid TOML"]),
    "schema": ('[tool.realdb-ci]\nengine="embedded"\nschema = "nowhere:metadata"\n', ["No module named 'nowhere'"]),
}


@pytest.mark.parametrize(("text", "said"), BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_bad_settings_exit_2_and_what_ran_is_reported(
    realdb: Realdb, project: Path, text: str, said: list[str]
) -> None:
    """A setting that cannot be used is a bad setting wherever it is noticed."""
    (project / "pyproject.toml").write_text(text)
    done = realdb("run", project)
    output = " ".join((done.stdout + done.stderr).split())  # a long path wraps the line
    assert done.returncode == 2, output
    for words in said:
        assert words in output
    assert _left(project) == []


def test_wrong_password_exits_3_and_other_tests_are_reported(realdb: Realdb, project: Path, tmp_path: Path) -> None:
    """A server that turns us away fails the tests that need it; the others are in the report."""
    (project / "test_outer.py").write_text(
        "import subprocess, sys, os\n"
        "def test_inner(postgres_server):\n"
        "    password = postgres_server.url.partition('realdb:')[2].partition('@')[0]\n"
        "    url = postgres_server.url.replace(password, 'mistaken-word')\n"
        "    environ = {**os.environ, 'REALDB_CI_POSTGRES_URL': url}\n"
        "    environ.pop('REALDB_CI_BROKER')\n"
        "    done = subprocess.run([sys.executable, '-m', 'realdb_ci', 'run', '.', '--out', '../inner', '--',\n"
        "        'test_shelf.py'], env=environ, capture_output=True, text=True)\n"
        "    assert done.returncode == 3, done.stdout + done.stderr\n"
        "    assert 'refuses us' in done.stdout and 'mistaken-word' not in done.stdout\n"
    )
    done = realdb("run", project, "--engine", "embedded", "--", "test_outer.py")
    assert done.returncode == 0, done.stdout
    inner = results.read(tmp_path / "inner" / "events.jsonl")
    assert sorted(case.outcome for case in inner.cases) == ["error", "passed"]


def test_reports_of_an_earlier_run_are_gone_when_a_run_begins(tmp_path: Path) -> None:
    """A run that is killed makes none of its own, and nobody is to take the old ones for its."""
    theirs = [
        tmp_path / name for name in ("events.jsonl", "junit.xml", "report.html", "report.sarif", "summary.md")
    ]
    mine = tmp_path / "notes.md"
    for file in (*theirs, mine):
        file.touch()
    run.fresh(tmp_path)
    assert list(tmp_path.iterdir()) == [mine]


def test_record_survives_tests_that_clean_up_the_checkout(realdb: Realdb, project: Path) -> None:
    """What ``git clean`` removes within a suite is there when it has ended."""
    (project / "test_shelf.py").write_text(
        "import shutil\ndef test_before(): pass\n"
        "def test_cleans(): shutil.rmtree('../.realdb-ci')\n"
        "def test_fails(db_session): assert False\n",
        encoding="utf-8",
    )
    done = realdb("run", project, "--engine", "embedded")
    assert done.returncode == 1
    assert "1 failed" in done.stdout
    assert "2 passed" in done.stdout
    (one,) = results.read(project.parent / ".realdb-ci" / "events.jsonl").suites
    assert one.finished
    assert one.servers


def test_project_that_loads_no_plugin_by_itself_has_ours(realdb: Realdb, project: Path) -> None:
    """Switched off entry points do not switch us off, and there is nothing to warn of."""
    done = realdb("run", project, "--engine", "embedded", "--", "-W", "error", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert done.returncode == 0, done.stdout


def test_conftest_that_cannot_be_imported_is_named(realdb: Realdb, project: Path) -> None:
    """Pytest takes it for a usage error; the reason is in the report."""
    (project / "conftest.py").write_text("import nowhere\n", encoding="utf-8")
    done = realdb("run", project)
    assert done.returncode == 2
    summary = (project.parent / ".realdb-ci" / "summary.md").read_text(encoding="utf-8")
    assert "No module named 'nowhere'" in summary


@pytest.mark.parametrize(("name", "why"), [("nowhere", "does not exist"), ("shelf/test_shelf.py", "it is a file")])
def test_project_that_is_no_folder_exits_2(realdb: Realdb, project: Path, name: str, why: str) -> None:
    """The folder is named with what is wrong about it."""
    for command in ("run", "doctor"):
        done = realdb(command, name)
        assert done.returncode == 2
        assert name in done.stderr
        assert why in done.stderr


def test_project_without_tests_exits_1_and_says_so(realdb: Realdb, project: Path) -> None:
    """No tests collected is no success."""
    (project / "test_shelf.py").unlink()
    done = realdb("run", project)
    assert done.returncode == 1
    assert "no tests" in done.stdout.lower()


def test_output_folder_that_cannot_be_made_exits_2(realdb: Realdb, project: Path, tmp_path: Path) -> None:
    """A file in the way is named before anything is started."""
    (tmp_path / "out").write_text("in the way")
    done = realdb("run", project, "--out", "out/deeper")
    assert done.returncode == 2
    assert "out/deeper" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_reports_and_leaves_nothing(project: Path, tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end with 130, a report of what ran so far, and no server left."""
    (project / "test_shelf.py").write_text(HANGING)
    command = [sys.executable, "-m", "realdb_ci", "run", str(project), "--engine", "embedded"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        _wait_for(project / "hanging", process)
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        output, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, output
    assert len(family) > 2
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    found = results.read(tmp_path / ".realdb-ci" / "events.jsonl")
    outcomes = {case.nodeid.partition("::")[2]: case.outcome for case in found.cases}
    assert outcomes["test_first"] == "passed"
    assert "test_hangs" in output
    assert (tmp_path / ".realdb-ci" / "junit.xml").exists()


def _wait_for(file: Path, process: subprocess.Popen[str]) -> None:
    """Wait until the tests of a running suite have made this file."""
    while not file.exists():
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(f"the run ended before {file.name} was there")


def test_doctor_names_what_would_serve_and_why_not_the_others(realdb: Realdb) -> None:
    """One table a service; without Docker the embedded server would serve."""
    done = realdb("doctor", DOCKER_HOST="unix:///nowhere/docker.sock")
    assert done.returncode == 0, done.stdout
    for words in ("PostgreSQL", "MongoDB", "would", "does not answer", "REALDB_CI_POSTGRES_URL"):
        assert words in done.stdout


def test_doctor_exits_3_where_a_service_cannot_be_had(realdb: Realdb) -> None:
    """With only Docker allowed and no Docker, nothing serves."""
    assert realdb("doctor", "--engine", "docker", DOCKER_HOST="unix:///nowhere/docker.sock").returncode == 3


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["doctor", "--help"], ["--version"]])
def test_help_is_there(realdb: Realdb, words: list[str]) -> None:
    """Every command explains itself."""
    done = realdb(*words)
    assert done.returncode == 0
    assert "realdb" in done.stdout.lower() or "Usage" in done.stdout


BAD_IMAGES = {
    "cannot be pulled": ("postgres:404", ["postgres:404 cannot be pulled", "docker login"]),
    "exits": ("postgres={mirror}/exits:1", ["exit code 7", "could not read the settings", "shutting down"]),
}


@pytest.mark.docker
@pytest.mark.usefixtures("docker_engine")
@pytest.mark.parametrize(("service", "said"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_bad_image_exits_3_with_its_own_words(
    realdb: Realdb, project: Path, mirror: str, service: str, said: list[str]
) -> None:
    """The registry's or the container's last words are in the report, and the other test is too."""
    done = realdb("run", project, "--engine", "docker", "--services", service.format(mirror=mirror))
    assert done.returncode == 3, done.stdout
    for words in said:
        assert words in done.stdout
    assert "1 error, 1 passed" in done.stdout


@pytest.mark.docker
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_run_leaves_no_container(project: Path, tmp_path: Path, number: signal.Signals) -> None:
    """However a run ends, its container and its suite go: by themselves, or by the guard after SIGKILL."""
    (project / "test_shelf.py").write_text(HANGING)
    command = [sys.executable, "-m", "realdb_ci", "run", str(project), "--engine", "docker"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        _wait_for(project / "hanging", process)
        family = psutil.Process(process.pid).children(recursive=True)
        run = (project / "run").read_text()
        assert containers(run)
        process.send_signal(number)
        process.communicate(timeout=SECONDS)
    assert process.returncode == (-number if number == signal.SIGKILL else 130)
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
    assert containers(run) == []
