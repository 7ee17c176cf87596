"""Where a project's dependencies are found, in order, and what is made of each place."""

from __future__ import annotations

from pathlib import Path

import pytest

from realdb_ci.errors import EnvironmentProblem
from realdb_ci.prepare import dependencies

PROJECT = """
[project]
name = "shelf"
version = "1"
dependencies = ["click"]
[project.optional-dependencies]
tests = ["idna"]
docs = ["sphinx"]
[dependency-groups]
dev = ["iniconfig"]
docs = ["sphinx"]
"""
BUILD = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'


def _plan(project: Path, *install: str) -> dependencies.Plan:
    return dependencies.plan(project, project, install)


def _files(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def test_each_place_counts_only_where_no_earlier_one_is_there(tmp_path: Path) -> None:
    """The input, uv.lock, poetry.lock, pdm.lock, requirements files, pyproject.toml."""
    places = ["uv.lock", "poetry.lock", "pdm.lock", "requirements.txt"]
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    for name in places:
        (tmp_path / name).write_text("")
    assert _plan(tmp_path, "-e", ".").source == "the input 'install'"
    for name in places:
        assert _plan(tmp_path).source == name
        (tmp_path / name).unlink()
    assert _plan(tmp_path).source == "pyproject.toml"
    (tmp_path / "pyproject.toml").unlink()
    assert _plan(tmp_path).arguments == ()


def test_indexes_of_the_projects_tool_count_unless_the_user_names_others(tmp_path: Path) -> None:
    """Whatever says what to install; two sets of indexes would contradict each other."""
    source = '[[tool.poetry.source]]\nname = "corp"\nurl = "https://example.org/simple"\n'
    _files(tmp_path, pyproject__toml=source, requirements__txt="click\n")
    told = ("--default-index", "corp=https://example.org/simple")
    assert _plan(tmp_path).indexes == told
    assert _plan(tmp_path, "click").indexes == told
    assert _plan(tmp_path, "--index", "https://example.org/other", "click").indexes == ()


def test_only_groups_and_extras_for_tests_are_taken(tmp_path: Path) -> None:
    """A project that is no package is not installed, what it depends on is."""
    found = _plan(_files(tmp_path, pyproject__toml=PROJECT)).arguments
    assert found == ("-r", "pyproject.toml", "--group", "dev", "--extra", "tests")


def test_package_is_installed_editable_with_its_extras(tmp_path: Path) -> None:
    """Coverage and tests see the checkout's own files."""
    found = _plan(_files(tmp_path, pyproject__toml=PROJECT + BUILD)).arguments
    assert found == ("--editable", ".[tests]", "--group", "dev")


def test_requirements_files_are_taken_together(tmp_path: Path) -> None:
    """Those at the top and those in the folder of that name, and the project itself where it is a package."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "test.txt").touch()
    _files(tmp_path, pyproject__toml=BUILD)
    (tmp_path / "requirements-dev.txt").touch()
    found = _plan(tmp_path)
    assert found.arguments == ("-r", "requirements/test.txt", "-r", "requirements-dev.txt")
    assert found.itself == ("--editable", ".[test,tests,testing,dev]")


def test_lists_leave_the_projects_own_groups_and_extras_for_tests_as_they_are(tmp_path: Path) -> None:
    """What the lists name is not all that tests need."""
    found = _plan(_files(tmp_path, pyproject__toml=PROJECT, requirements__txt="click\n"))
    assert found.arguments == ("-r", "requirements.txt")
    assert found.itself == ("-r", "pyproject.toml", "--group", "dev", "--extra", "tests")


def test_lock_of_a_workspace_above_counts_for_its_members(tmp_path: Path) -> None:
    """In a monorepo uv.lock lies at the top; the search ends at the checkout, and others have nothing from it."""
    _files(tmp_path, pyproject__toml='[tool.uv.workspace]\nmembers = ["packages/*"]\nexclude = ["packages/c"]\n')
    (tmp_path / "uv.lock").touch()
    members = [tmp_path / name for name in ("packages/a", "packages/c", "samples/b")]
    for member in members:
        member.mkdir(parents=True)
        _files(member, pyproject__toml=PROJECT)
    found = dependencies.plan(members[0], tmp_path, ())
    assert found.sync == ("--group", "dev", "--extra", "tests")
    assert found.files == (tmp_path / "uv.lock", members[0] / "pyproject.toml", tmp_path / "pyproject.toml")
    assert dependencies.plan(members[0], members[0], ()).source == "pyproject.toml"
    assert [dependencies.plan(one, tmp_path, ()).source for one in members[1:]] == ["pyproject.toml"] * 2


POETRY = """
[tool.poetry]
name = "shelf"
[tool.poetry.dependencies]
python = "^3.11"
click = "^8"
psycopg = {version = "^3", extras = ["binary"]}
extra = {version = "1", optional = true}
[tool.poetry.group.test.dependencies]
colorama = {version = "*", markers = "sys_platform == 'win32'"}
[tool.poetry.group.docs.dependencies]
sphinx = "*"
"""
POETRY_LOCK = """
[[package]]
name = "click"
version = "8.1.7"
[[package]]
name = "forked"
version = "1.0"
[package.source]
type = "git"
url = "git@example.org:o/forked.git"
resolved_reference = "abc123"
subdirectory = "part"
[[package]]
name = "near"
version = "1.0"
[package.source]
type = "directory"
url = "../near"
[[package]]
name = "twice"
version = "1"
[[package]]
name = "twice"
version = "2"
[[package]]
name = "mirrored"
version = "3"
[package.source]
type = "legacy"
url = "https://index.example.org/simple"
"""


def test_poetrys_lock_pins_what_its_tables_ask_for(tmp_path: Path) -> None:
    """Versions from the lock, wishes from the project's tables; a package with two versions stays free."""
    found = _plan(_files(tmp_path, pyproject__toml=POETRY, poetry__lock=POETRY_LOCK))
    assert found.arguments == ("click", "psycopg[binary]", "colorama ; sys_platform == 'win32'")
    assert found.constraints == (
        "click==8.1.7",
        "forked @ git+ssh://git@example.org/o/forked.git@abc123#subdirectory=part",
        f"near @ {(tmp_path.parent / 'near').as_uri()}",
        "mirrored==3",
    )


def test_package_of_poetry_brings_what_it_needs_with_its_own_markers(tmp_path: Path) -> None:
    """Only its tests' groups are asked for beside it."""
    found = _plan(_files(tmp_path, pyproject__toml=POETRY + BUILD, poetry__lock=POETRY_LOCK))
    assert found.arguments == ("--editable", ".", "colorama ; sys_platform == 'win32'")


def test_pdms_lock_pins_too(tmp_path: Path) -> None:
    """PDM names a package once more for each extra; that is no second version."""
    lock = (
        '[[package]]\nname = "httpx"\nversion = "0.28.1"\n'
        '[[package]]\nname = "httpx"\nversion = "0.28.1"\nextras = ["http2"]\n'
        '[[package]]\nname = "forked"\nversion = "1"\ngit = "https://example.org/f"\nrevision = "abc"\n'
    )
    pyproject = PROJECT + '[tool.pdm.dev-dependencies]\ntest = ["pluggy>=1", "-e file:///x"]\ndocs = ["sphinx"]\n'
    found = _plan(_files(tmp_path, pyproject__toml=pyproject, pdm__lock=lock))
    assert found.constraints == ("httpx==0.28.1", "forked @ git+https://example.org/f@abc")
    assert found.arguments[-1] == "pluggy>=1"
    assert found.arguments[:2] == ("-r", "pyproject.toml")


def test_poetrys_tables_count_without_a_lock(tmp_path: Path) -> None:
    """A package brings what it needs itself; a project that is none (package-mode = false) asks for all of it."""
    tables = POETRY + '[tool.poetry.group.dev.dependencies]\npytest = "^8.1"\n' + BUILD
    package = _plan(_files(tmp_path, pyproject__toml=tables)).arguments
    assert package == ("--editable", ".", "colorama ; sys_platform == 'win32'", "pytest>=8.1,<9")
    tables = tables.replace('name = "shelf"', 'name = "shelf"\npackage-mode = false')
    alone = _plan(_files(tmp_path, pyproject__toml=tables)).arguments
    assert alone[:2] == ("click>=8,<9", "psycopg[binary]>=3,<4")
    assert alone[2:] == package[2:]


def test_older_tables_of_uv_and_pdm_count(tmp_path: Path) -> None:
    """And so do groups that uv itself would install by default."""
    tables = (
        '[tool.uv]\ndev-dependencies = ["pluggy>=1"]\ndefault-groups = ["checks"]\n'
        '[tool.pdm.dev-dependencies]\ntest = ["idna"]\n[dependency-groups]\nchecks = []\nother = []\n'
    )
    found = _plan(_files(tmp_path, pyproject__toml=tables)).arguments
    assert found == ("--group", "checks", "idna", "pluggy>=1")
    every = _plan(_files(tmp_path, pyproject__toml=tables.replace('["checks"]', '"all"'))).arguments
    assert every[:4] == ("--group", "checks", "--group", "other")


@pytest.mark.parametrize("pyproject", ["", "[tool.black]\nline-length = 100\n"])
@pytest.mark.parametrize(("name", "text"), [("setup.py", ""), ("setup.cfg", "[metadata]\nname = shelf\n")])
def test_package_of_setuptools_is_installed_with_whatever_extra_for_tests_it_has(
    name: str, text: str, pyproject: str, tmp_path: Path
) -> None:
    """Such a package has no pyproject.toml, or one that only sets up tools."""
    (tmp_path / name).write_text(text)
    if pyproject:
        _files(tmp_path, pyproject__toml=pyproject)
    found = _plan(tmp_path)
    assert found.arguments == ("--editable", ".[test,tests,testing,dev]")
    assert tmp_path / name in found.files


def test_setup_cfg_that_only_sets_up_tools_makes_no_package(tmp_path: Path) -> None:
    """Linters keep their settings there."""
    (tmp_path / "setup.cfg").write_text("[flake8]\nmax-line-length = 100\n")
    assert _plan(tmp_path).arguments == ()


@pytest.mark.parametrize("name", ["pyproject.toml", "poetry.lock"])
def test_broken_file_is_named(name: str, tmp_path: Path) -> None:
    """Not a traceback of a parser."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / name).write_text("[broken")
    with pytest.raises(EnvironmentProblem, match=f"{name} of the project cannot be read"):
        _plan(tmp_path)
