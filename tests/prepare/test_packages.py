"""A project's environment, kept in a cache service from one run to the next; uv and the index are real."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import building
import pytest
from building import wheel
from cache_service import TOKEN, Store, serving

from realdb_ci.prepare import dependencies
from realdb_ci.prepare.cache import CacheService
from realdb_ci.prepare.environment import Environment, Maker
from realdb_ci.prepare.installing import Order
from realdb_ci.prepare.packages import Packages, key
from realdb_ci.prepare.results_service import Patience
from realdb_ci.prepare.uv import Uv

QUICK = Patience(connect=1.0, transfer=5.0, pauses=())


@dataclass
class Job:
    """Jobs of one project, each on a machine that has nothing of the one before."""

    project: Path
    home: Path
    url: str
    environ: dict[str, str]
    said: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)

    def begin(self) -> tuple[Environment, Packages]:
        """Make the environment as the Action does."""
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir()
        self.said.clear()
        uv = Uv(self.home, self.environ, self.said.append)
        packages = Packages.of(CacheService(self.url, TOKEN, patience=QUICK), uv, self.warned.append)
        maker = Maker(uv, wheel())
        order = Order(self.project, dependencies.plan(self.project, self.project, ()))
        made = maker.empty(order)
        if not packages.restore(order, made, maker.wheel):
            maker.fill(order, made)
            packages.finished(made)
        return made, packages

    @property
    def installed(self) -> bool:
        """Whether uv has put anything into the last environment."""
        return any(line.startswith("Installed") for line in self.said)


@pytest.fixture
def store() -> Store:
    """What the service holds."""
    return Store()


@pytest.fixture
def job(store: Store, tmp_path: Path) -> Iterator[Job]:
    """A project that needs click."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "requirements.txt").write_text("click==8.1.8\n")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL"))}
    with serving(store) as url:
        yield Job(project, tmp_path / "home", url, environ)


def _run(made: Environment, code: str) -> str:
    # A machine may forbid Python to keep what it compiles.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    words = [made.interpreter, "-c", code]
    return subprocess.run(words, env=environ, capture_output=True, text=True, check=True).stdout.strip()


def test_kept_environment_is_there_without_installing_and_without_compiling(job: Job) -> None:
    """The second machine has the packages, their programs, and what Python compiled while the suite ran."""
    first, packages = job.begin()
    _run(first, "import click, realdb_ci.plugin")
    assert "MB saved in" in packages.save(4.2)
    second, packages = job.begin()
    assert not job.installed
    assert _run(second, "import click, importlib.metadata as m; print(m.version('click'))") == "8.1.8"
    assert list(second.root.rglob("click/__pycache__/core.*.pyc"))
    program = [second.interpreter.with_name("pytest"), "--version"]
    assert "pytest" in subprocess.run(program, capture_output=True, text=True, check=True).stdout
    assert "environment in 0.5 s instead of 4.2 s" in packages.told(0.5)
    assert packages.save(0.5) == ""
    assert job.warned == []


def test_environment_that_the_suite_has_changed_is_not_kept(job: Job, store: Store) -> None:
    """What a test does to its packages must not reach the next run; what it adds beside them stays behind."""
    made, packages = job.begin()
    place = Path(_run(made, "import click; print(click.__file__)"))
    (place.parent / "added.py").touch()
    packages.save(1.0)
    made, packages = job.begin()
    assert place.exists()
    assert not place.with_name("added.py").exists()
    store.entries.clear()
    made, packages = job.begin()
    place.write_text("broken = 1\n")
    assert packages.save(1.0) == ""
    assert not store.entries


def test_what_decides_the_environment_decides_the_key(job: Job) -> None:
    """A list that another one includes, our extras, uv's settings, Python, the place: each makes another one."""
    (job.project / "requirements.txt").write_text("-r more.txt\n")
    (job.project / "more.txt").write_text("click\n")

    def keys() -> list[str]:
        order = Order(job.project, dependencies.plan(job.project, job.project, ()))
        made = Environment(Path("/here/environment/bin/python"), "3.13.1", "")
        return [
            key(order, made, wheel(), {}),
            key(order, replace(made, version="3.12.1"), wheel(), {}),
            key(order, replace(made, interpreter=Path("/there/environment/bin/python")), wheel(), {}),
            key(order, made, wheel(), {"UV_PRERELEASE": "allow"}),
            key(replace(order, extras=("redis",)), made, wheel(), {}),
        ]

    before = keys()
    assert before == keys()
    (job.project / "more.txt").write_text("click<9\n")
    assert len({*before, *keys()}) == 10


def test_package_in_a_folder_is_installed_anew(job: Job) -> None:
    """Its code may be another one by now, though nothing that the key covers has changed."""
    local = job.project / "local"
    local.mkdir()
    (local / "pyproject.toml").write_text('[project]\nname = "local"\nversion = "1"\n')
    (local / "local.py").write_text("VALUE = 1\n")
    (job.project / "requirements.txt").write_text("./local\n")
    made, packages = job.begin()
    assert _run(made, "import local; print(local.VALUE)") == "1"
    packages.save(1.0)
    (local / "local.py").write_text("VALUE = 2\n")
    os.utime(local / "pyproject.toml")
    made, packages = job.begin()
    assert packages.environment.found
    assert _run(made, "import local; print(local.VALUE)") == "2"


@pytest.mark.parametrize("trouble", ["truncated", "failing", "garbage"])
def test_kept_environment_that_cannot_be_had_is_made(trouble: str, job: Job, store: Store) -> None:
    """One warning, and the packages come from the index."""
    made, packages = job.begin()
    packages.save(1.0)
    if trouble == "garbage":
        store.entries = dict.fromkeys(store.entries, b"garbage")
    else:
        store.behaviour = trouble
    made, packages = job.begin()
    assert job.installed
    assert _run(made, "import click; print('there')") == "there"
    assert len(job.warned) == 1, job.warned


def test_environment_of_links_is_not_kept(job: Job, store: Store) -> None:
    """They lead into uv's cache, and to nothing on the next machine."""
    job.environ["UV_LINK_MODE"] = "symlink"
    made, packages = job.begin()
    assert _run(made, "import click; print('there')") == "there"
    packages.save(1.0)
    assert not [key for key, _ in store.entries if key.startswith("realdb-ci-environment-")]
    made, packages = job.begin()
    assert job.installed
    assert _run(made, "import click, pytest; print('there')") == "there"
    assert job.warned == []


@pytest.mark.parametrize("name", ["pytest", "realdb_ci"])
def test_entry_that_lacks_what_runs_the_suite_is_not_used(name: str, job: Job, tmp_path: Path) -> None:
    """One warning, and the environment is made as without it."""
    made, packages = job.begin()
    [folder] = made.root.glob(f"lib/*/site-packages/{name}-*.dist-info")
    shutil.rmtree(folder)
    packages.finished(made)
    packages.save(1.0)
    made, packages = job.begin()
    assert job.installed
    assert _run(made, f"import click, pytest, realdb_ci, importlib.metadata as m; print(m.version('{name}'))")
    [warning] = job.warned
    assert warning == "The kept environment is not used: it lacks pytest or realdb-ci"
    assert packages.told(0.5).startswith("nothing found in ")
    assert packages.save(1.0) == ""


@pytest.mark.parametrize("seconds", [10**400, -1, "x", None, float("nan")])
def test_entry_that_tells_no_time_is_used_without_a_comparison(seconds: object, job: Job) -> None:
    """What it says about itself may be anything."""
    uv = Uv(job.home, job.environ, job.said.append)
    packages = Packages.of(CacheService(job.url, TOKEN), uv, job.warned.append)
    packages.environment.found, packages.environment.note = "key", {"seconds": seconds}
    assert "instead of" not in packages.told(1.0)


BACKEND = """
import os, pathlib, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    with open(os.environ["BUILDS"], "a") as builds:
        builds.write("built ")
    name = "handmade-1.0-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as wheel:
        wheel.writestr("handmade.py", "")
        for file, text in {
            "METADATA": "Metadata-Version: 2.1\\nName: handmade\\nVersion: 1.0\\n",
            "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
            "RECORD": "",
        }.items():
            wheel.writestr(f"handmade-1.0.dist-info/{file}", text)
    return name
"""
METADATA = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


@contextmanager
def _index(folder: Path) -> Iterator[str]:
    """An index with one package that has to be built."""
    place = folder / "handmade"
    place.mkdir(parents=True)
    with tarfile.open(place / "handmade-1.0.tar.gz", "w:gz") as tar:
        about = "Metadata-Version: 2.1\nName: handmade\nVersion: 1.0\n"
        for name, text in (("pyproject.toml", METADATA), ("backend.py", BACKEND), ("PKG-INFO", about)):
            member = tarfile.TarInfo(f"handmade-1.0/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    (place / "index.html").write_text('<a href="handmade-1.0.tar.gz">handmade-1.0.tar.gz</a>')

    with building.serving(folder) as url:
        yield url


def test_package_that_had_to_be_built_is_not_built_again(job: Job, tmp_path: Path) -> None:
    """Though the environment is another one: what uv built is kept beside it."""
    (job.project / "requirements.txt").write_text("handmade==1.0\n")
    builds = tmp_path / "builds"
    with _index(tmp_path / "index") as url:
        job.environ |= {"UV_INDEX": url, "BUILDS": str(builds)}
        _, packages = job.begin()
        packages.save(1.0)
        (job.project / "requirements.txt").write_text("handmade==1.0\nclick==8.1.8\n")
        made, packages = job.begin()
    assert job.installed
    assert packages.built.found
    assert _run(made, "import handmade, click; print('there')") == "there"
    assert builds.read_text() == "built "
