"""The Action's image, built once, and machines to run it on."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

# The stand-in for GitHub lives beside the tests of the door to it.
sys.path.append(str(Path(__file__).parents[1] / "github"))

from building_image import CERTIFICATES, IMAGE, PYTHON, build
from fake_github import FakeGitHub, serving
from imitation import GATEWAY, ROOT, Machine


@pytest.fixture(scope="session")
def python_base() -> str:
    """A Python base: the one of the variable, or Debian's Python on the base that tests/images/build made."""
    given = os.environ.get("REALDB_CI_PYTHON_BASE")
    if given:
        return given
    mark = hashlib.sha256(CERTIFICATES.read_bytes()).hexdigest()[:12]
    build(Path(__file__).parent / "base", PYTHON, f"realdb-ci/base:bookworm-slim-{mark}")
    return PYTHON


@pytest.fixture(scope="session")
def action_image(python_base: str) -> str:
    """The Action's image, from the Dockerfile as it stands."""
    build(ROOT, IMAGE, python_base)
    return IMAGE


@pytest.fixture
def job_network(docker_engine: docker.DockerClient) -> Iterator[str]:
    """A network such as the runner makes for a job with services; it removes it at the job's end."""
    name = f"github_network_{os.urandom(16).hex()}"
    network = docker_engine.networks.create(name, labels={"6f9a1c": ""})
    yield name
    # As the runner does: it fails where something of ours is still attached.
    network.remove()


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    """A GitHub that containers reach; the job's token may only read there until a test allows more."""
    with serving(GATEWAY) as fake:
        fake.permissions.clear()
        yield fake
        assert fake.complaints == []


@pytest.fixture
def machine(tmp_path: Path, action_image: str, mirror: str, github: FakeGitHub) -> Callable[..., Machine]:
    """Make a machine; images come from the registry of the tests, and environments are made in memory.

    An environment is some ten thousand small files, and making them on a slow disk is not what the tests are about.
    """

    def make(**options: object) -> Machine:
        environ = {"REALDB_CI_MIRROR": mirror, "RYUK_CONTAINER_IMAGE": f"{mirror}/ryuk:0.8.1"}
        options = {"api": github.url, "imposed": ("--tmpfs", "/var/cache:exec"), **options}
        return Machine(tmp_path / "_work", action_image, environ=environ, **options)  # type: ignore[arg-type]

    return make
