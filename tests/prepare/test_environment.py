"""The tested project's environment, made by uv from a real index: what is in it, and what a conflict says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from building import Make, asked, lock

from realdb_ci.errors import EnvironmentProblem, RealdbError, SettingError
from realdb_ci.prepare import dependencies


def test_environment_holds_the_project_and_our_plugin_and_nothing_of_ours(make: Make, tmp_path: Path) -> None:
    """The project's pins hold, the plugin is of this version, and this process's packages are not there."""
    (tmp_path / "requirements.txt").write_text("click==8.1.8\n")
    made = make()
    code = "import click, realdb_ci, importlib.metadata as m; print(m.version('click'), realdb_ci.__version__)"
    assert asked(made, code) == "8.1.8 0.1.0"
    assert asked(made, "import sys; print(sys.prefix)") == str(made.interpreter.parent.parent)
    missing = "import importlib.util as u; print([n for n in ('hypothesis', 'moto', 'uv') if u.find_spec(n)])"
    assert asked(made, missing) == "[]"
    assert made.source == "requirements.txt"
    assert not [path for path in tmp_path.iterdir() if path.name != "requirements.txt"]


def test_extras_come_from_the_tests_and_from_what_the_project_asks(make: Make, tmp_path: Path) -> None:
    """Our wheel stands in for any realdb-ci the project names; server binaries are left out."""
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname="shelf"\nversion="1"\n[dependency-groups]\ntest = ["realdb-ci[mongo,embedded]>=0.0.1"]\n'
    )
    made = make(extras=("redis",))
    code = "import importlib.util as u; print([bool(u.find_spec(n)) for n in ('pymongo', 'fakeredis', 'fiftyone')])"
    assert asked(made, code) == "[True, True, False]"


def test_splitter_is_there_when_the_suite_is_split(make: Make) -> None:
    """Its options are used then."""
    assert asked(make(splits=True), "import pytest_split; print('there')") == "there"


def test_conflict_with_the_projects_pins_names_the_pin_its_line_and_the_way_out(make: Make, tmp_path: Path) -> None:
    """Neither is the project's version changed, nor does a resolver's proof stand alone."""
    (tmp_path / "requirements.txt").write_text("# ours\npytest==7.4.4\n")
    with pytest.raises(EnvironmentProblem) as caught:
        make()
    assert "pytest 7.4.4 (requirements.txt line 2)" in caught.value.why
    assert "realdb-ci needs pytest>=8.2" in caught.value.why
    assert "pytest>=8.2" in caught.value.remedy


BAD = {
    "unknown package": ({"install": ("realdb-ci-no-such-package",)}, EnvironmentProblem, "no-such-package"),
    "contradiction": ({"install": ("click==8.1.8", "click==8.1.7")}, EnvironmentProblem, "click"),
    "shell": ({"install": (";", "rm", "-rf", "/")}, EnvironmentProblem, "cannot be installed"),
    "no such Python": ({"python_version": "3.99"}, EnvironmentProblem, "No Python"),
}


@pytest.mark.parametrize(("changes", "kind", "words"), BAD.values(), ids=BAD)
def test_what_cannot_be_installed_is_said_with_uvs_words(
    changes: dict[str, object], kind: type[RealdbError], words: str, make: Make
) -> None:
    """The step's message has the reason, the log has the rest."""
    with pytest.raises(kind) as caught:
        make(**changes)
    assert words in str(caught.value)
    assert caught.value.log
    assert caught.value.remedy


def test_python_that_the_project_refuses_is_a_contradiction(make: Make, tmp_path: Path) -> None:
    """``python-version`` against ``requires-python``: a bad setting, found before anything is installed."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    (tmp_path / "pyproject.toml").write_text('[project]\nname="s"\nversion="1"\nrequires-python=">=3.99"\n')
    with pytest.raises(SettingError, match=r"requires-python = '>=3\.99'"):
        make(python_version=version)


def test_locked_versions_are_installed(make: Make, tmp_path: Path) -> None:
    """poetry.lock: the version it pins, not the newest."""
    (tmp_path / "pyproject.toml").write_text('[tool.poetry.dependencies]\nidna = "*"\n')
    (tmp_path / "poetry.lock").write_text('[[package]]\nname = "idna"\nversion = "3.6"\n')
    assert asked(make(), "import importlib.metadata as m; print(m.version('idna'))") == "3.6"


def test_package_that_only_setup_py_describes_is_installed(make: Make, tmp_path: Path) -> None:
    """Editable, with its extra for tests; that it lacks others stops nothing."""
    (tmp_path / "shelf.py").touch()
    extras = "{'test': ['colorama']}"
    (tmp_path / "setup.py").write_text(
        f"from setuptools import setup\nsetup(name='shelf', py_modules=['shelf'], extras_require={extras})\n"
    )
    assert asked(make(), "import shelf, colorama; print(shelf.__file__)") == str(tmp_path / "shelf.py")


@pytest.mark.parametrize(
    "group",
    [
        '[dependency-groups]\ntest=["colorama"]\n',
        '[tool.uv]\ndev-dependencies=["colorama"]\n',
        '[tool.uv]\ndefault-groups=["checks"]\n[dependency-groups]\nchecks=["colorama"]\n',
    ],
    ids=["group", "older table", "default group"],
)
def test_uvs_own_lock_is_installed_as_it_stands(make: Make, home: Path, tmp_path: Path, group: str) -> None:
    """A package project is installed editable, its test group with it, at the versions of the lock."""
    package = tmp_path / "shelf"
    package.mkdir()
    (package / "__init__.py").write_text("HERE = 1\n")
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname="shelf"\nversion="1"\nrequires-python=">=3.11"\ndependencies=["idna<3.7"]\n'
        f'{group}[build-system]\nrequires=["hatchling"]\nbuild-backend="hatchling.build"\n'
    )
    lock(tmp_path, home)
    (tmp_path / "pyproject.toml").write_text((tmp_path / "pyproject.toml").read_text().replace("<3.7", ""))
    made = make()
    code = "import shelf, colorama, importlib.metadata as m; print(m.version('idna'), shelf.__file__)"
    assert asked(made, code) == f"3.6 {package / '__init__.py'}"


def test_member_of_a_workspace_is_installed_with_those_it_needs(make: Make, home: Path, tmp_path: Path) -> None:
    """uv.lock lies above the project, and the paths in it start there."""
    built = '[build-system]\nrequires=["hatchling"]\nbuild-backend="hatchling.build"\n'
    members = {
        "shop": 'dependencies=["shelf"]\n[tool.uv.sources]\nshelf={workspace=true}\n',
        "shelf": "dependencies=[]\n",
    }
    (tmp_path / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers=["members/*"]\n')
    for name, text in members.items():
        package = tmp_path / "members" / name / name
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        about = f'[project]\nname="{name}"\nversion="1"\nrequires-python=">=3.11"\n{text}{built}'
        (package.parent / "pyproject.toml").write_text(about)
    lock(tmp_path, home)
    shop = tmp_path / "members" / "shop"
    made = make(project=shop, plan=dependencies.plan(shop, tmp_path, ()))
    files = [str(tmp_path / "members" / name / name / "__init__.py") for name in members]
    assert asked(made, "import shop, shelf; print(shop.__file__, shelf.__file__)").split() == files
