"""The Action's program without a container: what it refuses, and that its outputs are written all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from realdb_ci.prepare import border, needs

FILES = ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")


MAIN = "from realdb_ci.action import main; main()"


def _step(
    folder: Path, script: str = MAIN, *words: str, **environ: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
    """Run the program as one step; its outputs as far as each is one line."""
    files = {name: str(folder / name) for name in FILES}
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("REALDB_CI_")},
            "REALDB_CI_SNAPSHOTS": "false",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(folder / "workspace"),
            **files,
            **environ,
        },
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    lines = (folder / "GITHUB_OUTPUT").read_text().splitlines()
    return done, {line.partition("<<")[0]: lines[number + 1] for number, line in enumerate(lines) if "<<" in line}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A checkout with one small project."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (folder / "test_it.py").write_text("def test_it(): pass\n")
    return folder


BAD = {
    "mistyped input": ({"INPUT_SERVISES": "postgres"}, 2, "Unknown input 'servises'"),
    "empty engine is fine, wrong one not": ({"INPUT_ENGINE": "vm"}, 2, "'engine' cannot be 'vm'"),
    "unknown service": ({"INPUT_SERVICES": "mysql:8"}, 2, "Unknown service 'mysql'"),
    "hostile service": ({"INPUT_SERVICES": "postgres=$(rm -rf /)"}, 2, "image name '$(rm -rf /)'"),
    "outside": ({"INPUT_WORKING-DIRECTORY": "../.."}, 2, "leads out of the workspace"),
    "no folder": ({"INPUT_WORKING-DIRECTORY": "nowhere"}, 2, "does not exist in the workspace"),
    "report outside": ({"INPUT_REPORT-DIRECTORY": "/etc/cron.d"}, 2, "leads out of the workspace"),
    "report is a file": ({"INPUT_REPORT-DIRECTORY": "test_it.py"}, 2, "cannot be used"),
    "expression": ({"INPUT_SHARD": "${{ matrix.shard }}"}, 2, "not evaluated"),
    "settings": ({"REALDB_CI_STRICT": "maybe"}, 2, "'strict'"),
    "two of a kind": ({"INPUT_SERVICES": "postgres:17-alpine\npostgres:16"}, 2, "names postgres 2 times"),
}


@pytest.mark.parametrize(("environ", "code", "said"), BAD.values(), ids=BAD)
def test_bad_input_is_one_annotation_one_number_and_outputs(
    environ: dict[str, str], code: int, said: str, workspace: Path, tmp_path: Path
) -> None:
    """The step ends before it starts anything; a later step can still read what became of it."""
    done, outputs = _step(tmp_path, **environ)
    assert done.returncode == code, done.stdout + done.stderr
    errors = [line for line in done.stdout.splitlines() if line.startswith("::error")]
    assert len(errors) == 1
    assert said in errors[0]
    assert "Traceback" not in done.stdout + done.stderr
    assert outputs["outcome"] == "bad-setting"
    assert outputs["tests"] == "0"
    assert set(outputs) == set(_declared())
    assert not (Path("/etc/cron.d") / "events.jsonl").exists()


def test_log_takes_every_character(workspace: Path, tmp_path: Path) -> None:
    """A pipe on Windows has a code page, which knows few of them."""
    done, outputs = _step(tmp_path, INPUT_ENGINE="\N{RIGHTWARDS ARROW}", PYTHONIOENCODING="cp1252")
    assert done.returncode == 2, done.stderr
    assert "'engine' cannot be '\N{RIGHTWARDS ARROW}'" in done.stdout
    assert outputs["outcome"] == "bad-setting"


CANCELLED_EARLY = """
import os, runpy, signal, sys

class Watch:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "realdb_ci.action":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Watch)
runpy.run_path(sys.argv[1])
"""


def test_job_cancelled_during_our_imports_has_outputs(workspace: Path, tmp_path: Path) -> None:
    """The first second of the step is like every other one: it ends with a number and outputs, not a traceback."""
    program = str(Path(__file__).parents[1] / "entrypoint.py")
    done, outputs = _step(tmp_path, CANCELLED_EARLY, program)
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert outputs["outcome"] == "interrupted"


def _declared() -> list[str]:
    import yaml

    text = (Path(__file__).parents[1] / "action.yml").read_text(encoding="utf-8")
    return list(yaml.safe_load(text)["outputs"])


def test_suite_sees_the_users_variables_and_none_of_ours() -> None:
    """No token by any name, none of the runner's services or files; the user's own variables stay."""
    theirs = {"DATABASE_URL": "x", "GITHUB_SHA": "0", "CI": "true", "ACTION": "1", "STATE_DIR": "s"}
    ours = {
        "INPUT_TOKEN": "ghs_1",
        "INPUT_PYTEST-ARGS": "-x",
        "MY_TOKEN": "ghs_1",
        "URL": "https://x:ghs_1@github.com",
        "ACTIONS_RUNTIME_TOKEN": "r",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "r",
        "GITHUB_TOKEN": "other",
        "GITHUB_ENV": "/f",
        "GITHUB_PATH": "/f",
        "GITHUB_OUTPUT": "/f",
    }
    seen = border.visible({**theirs, **ours}, "ghs_1")
    git = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    assert seen == theirs | git


def test_settings_of_git_stay_whole_without_the_token() -> None:
    """Git refuses all work where one of the settings that are counted is missing."""
    told = {
        "GIT_CONFIG_COUNT": "3",
        "GIT_CONFIG_KEY_0": "url.https://x:ghs_1@github.com/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/",
        "GIT_CONFIG_KEY_1": "user.name",
        "GIT_CONFIG_VALUE_1": "ann",
    }
    assert border.visible(told, "ghs_1") == {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "user.name",
        "GIT_CONFIG_VALUE_0": "ann",
        "GIT_CONFIG_KEY_1": "safe.directory",
        "GIT_CONFIG_VALUE_1": "*",
    }
    assert border.visible({"GIT_CONFIG_COUNT": "x"}, "")["GIT_CONFIG_COUNT"] == "1"


@pytest.mark.parametrize(
    ("text", "services", "extras"),
    [
        ("def test_a(db_session): ...", ("postgres",), ("postgres",)),
        ("def test_a(async_redis_client): ...", ("redis",), ("async", "redis")),
        ("def test_a(mongo_db, s3_client): ...", ("mongodb",), ("mongo", "s3")),
        ("def test_a(tmp_path): ...", (), ()),
    ],
)
def test_needs_are_read_from_the_tests_sources(
    text: str, services: tuple[str, ...], extras: tuple[str, ...], tmp_path: Path
) -> None:
    """Only names of our own fixtures count, and only where tests stand."""
    (tmp_path / "test_it.py").write_text(text)
    (tmp_path / "app.py").write_text("redis_client = mongo_db = 1")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "test_x.py").write_text("redis_client")
    assert needs.of(needs.words(tmp_path)) == (services, extras)
