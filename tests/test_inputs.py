"""The Action's inputs: read as the runner hands them over, and refused with the name, the cause and the remedy."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from realdb_ci.errors import SettingError
from realdb_ci.inputs import CACHES, PREFIX, USUAL_CACHES, Inputs, Shard

ACTION = yaml.safe_load((Path(__file__).parents[1] / "action.yml").read_text(encoding="utf-8"))


def _load(**given: str) -> Inputs:
    return Inputs.load({f"{PREFIX}{name.replace('_', '-').upper()}": value for name, value in given.items()})


def test_action_yml_declares_what_is_read_with_the_same_defaults() -> None:
    """Neither side knows an input that the other does not, and an empty ``with`` means the defaults."""
    read = {one.name.replace("_", "-"): one.metadata["default"] for one in fields(Inputs)}
    assert {name: one["default"] for name, one in ACTION["inputs"].items()} == read
    declared = {name: one["default"] for name, one in ACTION["inputs"].items() if "${{" not in one["default"]}
    assert _load(**{name.replace("-", "_"): value for name, value in declared.items()}) == Inputs()


def test_action_yml_leaves_the_runner_no_choice() -> None:
    """The image is built from the Dockerfile and gets no arguments, which would arrive untranslated."""
    assert ACTION["runs"] == {"using": "docker", "image": "Dockerfile"}


def test_every_input_reaches_its_field() -> None:
    """Hyphens stay in the variable's name, lines and words are split, white space around values is dropped."""
    found = _load(
        services="postgres:17-alpine\n\n  mongo:7.0  \n",
        working_directory=" app ",
        pytest_args="-k 'a b' \\\n  --maxfail=1\n# what is slow\n-m 'not\nslow'",
        install="-r requirements/test.txt\n-e '.[x]'",
        python_version="3.13",
        engine="docker",
        shard="2/4",
        cache="packages",
        token="t",
        report_directory="out",
    )
    assert found == Inputs(
        services=("postgres:17-alpine", "mongo:7.0"),
        working_directory="app",
        pytest_args=("-k", "a b", "--maxfail=1", "-m", "not\nslow"),
        install=("-r", "requirements/test.txt", "-e", ".[x]"),
        python_version="3.13",
        engine="docker",
        shard=Shard(2, 4),
        cache=frozenset({"packages"}),
        token="t",
        report_directory="out",
    )
    assert "'t'" not in repr(found)


@pytest.mark.parametrize(
    ("text", "chosen"),
    [("true", set(USUAL_CACHES)), ("FALSE", set()), ("images,timings,packages,snapshots", set(CACHES))],
)
def test_caches_are_chosen_by_a_switch_or_by_name(text: str, chosen: set[str]) -> None:
    """YAML's spellings of a switch are those of GitHub's own actions."""
    assert _load(cache=text).cache == chosen


BAD = {
    "mistyped name": ({"servises": "postgres"}, ["'servises'", "Did you mean 'services'?"]),
    "unknown name": ({"frobnicate": "1"}, ["'frobnicate'", "The inputs are: services"]),
    "engine": ({"engine": "podman"}, ["'engine' cannot be 'podman'", "auto, url, docker, embedded"]),
    "python": ({"python_version": "3.13; rm -rf /"}, ["'python-version'", "such as 3.13"]),
    "python path": ({"python_version": "/bin/sh"}, ["'python-version'", "such as 3.13"]),
    "shard zero": ({"shard": "0/4"}, ["'shard'", "2/4"]),
    "shard beyond": ({"shard": "5/4"}, ["no part 5 of 4"]),
    "shard words": ({"shard": "two of four"}, ["'shard'", "2/4"]),
    "shard digits": ({"shard": "\N{ARABIC-INDIC DIGIT ONE}/\N{ARABIC-INDIC DIGIT TWO}"}, ["'shard'", "2/4"]),
    "cache": ({"cache": "yes"}, ["'cache' cannot be 'yes'", "packages, snapshots, timings"]),
    "open quote": ({"pytest_args": "-k 'a"}, ["'pytest-args'", "quotes do not close"]),
    "expression": ({"pytest_args": "-k ${{ matrix.k }}"}, ["'pytest-args'", "not evaluated"]),
    "command": ({"install": "pip install -r requirements.txt"}, ["what follows 'uv pip install'", "'pip' would"]),
    "newline": ({"working_directory": "a\nb"}, ["'working-directory'", "one line"]),
    "token": ({"token": "ghs_secret\nvalue"}, ["'token' cannot be used", "one line"]),
}


@pytest.mark.parametrize(("given", "said"), BAD.values(), ids=BAD)
def test_bad_input_is_named_with_what_it_may_be(given: dict[str, str], said: list[str]) -> None:
    """A mistyped, contradictory or hostile value ends the step before anything is started."""
    with pytest.raises(SettingError) as caught:
        _load(**given)
    for words in said:
        assert words in str(caught.value)
    assert "ghs_secret" not in str(caught.value)


@pytest.mark.parametrize("path", ["..", "/etc", "a/../../b", "link", "\0"])
@pytest.mark.parametrize("name", ["working_directory", "report_directory"])
def test_no_path_leads_out_of_the_workspace(name: str, path: str, tmp_path: Path) -> None:
    """Neither by dots, nor as an absolute path, nor through a link."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "link").symlink_to("/etc")
    found = Inputs(**{name: path})
    ask = found.project if name == "working_directory" else found.out
    with pytest.raises(SettingError, match="leads out of the workspace"):
        ask(workspace)


def test_paths_inside_the_workspace_may_be_absolute(tmp_path: Path) -> None:
    """``${{ github.workspace }}/app`` arrives translated, as an absolute path."""
    (tmp_path / "app").mkdir()
    assert Inputs(working_directory=str(tmp_path / "app")).project(tmp_path) == tmp_path / "app"
    assert Inputs(report_directory="new/one").out(tmp_path) == tmp_path / "new" / "one"


@pytest.mark.parametrize(("name", "why"), [("nowhere", "does not exist"), ("file", "it is a file")])
def test_working_directory_has_to_be_a_folder(name: str, why: str, tmp_path: Path) -> None:
    """The message says what is there instead."""
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match=why):
        Inputs(working_directory=name).project(tmp_path)


def test_readme_lists_the_inputs_and_outputs() -> None:
    """Its tables are those of action.yml: names, defaults and words."""
    lines = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    told = {row[0].strip("`"): row[1:] for row in rows}
    for name, one in ACTION["inputs"].items():
        default = f"`{one['default']}`" if one["default"] else ""
        assert told[name] == [default, " ".join(one["description"].split())]
    for name, one in ACTION["outputs"].items():
        assert told[name] == [" ".join(one["description"].split())]
