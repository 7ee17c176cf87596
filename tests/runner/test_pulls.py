"""Images through the Action: from a registry that fails at first, wants credentials, or is pinned by digest."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable

import docker
import pytest
from docker.errors import ImageNotFound
from fickle_registry import PASSWORD, Fickle, auth_config, serving
from imitation import AFTER_SIGINT, Machine
from remains import left

from realdb_ci import results

pytestmark = pytest.mark.docker
MakeMachine = Callable[..., Machine]
TEST = "def test_one(db_session): pass\n"


@pytest.mark.parametrize("fickle", [{"failures": 2}, {"credentials": True}], ids=["failing", "private"])
def test_image_comes_from_a_difficult_registry(
    fickle: dict[str, int], machine: MakeMachine, docker_engine: docker.DockerClient, mirror: str
) -> None:
    """With patience or with credentials; the record has name, digest, size and seconds of the pull."""
    with serving(Fickle(mirror, **fickle)) as registry:  # type: ignore[arg-type]
        image = f"{registry}/postgres:15-alpine"
        one = machine(cache="")
        one.environ["DOCKER_AUTH_CONFIG"] = auth_config(registry) if "credentials" in fickle else ""
        one.write("one/test_one.py", TEST)
        try:
            done = one.run(with_={"working-directory": "one", "services": f"postgres={image}", "engine": "docker"})
        finally:
            with contextlib.suppress(ImageNotFound):
                docker_engine.images.remove(image)
    assert done.code == 0, done.raw
    assert ("again in" in done.raw) == ("failures" in fickle)
    assert PASSWORD not in done.raw
    (suite,) = results.read(one.workspace / done.outputs["events"]).suites
    (pull,) = (span for span in suite.spans if span.name == "pull postgres")
    assert re.fullmatch(rf"{re.escape(image)} \(sha256:\w{{64}}, \d+ MB\) in [\d.]+ s", pull.detail)


def test_refused_credentials_are_not_tried_for_long(machine: MakeMachine, mirror: str) -> None:
    """What no patience mends ends the step at once."""
    with serving(Fickle(mirror, credentials=True)) as registry:
        one = machine()
        one.write("one/test_one.py", TEST)
        image = f"{registry}/postgres:15-alpine"
        done = one.run(with_={"working-directory": "one", "services": f"postgres={image}", "engine": "docker"})
    assert done.code == 3, done.raw
    assert "again in" not in done.raw
    (error,) = done.log.of("error")
    assert image in error.message


def test_unreadable_credentials_are_a_bad_setting(machine: MakeMachine) -> None:
    """One error says so, instead of a daemon that does not answer."""
    one = machine()
    one.environ["DOCKER_AUTH_CONFIG"] = "not JSON"
    one.write("one/test_one.py", TEST)
    done = one.run(with_={"working-directory": "one"})
    assert done.code == 2, done.raw
    (error,) = done.log.of("error")
    assert "DOCKER_AUTH_CONFIG cannot be used" in error.message


def test_job_that_is_cancelled_during_a_pull_ends_in_time(
    machine: MakeMachine, docker_engine: docker.DockerClient, silent_registry: str
) -> None:
    """The registry says nothing; outputs and summary are written, and the network is gone."""
    one = machine()
    one.write("one/test_one.py", TEST)
    image = f"{silent_registry}/postgres:17"
    done = one.run(
        lambda raw: "test session starts" in raw,
        with_={"working-directory": "one", "services": f"postgres={image}", "engine": "docker"},
    )
    assert done.code == 130, done.raw
    assert done.after_cancel < AFTER_SIGINT
    assert done.outputs["outcome"] == "interrupted"
    assert left(docker_engine, done) == []


def test_image_pinned_by_digest_is_the_one_that_runs(
    machine: MakeMachine, docker_engine: docker.DockerClient, mirror: str
) -> None:
    """A tag may move, a digest does not."""
    digest = docker_engine.images.pull(f"{mirror}/postgres", tag="17-alpine").attrs["RepoDigests"][0].split("@")[1]
    one = machine()
    one.write("one/test_one.py", TEST)
    done = one.run(with_={"working-directory": "one", "services": f"postgres:17-alpine@{digest}"})
    assert done.code == 0, done.raw
    assert f"17-alpine@{digest} ({digest.split(':')[1][:12]})" in done.raw
