"""Which tests need a Docker engine, and what happens where none answers."""

import os
from collections.abc import Iterator

import docker
import pytest
from docker.errors import DockerException

REQUIRE = "REALDB_CI_REQUIRE_DOCKER"
MIRROR = os.environ.get("REALDB_CI_MIRROR", "")
# One image stands for all: they are built and served together.
NEEDED = f"{MIRROR}/postgres:17-alpine".lstrip("/")


def _unmet() -> str:
    """Why tests marked ``docker`` cannot run here, or nothing."""
    try:
        client = docker.from_env()
    except DockerException:
        return "no Docker engine answers"
    try:
        client.ping()
        client.images.get_registry_data(NEEDED)
    except DockerException as problem:
        return f"the image {NEEDED} cannot be had: {problem}"
    finally:
        client.close()
    return ""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip tests marked ``docker``, by name and with the reason, where they cannot run; fail them if required."""
    marked = [item for item in items if item.get_closest_marker("docker")]
    unmet = _unmet() if marked and not config.option.collectonly else ""
    for item in marked if unmet else ():
        if os.environ.get(REQUIRE) == "1":
            item.add_marker(pytest.mark.usefixtures("docker_engine"))
        else:
            item.add_marker(pytest.mark.skip(reason=unmet))


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[docker.DockerClient]:
    """A client of the engine; where the engine or the images are missing, the test fails."""
    unmet = _unmet()
    if unmet:
        pytest.fail(f"{REQUIRE} is set, and {unmet}", pytrace=False)
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture(scope="session")
def mirror() -> str:
    """The registry that has the images, empty for the public one."""
    return MIRROR
