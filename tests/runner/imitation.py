"""An imitation of GitHub's runner that runs the Action's image as the real one does.

Order of arguments, mounts, environment, path translation, closed input and the signals of a cancelled job are
those of the runner's ``ContainerActionHandler.cs``, ``DockerCommandManager.cs`` and ``ProcessInvoker.cs``.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import artifact_service
import file_commands
import yaml
from fake_github import HEAD, TOKEN
from workflow_commands import StepLog

DOCKER = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else shutil.which("docker") or "docker"
ROOT = Path(__file__).parents[2]
# The account of a hosted runner.
RUNNER_UID, RUNNER_GID = 1001, 118
FILES = {
    "GITHUB_OUTPUT": "set_output_",
    "GITHUB_ENV": "set_env_",
    "GITHUB_STATE": "save_state_",
    "GITHUB_PATH": "add_path_",
    "GITHUB_STEP_SUMMARY": "step_summary_",
}
# A cancelled job: SIGINT, this long for the step, SIGTERM, this long, and the end.
AFTER_SIGINT, AFTER_SIGTERM = 7.5, 2.5
STEP_SECONDS = 300.0
POLL_SECONDS = 0.05
# Where a container finds this machine.
GATEWAY = "172.17.0.1"
# A pull request of the repository that the stand-in for GitHub has.
REPOSITORY, PULL = "ann/desk", 7
BASE = "b" * 40


@dataclass
class Done:
    """How a step ended.

    Attributes:
        code: the container's exit code.
        log: what the runner made of its output.
        raw: the output itself.
        outputs: the outputs it wrote.
        summary: the job summary it wrote.
        failed: whether the runner calls the step failed.
        seconds: how long it took.
        after_cancel: seconds from the first signal of a cancelled job to the end, else 0.
    """

    code: int
    log: StepLog
    raw: str
    outputs: dict[str, str]
    summary: str
    failed: bool
    seconds: float
    after_cancel: float = 0.0


@dataclass
class Machine:
    """One runner with one checked-out repository.

    Attributes:
        work: the runner's ``_work`` folder.
        image: the Action's image.
        network: the job's network, or None for a job without containers.
        older: imitates a runner before 2.329.0, which does not mount its temporary folder.
        environ: the job's ``env``.
        api: address of the stand-in for GitHub.
        cache: address of the cache service, empty for none.
        run_id: the workflow run's id.
        pushed: the commit whose push started the run, empty where a pull request did.
        socket: the host's path that is mounted as Docker's socket, empty for none.
        imposed: options of ``docker run`` beyond the runner's, for conditions that a test imposes.
    """

    work: Path
    image: str
    network: str | None = None
    older: bool = False
    environ: dict[str, str] = field(default_factory=dict)
    repository: str = "desk"
    api: str = "http://127.0.0.1:9"
    cache: str = ""
    run_id: str = "1"
    pushed: str = ""
    socket: str = "/var/run/docker.sock"
    imposed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for folder in self.mounts:
            folder.mkdir(parents=True, exist_ok=True)
        event = self.work / "_temp" / "_github_workflow" / "event.json"
        pull = {"number": PULL, "head": {"sha": HEAD, "repo": {"full_name": REPOSITORY}}}
        pull["base"] = {"sha": BASE, "ref": "main"}
        event.write_text(json.dumps({"pull_request": pull, "repository": {"full_name": REPOSITORY}}, indent=2))
        event.with_name("push.json").write_text(json.dumps({"repository": {"full_name": REPOSITORY}}))
        self.own()

    @property
    def workspace(self) -> Path:
        """The checkout on the host."""
        return self.work / self.repository / self.repository

    @property
    def temp(self) -> Path:
        """The runner's temporary folder on the host."""
        return self.work / "_temp"

    @property
    def mounts(self) -> dict[Path, str]:
        """Host folders and where the container sees them, in the runner's order."""
        found = {} if self.older else {self.temp: "/github/runner_temp"}
        return found | {
            self.temp / "_github_home": "/github/home",
            self.temp / "_github_workflow": "/github/workflow",
            self.temp / "_runner_file_commands": "/github/file_commands",
            self.workspace: "/github/workspace",
        }

    def own(self) -> None:
        """Make everything the runner's own, as a checkout does."""
        for folder, _, files in os.walk(self.work):
            for path in (folder, *(f"{folder}/{name}" for name in files)):
                os.chown(path, RUNNER_UID, RUNNER_GID, follow_symlinks=False)

    def check_out(self, *sources: Path) -> None:
        """Copy folders into the workspace and commit all of it, as ``actions/checkout`` leaves it."""
        for source in sources:
            shutil.copytree(
                source, self.workspace / source.name, ignore=shutil.ignore_patterns("__pycache__", ".*_cache")
            )
        git = [
            "git",
            "-c",
            "safe.directory=*",
            "-c",
            "user.name=octo",
            "-c",
            "user.email=octo@example.org",
            "-C",
            str(self.workspace),
        ]
        for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "Start"]):
            subprocess.run([*git, *words], check=True)
        self.own()

    def write(self, name: str, text: str) -> None:
        """Write a file into the workspace."""
        path = self.workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.own()

    def translated(self, value: str) -> str:
        """A value that is as a whole a mapped host path, as the container sees it."""
        order = [self.workspace, *(path for path in self.mounts if path not in (self.workspace, self.temp))]
        for path in (*order, *([] if self.older else [self.temp])):
            if value == str(path) or value.startswith(f"{path}/"):
                return self.mounts[path] + value.removeprefix(str(path))
        return value

    def variables(self, inputs: Mapping[str, str]) -> dict[str, str]:
        """The step's variables, later ones over earlier ones."""
        declared = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
        values = {name: str(one.get("default", "")) for name, one in declared.items()} | dict(inputs)
        for expression, meaning in (("${{ github.token }}", TOKEN), ("${{ toJSON(matrix) }}", "null")):
            values = {name: meaning if value == expression else value for name, value in values.items()}
        files = {}
        for variable, prefix in FILES.items():
            path = self.temp / "_runner_file_commands" / f"{prefix}{uuid.uuid4()}"
            path.touch()
            os.chown(path, RUNNER_UID, RUNNER_GID)
            files[variable] = str(path)
        found = {
            **self.environ,
            **{f"INPUT_{name.replace(' ', '_').upper()}": value for name, value in values.items()},
            "HOME": str(self.temp / "_github_home"),
            **files,
            "GITHUB_ACTION": "__octo_realdb-ci",
            "GITHUB_ACTION_REF": "v1",
            "GITHUB_ACTION_REPOSITORY": "octo/realdb-ci",
            "GITHUB_ACTOR": "octo",
            "GITHUB_API_URL": self.api,
            "GITHUB_BASE_REF": "" if self.pushed else "main",
            "GITHUB_HEAD_REF": "" if self.pushed else "topic",
            "GITHUB_EVENT_NAME": "push" if self.pushed else "pull_request",
            "GITHUB_EVENT_PATH": str(
                self.temp / "_github_workflow" / ("push.json" if self.pushed else "event.json")
            ),
            "GITHUB_JOB": "tests",
            "GITHUB_REF": "refs/heads/main" if self.pushed else f"refs/pull/{PULL}/merge",
            "GITHUB_REF_NAME": "main" if self.pushed else f"{PULL}/merge",
            "GITHUB_REF_PROTECTED": "false",
            "GITHUB_REF_TYPE": "branch",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_REPOSITORY_OWNER": REPOSITORY.partition("/")[0],
            "GITHUB_RETENTION_DAYS": "90",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_RUN_ID": self.run_id,
            "GITHUB_RUN_NUMBER": self.run_id,
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_SHA": self.pushed or "0" * 40,
            "GITHUB_WORKFLOW": "tests",
            "GITHUB_WORKFLOW_REF": f"{REPOSITORY}/.github/workflows/tests.yml@refs/heads/main",
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_OS": "Linux",
            "RUNNER_ARCH": "X64",
            "RUNNER_ENVIRONMENT": "self-hosted",
            "RUNNER_NAME": "imitation",
            "RUNNER_TEMP": str(self.temp),
            "RUNNER_TOOL_CACHE": str(self.work / "_tool"),
            "ACTIONS_RUNTIME_URL": "http://127.0.0.1:9/",
            "ACTIONS_RUNTIME_TOKEN": artifact_service.token(self.run_id),
            **({"ACTIONS_RESULTS_URL": self.cache} if self.cache else {}),
            **{name: value for name, value in self.environ.items() if name.startswith("ACTIONS_")},
        }
        translated = {name: self.translated(value) for name, value in found.items()}
        # The parent of the workspace stays as the host knows it.
        return translated | {
            "RUNNER_WORKSPACE": str(self.workspace.parent),
            "RUNNER_TOOL_CACHE": str(self.work / "_tool"),
        }

    def command(self, variables: Mapping[str, str], name: str, entrypoint: str = "") -> list[str]:
        """The runner's ``docker run``."""
        words = [DOCKER, "run", "--name", name, "--label", "6f9a1c", "--workdir", "/github/workspace", "--rm"]
        for variable in variables:
            words += ["-e", variable]
        words += ["-e", "GITHUB_ACTIONS=true"] + ([] if "CI" in variables else ["-e", "CI=true"])
        words += ["--entrypoint", entrypoint] if entrypoint else []
        words += ["--network", self.network] if self.network else []
        words += ["-v", f"{self.socket}:/var/run/docker.sock"] if self.socket else []
        for host, inside in self.mounts.items():
            words += ["-v", f"{host}:{inside}"]
        return [*words, *self.imposed, self.image]

    def run(self, cancel_when: Callable[[str], bool] | None = None, with_: Mapping[str, str] | None = None) -> Done:
        """Run the Action as one step.

        Args:
            cancel_when: given the output so far, again and again; the job is cancelled once it says yes.
            with_: the step's inputs.
        """
        variables = self.variables(with_ or {})
        files = {name: self._host(variables[name]) for name in FILES}
        name = re.sub(r"\W", "", f"{self.image}_{secrets.token_hex(3)}")
        began = time.monotonic()
        process = subprocess.Popen(
            self.command(variables, name),
            cwd=self.workspace,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        raw: list[str] = []
        cancelled: list[float] = []
        over = threading.Event()

        def watch() -> None:
            while cancel_when is not None and not over.wait(POLL_SECONDS):
                if cancel_when("".join(raw)):
                    cancelled.append(time.monotonic())
                    _cancel(process, name)
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        killer = threading.Timer(STEP_SECONDS, lambda: _kill(process, name))
        killer.start()
        assert process.stdout is not None
        for line in process.stdout:
            raw.append(line)  # noqa: PERF402  # the watcher reads what has come so far
        code = process.wait()
        ended = time.monotonic()
        killer.cancel()
        over.set()
        watcher.join()
        process.stdout.close()
        done = self._done(code, "".join(raw), files, ended - began)
        done.after_cancel = ended - cancelled[0] if cancelled else 0.0
        return done

    def _done(self, code: int, raw: str, files: Mapping[str, Path], seconds: float) -> Done:
        log = StepLog()
        log.masks.add(TOKEN)
        log.feed(raw)
        failed = code != 0 or bool(log.failed)
        read: dict[str, dict[str, str]] = {}
        for name in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STATE"):
            try:
                read[name] = file_commands.pairs(files[name].read_text(encoding="utf-8"))
            except file_commands.BadFile as problem:
                failed, read[name] = True, problem.pairs
        summary = files["GITHUB_STEP_SUMMARY"].read_bytes()
        assert not file_commands.summary_problem(summary)
        return Done(code, log, raw, read["GITHUB_OUTPUT"], summary.decode(), failed, seconds)

    def _host(self, inside: str) -> Path:
        return self.temp / "_runner_file_commands" / Path(inside).name


def _cancel(process: subprocess.Popen[str], name: str) -> None:
    for number, seconds in ((signal.SIGINT, AFTER_SIGINT), (signal.SIGTERM, AFTER_SIGTERM)):
        process.send_signal(number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
        return
    _kill(process, name)


def _kill(process: subprocess.Popen[str], name: str) -> None:
    """The real runner leaves the container behind; the imitation cleans up what it started."""
    process.kill()
    subprocess.run([DOCKER, "rm", "-f", name], capture_output=True, check=False)
