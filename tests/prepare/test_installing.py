"""What is installed for a project, by real uv: its indexes, hashes and dates, and its psycopg2."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from building import Make, lock, package, serving, versions

from realdb_ci.errors import EnvironmentProblem

PROJECT = '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.11"\n'


@pytest.fixture
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an index of the project's own."""
    return tmp_path_factory.mktemp("index")


@pytest.fixture
def url(index: Path) -> Iterator[str]:
    """The address of that index."""
    with serving(index) as address:
        yield address


def _write(project: Path, **texts: str) -> None:
    for name, text in texts.items():
        (project / name.replace("__", ".")).write_text(text)


def test_package_of_an_index_that_uv_lock_names_comes_from_there(
    make: Make, home: Path, tmp_path: Path, index: Path, url: str
) -> None:
    """An explicit index is asked for the packages that name it; nothing is left in the checkout."""
    package(index, "corp-shelf", "1.0")
    package(index, "corp-shelf", "2.0")
    package(index, "idna", "99.0")
    settings = (
        'dependencies = ["corp-shelf<2", "idna", "realdb-ci>=0.0.1"]\n'
        '[tool.uv.sources]\ncorp-shelf = {index = "corp"}\nrealdb-ci = {index = "corp"}\n'
        f'[[tool.uv.index]]\nname = "corp"\nurl = "{url}"\nexplicit = true\n'
    )
    package(index, "realdb-ci", "0.0.2")
    _write(tmp_path, pyproject__toml=PROJECT + settings)
    lock(tmp_path, home)
    shelf, idna, ours = versions(make(), "corp-shelf", "idna", "realdb-ci")
    assert (shelf, ours) == ("1.0", "0.1.0")
    assert idna != "99.0"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pyproject.toml", "uv.lock"]


def test_groups_that_uv_installs_by_default_are_the_only_ones(make: Make, home: Path, tmp_path: Path) -> None:
    """Groups may conflict, so that no other one can be added; an extra for tests is there as before."""
    tables = (
        '[project.optional-dependencies]\ntest = ["colorama"]\n'
        '[dependency-groups]\nnew = ["idna==3.7"]\ntest = ["idna==3.6"]\n'
        '[tool.uv]\ndefault-groups = ["new"]\npackage = false\nconflicts = [[{group = "new"}, {group = "test"}]]\n'
    )
    _write(tmp_path, pyproject__toml=PROJECT + tables)
    lock(tmp_path, home)
    idna, colorama, shop = versions(make(), "idna", "colorama", "shop")
    assert (idna, shop) == ("3.7", None)
    assert colorama


# What a project has that names psycopg2 in one way.
PSYCOPG2 = {
    "requirements.txt": "psycopg2==2.9.11\n",
    "pyproject.toml": PROJECT + 'dependencies = ["psycopg2==2.9.11"]\n',
    "uv.lock": PROJECT + 'dependencies = ["psycopg2==2.9.11"]\n',
}


@pytest.fixture(params=PSYCOPG2)
def source(request: pytest.FixtureRequest, tmp_path: Path, home: Path) -> str:
    """What names psycopg2."""
    name: str = request.param
    (tmp_path / name.replace("uv.lock", "pyproject.toml")).write_text(PSYCOPG2[name])
    if name == "uv.lock":
        lock(tmp_path, home)
    return name


def test_psycopg2_that_cannot_be_built_comes_as_the_package_with_a_wheel(
    source: str, make: Make, tmp_path: Path, said: list[str]
) -> None:
    """Where there is no compiler and no pg_config, in the same version, and the log says so in one line."""
    bare = tmp_path / "bin"
    bare.mkdir()
    changes = {"environ": {"PATH": str(bare)}, "python_version": sys.executable}
    made = make(**changes, extras=("postgres",))
    assert made.source == source
    assert versions(made, "psycopg2", "psycopg2-binary") == [None, "2.9.11"]
    assert len([line for line in said if "the same module, takes its place" in line]) == 1


def test_psycopg2_of_the_project_is_not_overwritten_by_ours(make: Make, tmp_path: Path, index: Path) -> None:
    """psycopg2-binary would put its files over those; whichever the project has serves us, also an older one."""
    package(index, "psycopg2", "2.9.5")
    _write(tmp_path, requirements__txt="psycopg2==2.9.5\n")
    made = make(environ={"UV_FIND_LINKS": str(index / "psycopg2")}, extras=("postgres",))
    psycopg2, binary, sqlmodel = versions(made, "psycopg2", "psycopg2-binary", "sqlmodel")
    assert (psycopg2, binary) == ("2.9.5", None)
    assert sqlmodel


def test_private_package_comes_from_the_source_that_poetry_names(
    make: Make, tmp_path: Path, index: Path, url: str
) -> None:
    """From no other index, whatever stands there under its name; other packages are not looked up in it."""
    package(index, "idna", "3.0")
    package(index, "colorama", "99.0")
    _write(
        tmp_path,
        pyproject__toml='[tool.poetry]\nname = "shop"\n[tool.poetry.dependencies]\ncolorama = "*"\n'
        '[tool.poetry.group.test.dependencies]\nidna = {version = "*", source = "The corp"}\n'
        f'[[tool.poetry.source]]\nname = "The corp"\nurl = "{url}"\npriority = "explicit"\n',
    )
    idna, colorama = versions(make(), "idna", "colorama")
    assert idna == "3.0"
    assert colorama != "99.0"


def test_supplemental_source_of_poetry_has_what_the_public_index_lacks(
    make: Make, tmp_path: Path, index: Path, url: str
) -> None:
    """And where it has another version of a package than the one that is wanted, that is no obstacle."""
    package(index, "corp-shelf", "1.0", ["idna"])
    package(index, "idna", "3.0")
    _write(
        tmp_path,
        pyproject__toml='[tool.poetry.dependencies]\ncorp-shelf = "^1"\nidna = ">3"\n'
        f'[[tool.poetry.source]]\nname = "corp"\nurl = "{url}"\npriority = "supplemental"\n',
    )
    shelf, idna = versions(make(), "corp-shelf", "idna")
    assert shelf == "1.0"
    assert idna != "3.0"


@pytest.mark.parametrize("where", ["list", "variable", "settings"])
def test_hashes_are_demanded_of_what_the_list_names_and_of_nothing_else(
    where: str, make: Make, tmp_path: Path, index: Path
) -> None:
    """Neither the project itself nor our plugin can have one; the versions of the list hold for both."""
    digest = hashlib.sha256(package(index, "corp-shelf", "1.0").read_bytes()).hexdigest()
    package(index, "corp-shelf", "2.0")
    line = "--require-hashes\n" if where == "list" else ""
    _write(
        tmp_path,
        requirements__txt=f"{line}corp-shelf==1.0 --hash=sha256:{digest}\n",
        pyproject__toml=f'[project]\nname = "shop"\nversion = "1"\ndependencies = ["corp-shelf"]\n'
        f"[tool.uv.pip]\nrequire-hashes = {str(where == 'settings').lower()}\n"
        "[tool.setuptools]\npy-modules = []\n",
    )
    environ = {"UV_FIND_LINKS": str(index / "corp-shelf")}
    if where == "variable":
        environ["UV_REQUIRE_HASHES"] = "1"
    assert versions(make(environ=environ), "corp-shelf", "shop", "realdb-ci") == ["1.0", "1", "0.1.0"]
    wrong = (tmp_path / "requirements.txt").read_text().replace(digest, "0" * 64)
    _write(tmp_path, requirements__txt=wrong)
    with pytest.raises(EnvironmentProblem, match="Hash mismatch"):
        make(environ=environ)


def test_day_up_to_which_the_project_takes_packages_is_not_for_ours(make: Make, tmp_path: Path) -> None:
    """The project's packages are from before it, what the plugin needs may be newer."""
    _write(tmp_path, pyproject__toml=PROJECT + 'dependencies = ["idna"]\n[tool.uv]\nexclude-newer = "2024-01-01"\n')
    idna, junitparser = versions(make(), "idna", "junitparser")
    assert idna == "3.6"
    assert junitparser
