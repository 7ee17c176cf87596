"""Which tests need a Docker engine, and what happens where none answers."""

import functools
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException
from hypothesis import HealthCheck, settings

from realdb_ci.engines import daemon
from realdb_ci.errors import Refusal

# How long an example takes says nothing on a machine that runs servers beside it.
settings.register_profile("realdb-ci", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("realdb-ci")
REQUIRE = "REALDB_CI_REQUIRE_DOCKER"
# Put into the environment, because the commands that tests start pull from there too.
MIRROR = os.environ.setdefault("REALDB_CI_MIRROR", "localhost:5000")
# What one test keeps for the next run must not be what another one starts from, nor lie in the user's own folder.
os.environ.setdefault("REALDB_CI_SNAPSHOTS", "false")
# It stands for all: tests/images/build serves it last.
LAST_IMAGE = f"{MIRROR}/exits:1"


@functools.cache
def _unmet() -> str:
    """Why tests marked ``docker`` cannot run here, or nothing."""
    try:
        with daemon.connection() as client:
            client.images.get_registry_data(LAST_IMAGE)
    except Refusal as problem:
        return f"no Docker engine answers ({problem.why})"
    except DockerException as problem:
        return f"the images of tests/images/build are not served at {MIRROR} ({problem})"
    return ""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked ``docker`` where it cannot run, with the reason; where Docker is required, fail it."""
    unmet = _unmet() if item.get_closest_marker("docker") else ""
    if unmet and os.environ.get(REQUIRE) == "1":
        pytest.fail(f"{REQUIRE} is set, but {unmet}", pytrace=False)
    if unmet:
        pytest.skip(unmet)


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[docker.DockerClient]:
    """A client of the engine, for tests marked ``docker``."""
    with daemon.connection() as client:
        yield client


@pytest.fixture(scope="session")
def mirror() -> str:
    """The registry that has the stand-in images."""
    return MIRROR


@pytest.fixture
def silent_registry() -> Iterator[str]:
    """The name of a registry that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"localhost:{server.getsockname()[1]}"


@pytest.fixture
def with_pytest_asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pytest processes that the test starts have pytest-asyncio, which lies beside our environment."""
    folder = Path(sys.prefix) / "with-pytest-asyncio"
    assert (folder / "pytest_asyncio").is_dir(), f"`make env` puts pytest-asyncio into {folder}"
    monkeypatch.setenv("PYTHONPATH", str(folder))
