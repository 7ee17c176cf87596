"""The samples through the built image: each kind of network, cold and warm."""

from __future__ import annotations

import json
from collections.abc import Callable

import docker
import pytest
from cache_service import Store, serving
from imitation import GATEWAY, ROOT, RUNNER_UID, TOKEN, Done, Machine
from remains import left

pytestmark = pytest.mark.docker
SAMPLES = ROOT / "fixtures"
MakeMachine = Callable[..., Machine]


@pytest.mark.parametrize("network", ["none", "job", "older"])
@pytest.mark.parametrize("name", ["bookshelf", "chats", "shop"])
def test_sample_passes_on_sibling_containers(
    name: str,
    network: str,
    machine: MakeMachine,
    docker_engine: docker.DockerClient,
    request: pytest.FixtureRequest,
) -> None:
    """On every kind of network, cold and warm, the outcome is the promised one, and nothing is left behind."""
    job = request.getfixturevalue("job_network") if network == "job" else None
    with serving(Store(), GATEWAY) as cache:
        one = machine(network=job, older=network == "older", cache=cache)
        one.check_out(SAMPLES / name)
        cold, warm = (one.run(with_={"working-directory": name}) for _ in range(2))
    for done in (cold, warm):
        _assert_it_passed(name, one, done, docker_engine)
    assert ("Package cache: nothing found" in cold.raw, "Package cache: nothing found" in warm.raw) == (True, False)


def _assert_it_passed(name: str, one: Machine, done: Done, docker_engine: docker.DockerClient) -> None:
    expected = json.loads((SAMPLES / name / "expected.json").read_text())
    assert done.code == 0, done.raw
    assert not done.failed
    assert done.outputs["outcome"] == "passed"
    assert int(done.outputs["passed"]) == expected["passed"]
    assert done.outputs["junit"] == ".realdb-ci/junit.xml"
    assert (one.workspace / done.outputs["events"]).is_file()
    assert "docker" in done.summary
    assert done.log.of("error") == []
    assert {path.stat().st_uid for path in one.workspace.rglob("*")} == {RUNNER_UID}
    assert TOKEN not in "\n".join(done.log.shown)
    assert left(docker_engine, done) == []


@pytest.mark.parametrize("network", ["none", "job", "older"])
def test_failing_suite_fails_the_step_with_its_numbers(
    network: str, machine: MakeMachine, docker_engine: docker.DockerClient, request: pytest.FixtureRequest
) -> None:
    """The sample that fails in every way: each outcome in the outputs, nothing in it is taken for a command."""
    job = request.getfixturevalue("job_network") if network == "job" else None
    with serving(Store(), GATEWAY) as cache:
        one = machine(network=job, older=network == "older", cache=cache)
        one.check_out(SAMPLES / "broken")
        cold, warm = (one.run(with_={"working-directory": "broken"}) for _ in range(2))
    for done in (cold, warm):
        _assert_it_failed_as_promised(done, docker_engine)


def _assert_it_failed_as_promised(done: Done, docker_engine: docker.DockerClient) -> None:
    expected = json.loads((SAMPLES / "broken" / "expected.json").read_text())
    assert done.code == 1, done.raw
    assert done.failed
    assert done.outputs["outcome"] == "failed"
    numbers = {name: int(done.outputs[name]) for name in ("failed", "errors", "flaky", "skipped", "passed")}
    assert numbers == {
        "failed": expected["failed"],
        "errors": expected["error"],
        "flaky": expected["flaky"],
        "skipped": expected["skipped"] + expected["xfailed"],
        "passed": expected["passed"] + expected["xpassed"],
    }
    assert int(done.outputs["tests"]) == sum(numbers.values())
    assert not done.log.stopped
    assert left(docker_engine, done) == []
