"""The workflows and both actions: clean under the tools that know GitHub's rules, and of one mind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from imitation import ROOT
from markdown_it import MarkdownIt

BIN = Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONS = [ROOT / "action.yml", ROOT / "composite" / "action.yml"]


def test_zizmor_finds_nothing() -> None:
    """Neither in the workflows nor in the actions."""
    done = subprocess.run([BIN / "zizmor", "--offline", "--quiet", *WORKFLOWS, *ACTIONS], check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("schema", "files"),
    [("github-workflows", WORKFLOWS), ("github-actions", ACTIONS)],
    ids=["workflows", "actions"],
)
def test_files_fit_githubs_schemas(schema: str, files: list[Path]) -> None:
    """As check-jsonschema bundles them."""
    subprocess.run([BIN / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", *files], check=True)


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_actions_of_others_are_pinned_by_commit(file: Path) -> None:
    """A tag can be moved, a commit cannot."""
    for uses in re.findall(r"uses: (\S+)", file.read_text(encoding="utf-8")):
        assert uses.startswith("$/") or re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", uses)


def test_workflows_of_the_readme_fit_githubs_schema_and_our_inputs(tmp_path: Path) -> None:
    """What a reader copies works: whole workflows by the schema, and each use of ours by its inputs and outputs."""
    tokens = MarkdownIt().parse((ROOT / "README.md").read_text(encoding="utf-8"))
    blocks = [token.content for token in tokens if token.type == "fence" and token.info == "yaml"]
    whole = [block for block in blocks if "jobs:" in block]
    for number, block in enumerate(whole):
        (tmp_path / f"{number}.yml").write_text(block, encoding="utf-8")
    schema = ("--builtin-schema", "vendor.github-workflows")
    subprocess.run([BIN / "check-jsonschema", *schema, *sorted(tmp_path.iterdir())], check=True)
    ours = yaml.safe_load(ACTIONS[0].read_text(encoding="utf-8"))
    for block in blocks:
        uses = [step for step in _steps(block) if step.get("uses") == "org/realdb-ci@v1"]
        assert uses
        assert all(set(step["with"]) <= set(ours["inputs"]) for step in uses)
    assert {name for block in blocks for name in re.findall(r"outputs\.(\w+)", block)} <= set(ours["outputs"])


def _steps(block: str) -> list[dict[str, Any]]:
    """Those of a workflow's jobs, or of a part of one job."""
    plain = yaml.safe_load(block)
    return [step for job in plain.get("jobs", {"the only": plain}).values() for step in job["steps"]]


def test_composite_action_has_the_same_inputs_and_outputs() -> None:
    """Both doors lead to one program: every input reaches it, every output comes back."""
    docker, composite = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in ACTIONS)
    assert composite["inputs"] == docker["inputs"]
    (step,) = composite["runs"]["steps"]
    assert step["env"] == {f"INPUT_{name.upper()}": f"${{{{ inputs.{name} }}}}" for name in docker["inputs"]}
    values = {name: f"${{{{ steps.{step['id']}.outputs.{name} }}}}" for name in docker["outputs"]}
    assert {name: one["value"] for name, one in composite["outputs"].items()} == values
    assert list(composite["outputs"]) == list(docker["outputs"])


def test_composite_action_runs_a_suite_without_docker(tmp_path: Path) -> None:
    """Its only step, as the runner starts it: on the machine's Python, with server binaries from wheels."""
    workspace = tmp_path / "work space"
    (workspace / "shelf").mkdir(parents=True)
    (workspace / "shelf" / "test_shelf.py").write_text("def test_it(db_session): pass\n")
    (step,) = yaml.safe_load(ACTIONS[1].read_text(encoding="utf-8"))["runs"]["steps"]
    inputs = dict.fromkeys(step["env"], "") | {"INPUT_WORKING-DIRECTORY": "shelf", "INPUT_ENGINE": "embedded"}
    theirs = {name: value for name, value in os.environ.items() if not name.startswith(("REALDB_CI_", "PYTHON"))}
    environ = {
        **theirs,
        **inputs,
        "REALDB_CI_SNAPSHOTS": "false",
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTION_PATH": str(ACTIONS[1].parent),
        "GITHUB_WORKSPACE": str(workspace),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "RUNNER_TEMP": str(tmp_path / "temp"),
        "DOCKER_HOST": "unix:///nowhere/docker.sock",
    }
    script = tmp_path / "step.sh"
    script.write_text(step["run"])
    # As the runner starts a step whose shell is bash.
    words = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)]
    done = subprocess.run(words, cwd=workspace, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "embedded, PostgreSQL" in done.stdout
    assert "passed\n" in (tmp_path / "output").read_text()
    # Another runner on the same machine has another folder.
    assert (tmp_path / "temp" / "realdb-ci" / "environment").is_dir()
