"""The docker engine: real containers, reached the short way, and gone afterwards."""

import ipaddress
import itertools
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
import psutil
import psycopg2
import pymongo
import pytest
from elsewhere import HERE, elsewhere
from launching import Launcher, Steps

import realdb_ci
from realdb_ci.engines import daemon, registry
from realdb_ci.engines.contract import RUN_LABEL, Run
from realdb_ci.errors import Refusal, ServerError

pytestmark = pytest.mark.docker
SOCKET = "/var/run/docker.sock"


def _left(client: docker.DockerClient, run: Run) -> list[str]:
    """Names of everything on the daemon that carries the run's label."""
    filters: dict[str, str | list[str] | bool] = {"label": f"{RUN_LABEL}={run.id}"}
    return [
        str(one.name)
        for kind in (client.containers.list(all=True, filters=filters), client.networks.list(filters=filters))
        for one in kind
    ] + [str(volume.name) for volume in client.volumes.list(filters=filters)]


def test_postgres_is_tuned_and_in_memory(
    launch: Launcher, run: Run, docker_engine: docker.DockerClient, mirror: str
) -> None:
    """Durability is off as read back from the server, data lies on tmpfs, and no port is published."""
    server = launch("postgres:17-alpine", engine="docker", mirror=mirror).server
    with closing(psycopg2.connect(server.url)) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW fsync")
        assert cursor.fetchone() == ("off",)
    (container,) = docker_engine.containers.list(filters={"label": f"{RUN_LABEL}={run.id}"})
    assert container.attrs["HostConfig"]["Tmpfs"] == {"/var/lib/postgresql/data": ""}
    assert not container.attrs["HostConfig"]["PortBindings"]
    assert container.attrs["NetworkSettings"]["IPAddress"] in server.url
    assert server.origin.startswith(f"{mirror}/postgres:17-alpine (")


def test_postgres_18_gets_its_new_data_path(
    launch: Launcher, run: Run, docker_engine: docker.DockerClient, mirror: str
) -> None:
    """Version 18 moved its volume and refuses a mount on the old one: the image's own volume counts."""
    server = launch("postgres:18-alpine", engine="docker", mirror=mirror).server
    assert server.version.startswith("PostgreSQL 18")
    (container,) = docker_engine.containers.list(filters={"label": f"{RUN_LABEL}={run.id}"})
    assert container.attrs["HostConfig"]["Tmpfs"] == {"/var/lib/postgresql": ""}


def test_mongodb_is_a_replica_set_with_authentication(
    launch: Launcher, docker_engine: docker.DockerClient, mirror: str
) -> None:
    """Transactions work, and without the password nothing does."""
    server = launch("mongo:7.0", engine="docker", mirror=mirror).server
    client: pymongo.MongoClient[dict[str, object]]
    with pymongo.MongoClient(server.url) as client, client.start_session() as session:
        session.start_transaction()
        client.shop.orders.insert_one({"_id": 1}, session=session)
        session.commit_transaction()
        assert client.shop.orders.count_documents({}) == 1
    with (
        pymongo.MongoClient(f"mongodb://{server.url.partition('@')[2]}") as client,
        pytest.raises(pymongo.errors.OperationFailure, match="requires authentication"),
    ):
        client.list_database_names()


def test_image_is_pulled_with_progress(
    launch: Launcher, steps: Steps, docker_engine: docker.DockerClient, mirror: str
) -> None:
    """An image that is missing comes from the registry, and every step is told."""
    name = f"{mirror}/postgres:15-alpine"
    launch("postgres:15-alpine", engine="docker", mirror=mirror).stop()
    docker_engine.images.remove(name)
    steps.clear()
    server = launch("postgres:15-alpine", engine="docker", mirror=mirror).server
    assert steps.stages == ["pull", "pulled", "start", "ready"]
    digest = docker_engine.images.get(name).attrs["RepoDigests"][0].split(":")[-1]
    assert digest[:12] in server.origin


def test_image_that_cannot_be_pulled_is_a_refusal_with_the_registrys_words(
    launch: Launcher, docker_engine: docker.DockerClient, mirror: str
) -> None:
    """The next engine may serve; alone it is an error that names the image."""
    with pytest.raises(Refusal, match=f"{mirror}/postgres:404 cannot be pulled") as caught:
        launch("postgres:404", engine="docker", mirror=mirror)
    assert "manifest" in caught.value.why or "not found" in caught.value.why


def test_container_that_exits_fails_within_a_second_with_its_last_words(
    launch: Launcher, run: Run, docker_engine: docker.DockerClient, mirror: str
) -> None:
    """No time-out is waited for when the container is dead, and nothing falls through to another engine."""
    docker_engine.images.pull(f"{mirror}/exits", tag="1")
    began = time.monotonic()
    with pytest.raises(ServerError, match="exit code 7") as caught:
        launch(f"postgres={mirror}/exits:1")
    # Creating and starting the container is the daemon's time; the rest is ours.
    assert time.monotonic() - began < 5
    assert len(caught.value.log.splitlines()) == 2
    assert _left(docker_engine, run) == []


def test_stop_and_close_leave_nothing(
    launch: Launcher, run: Run, docker_engine: docker.DockerClient, mirror: str
) -> None:
    """No container, no network and no volume carries the run's label afterwards."""
    running = launch("mongo:7.0", engine="docker", mirror=mirror)
    (container,) = docker_engine.containers.list(filters={"label": f"{RUN_LABEL}={run.id}"})
    assert container.attrs["Mounts"] == [], "a volume was made beside the tmpfs"
    running.stop()
    assert _left(docker_engine, run) == []


def test_killed_owner_leaves_no_container(docker_engine: docker.DockerClient, mirror: str) -> None:
    """After SIGKILL the guard removes what carries the run's label."""
    script = (
        "import sys, time\n"
        "from realdb_ci import engines, services\n"
        "from realdb_ci.config import Config\n"
        "from realdb_ci.engines.contract import Run\n"
        "run = Run()\n"
        f"wish = services.wishes(Config(engine='docker', mirror={mirror!r}))['postgres']\n"
        "engines.start(services.get('postgres'), wish, run)\n"
        "print(run.id, flush=True)\n"
        "time.sleep(600)\n"
    )
    began = time.time()
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        label = f"{RUN_LABEL}={owner.stdout.readline().strip()}"
        (container,) = docker_engine.containers.list(filters={"label": label})
        owner.kill()
    _wait_for_destruction(docker_engine, container.id, began)


def test_inside_a_container_its_network_is_joined_and_left(docker_engine: docker.DockerClient, mirror: str) -> None:
    """With the socket shared, servers are siblings on the run's own network, reached by their own address."""
    script = (
        "from realdb_ci import engines, services\n"
        "from realdb_ci.config import Config\n"
        "from realdb_ci.engines.contract import Run\n"
        "run = Run()\n"
        f"wish = services.wishes(Config(engine='docker', mirror={mirror!r}))['mongodb']\n"
        "running = engines.start(services.get('mongodb'), wish, run)\n"
        "print(run.id, running.server.url)\n"
        "running.stop()\n"
        "run.close()\n"
    )
    output: bytes = docker_engine.containers.run(remove=True, stderr=True, **_inside(script, mirror))
    run_id, url = output.decode().split()
    bridge = ipaddress.ip_network(docker_engine.networks.get("bridge").attrs["IPAM"]["Config"][0]["Subnet"])
    assert ipaddress.ip_address(urlsplit(url).hostname or "") not in bridge
    assert not docker_engine.networks.list(filters={"label": f"{RUN_LABEL}={run_id}"})


def _inside(script: str, mirror: str) -> dict[str, Any]:
    """Options of a container that runs the script beside ours: with our interpreter and packages as they are."""
    sources = str(Path(realdb_ci.__file__).parents[1])
    folders = {sys.prefix, sys.base_prefix, sources, SOCKET}
    return {
        # It has the system libraries that they need.
        "image": f"{mirror}/mongo:7.0",
        "entrypoint": [sys.executable, "-c", script],
        "environment": {
            "PYTHONPATH": sources,
            "RYUK_CONTAINER_IMAGE": "ryuk:0.8.1",
            "RYUK_RECONNECTION_TIMEOUT": "1s",
            "TESTCONTAINERS_CONNECTION_MODE": "bridge_ip",
        },
        "volumes": {path: {"bind": path, "mode": "ro"} for path in folders},
    }


def test_killed_container_leaves_no_network(docker_engine: docker.DockerClient, mirror: str) -> None:
    """Where the run's own container is killed with all in it, the reaper removes its network too."""
    script = (
        "import threading\n"
        "from realdb_ci import engines, services\n"
        "from realdb_ci.config import Config\n"
        "from realdb_ci.engines.contract import Run\n"
        "run = Run()\n"
        f"wish = services.wishes(Config(engine='docker', mirror={mirror!r}))['postgres']\n"
        "engines.start(services.get('postgres'), wish, run)\n"
        "[thread.join() for thread in threading.enumerate() if thread.name == 'realdb-ci-ryuk']\n"
        "print(run.id, flush=True)\n"
        "threading.Event().wait()\n"
    )
    began = time.time()
    owner = docker_engine.containers.run(detach=True, auto_remove=True, **_inside(script, mirror))
    lines = iter(owner.logs(stream=True))
    run_id = next(lines).decode().strip()
    (network,) = docker_engine.networks.list(filters={"label": f"{RUN_LABEL}={run_id}"})
    owner.kill()
    assert not list(lines)
    _wait_for_destruction(docker_engine, network.id, began, kind="network")


def test_published_port_serves_where_the_direct_way_does_not(
    launch: Launcher, docker_engine: docker.DockerClient, mirror: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the bridge is not an interface of this machine (Docker Desktop), the port is published."""
    monkeypatch.setattr(daemon, "bridge_is_ours", lambda _: False)
    server = launch("mongo:7.0", engine="docker", mirror=mirror).server
    host = server.url.partition("@")[2].partition("/")[0]
    assert host.startswith("localhost:")
    socket.create_connection(("localhost", int(host.partition(":")[2])), 2).close()


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None, reason="another network needs root and iproute2"
)
def test_daemon_of_another_machine_serves_by_published_ports(
    docker_engine: docker.DockerClient, mirror: str
) -> None:
    """DOCKER_HOST names it: the server is reached at that machine's address, and everything there is removed."""
    script = (
        "import psycopg2\n"
        "from realdb_ci import engines, services\n"
        "from realdb_ci.config import Config\n"
        "from realdb_ci.engines import daemon\n"
        "from realdb_ci.engines.contract import Run\n"
        "with daemon.connection() as client: assert not daemon.bridge_is_ours(client)\n"
        "run = Run()\n"
        f"wish = services.wishes(Config(engine='docker', mirror={mirror!r}))['postgres']\n"
        "running = engines.start(services.get('postgres'), wish, run)\n"
        "psycopg2.connect(running.server.url).close()\n"
        "print(run.id, running.server.url)\n"
        "running.stop()\n"
        "run.close()\n"
    )
    with elsewhere(SOCKET) as there:
        # As on a machine with a Docker of its own: an address that is the same on both.
        there.add_address(_bridge(docker_engine))
        done = there.python(script, dict(os.environ))
    assert done.returncode == 0, done.stderr
    run_id, url = done.stdout.split()
    assert urlsplit(url).hostname == HERE
    assert not docker_engine.containers.list(all=True, filters={"label": f"{RUN_LABEL}={run_id}"})


def _bridge(client: docker.DockerClient) -> str:
    """The address of this machine on Docker's default bridge."""
    pool = client.networks.get("bridge").attrs["IPAM"]["Config"][0]
    return str(pool.get("Gateway") or next(ipaddress.ip_network(pool["Subnet"]).hosts()))


@pytest.mark.parametrize(
    ("host", "why"),
    [("unix:///nowhere/docker.sock", "No such file"), ("tcp://127.0.0.1:9", "refused")],
)
def test_daemon_that_does_not_answer_is_a_refusal(monkeypatch: pytest.MonkeyPatch, host: str, why: str) -> None:
    """The message says why, and what to set."""
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(Refusal, match="does not answer") as caught:
        daemon.connection().__enter__()
    assert why in caught.value.why
    assert "DOCKER_HOST" in caught.value.remedy


def test_reaper_whose_image_never_comes_is_not_waited_for(
    docker_engine: docker.DockerClient, mirror: str, silent_registry: str
) -> None:
    """A run on servers that are there already ends at once, though Ryuk's registry says nothing."""
    script = (
        "import time\n"
        "from realdb_ci import engines, services\n"
        "from realdb_ci.config import Config\n"
        "from realdb_ci.engines.contract import Run\n"
        "run = Run()\n"
        f"wish = services.wishes(Config(engine='docker', mirror={mirror!r}))['postgres']\n"
        "engines.start(services.get('postgres'), wish, run).stop()\n"
        "began = time.monotonic()\n"
        "run.close()\n"
        "print(time.monotonic() - began)\n"
    )
    environ = {**os.environ, "RYUK_CONTAINER_IMAGE": f"{silent_registry}/ryuk:1"}
    words = [sys.executable, "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, env=environ, check=True, timeout=60)
    assert float(done.stdout) < 5


def test_silent_registry_is_an_attempt_that_failed(
    docker_engine: docker.DockerClient, silent_registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pull without progress is given up after a while, tried again as patiently as the run is, and told."""
    monkeypatch.setattr(registry, "SILENT_SECONDS", 0.5)
    steps = Steps()
    run = Run(steps.append, patience=(0.0,))
    image = f"{silent_registry}/postgres:17"
    with pytest.raises(Refusal, match="cannot be pulled") as caught:
        Launcher(run)(f"postgres={image}", engine="docker")
    run.close()
    assert caught.value.why == "no progress in 0.5 s"
    assert [one.detail for one in steps if "again in" in one.detail]


def test_ryuk_removes_containers_even_without_the_guard(docker_engine: docker.DockerClient, mirror: str) -> None:
    """The reaper, from the mirror as all images, cleans up when owner and guard are killed together."""
    script = (
        "import threading\n"
        "from realdb_ci import engines, services\n"
        "from realdb_ci.config import Config\n"
        "from realdb_ci.engines.contract import Run\n"
        "run = Run()\n"
        f"wish = services.wishes(Config(engine='docker', mirror={mirror!r}))['postgres']\n"
        "engines.start(services.get('postgres'), wish, run)\n"
        "[thread.join() for thread in threading.enumerate() if thread.name == 'realdb-ci-ryuk']\n"
        "print(run.id, flush=True)\n"
        "threading.Event().wait()\n"
    )
    environ = {**os.environ, "RYUK_CONTAINER_IMAGE": "ryuk:0.8.1", "RYUK_RECONNECTION_TIMEOUT": "1s"}
    began = time.time()
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environ) as owner:
        assert owner.stdout is not None
        label = f"{RUN_LABEL}={owner.stdout.readline().strip()}"
        (container,) = docker_engine.containers.list(filters={"label": label})
        for process in [*psutil.Process(owner.pid).children(), psutil.Process(owner.pid)]:
            process.kill()
    reaper = docker_engine.containers.list(filters={"ancestor": f"{mirror}/ryuk:0.8.1"})
    assert reaper
    _wait_for_destruction(docker_engine, container.id, began)
    for one in reaper:
        _wait_for_destruction(docker_engine, one.id, began)


def _wait_for_destruction(
    engine: docker.DockerClient, what: str | None, since: float, kind: str = "container"
) -> None:
    """Return when the daemon says that the container or network is gone; fail after half a minute."""
    events = engine.events(
        decode=True,
        since=int(since),
        until=int(time.time()) + 30,
        filters={kind: what, "event": "destroy"},
    )
    assert [event["Actor"]["ID"] for event in itertools.islice(events, 1)] == [what]
    events.close()
