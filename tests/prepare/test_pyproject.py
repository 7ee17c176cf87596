"""What pyproject.toml says, and what it says where its shape is wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from realdb_ci.errors import EnvironmentProblem
from realdb_ci.prepare import dependencies, pyproject


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('project = "x"', "project is to be a table"),
        ('[tool]\nuv = "x"', "tool.uv is to be a table"),
        ("[project]\noptional-dependencies = []", "project.optional-dependencies is to be a table"),
        ("[tool.uv]\ndefault-groups = 1", "tool.uv.default-groups is to be a list or a text"),
        ("[tool.uv.workspace]\nmembers = [1]", "is to be a text"),
        ('[tool.poetry.group]\ndev = "x"', "is to be a table"),
        ('[tool.poetry]\nsource = ["x"]', "is to be a table"),
        ('[tool.pdm]\ndev-dependencies = "x"', "is to be a table"),
    ],
)
def test_wrong_type_is_one_problem_that_names_the_file(text: str, words: str, tmp_path: Path) -> None:
    """Not a traceback of ours."""
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(EnvironmentProblem, match=r"pyproject\.toml of the project cannot be read") as caught:
        dependencies.plan(tmp_path, tmp_path, ())
    assert words in caught.value.why


def test_absolute_member_of_a_workspace_is_one(tmp_path: Path) -> None:
    """Uv takes it, too."""
    member = tmp_path / "member"
    member.mkdir()
    (member / "pyproject.toml").write_text('[project]\nname = "member"\nversion = "1"\n')
    (tmp_path / "pyproject.toml").write_text(f'[tool.uv.workspace]\nmembers = ["{member.as_posix()}"]\n')
    (tmp_path / "uv.lock").touch()
    assert dependencies.plan(member, tmp_path, ()).source == "uv.lock"


def test_extras_that_only_setuptools_knows_are_asked_for(tmp_path: Path) -> None:
    """They are dynamic; and without a build-system it is setuptools that builds."""
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "shop"\nversion = "1"\ndynamic = ["optional-dependencies"]\n'
        '[tool.setuptools.dynamic.optional-dependencies]\ntest = {file = "test.txt"}\n'
    )
    assert dependencies.plan(tmp_path, tmp_path, ()).arguments == ("--editable", ".[test,tests,testing,dev]")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[project]\n[tool.setuptools]", True),
        ("[tool.setuptools]", False),
        ("[project]", False),
        ("[project]\n[tool.uv]\npackage = false\n[tool.setuptools]", False),
    ],
)
def test_project_that_setuptools_is_set_up_for_is_a_package(text: str, expected: bool, tmp_path: Path) -> None:
    """Though it has no build-system, unless another tool is told that it is none."""
    assert pyproject.is_package(tmp_path, tomllib.loads(text)) is expected
