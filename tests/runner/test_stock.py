"""Images kept in a cache service, on a real Docker engine; the image is a tiny one that each test makes."""

from __future__ import annotations

import contextlib
import io
import json
import secrets
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import docker
import pytest
from cache_service import TOKEN, Store, serving
from docker.errors import ImageNotFound
from fickle_registry import Fickle
from fickle_registry import serving as serving_images
from imitation import GATEWAY, Machine

from realdb_ci import services
from realdb_ci.config import Config
from realdb_ci.engines import image
from realdb_ci.engines.contract import Run
from realdb_ci.prepare import stock
from realdb_ci.prepare.cache import CacheService
from realdb_ci.prepare.results_service import Patience
from realdb_ci.prepare.stock import Stock

pytestmark = pytest.mark.docker
MakeMachine = Callable[..., Machine]
SLOW = 12.0


@dataclass
class Job:
    """Jobs with one cache service."""

    url: str
    home: Path
    said: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)
    spans: list[str] = field(default_factory=list)

    def stock(self) -> Stock:
        """The stock of a new job."""
        service = CacheService(self.url, TOKEN, patience=Patience(1.0, 5.0, ()))
        return Stock(
            service, self.home, self.warned.append, self.said.append, lambda *span: self.spans.append(span[1])
        )


@pytest.fixture
def store() -> Store:
    """What the service holds."""
    return Store()


@pytest.fixture
def job(store: Store, tmp_path: Path) -> Iterator[Job]:
    """Jobs with that service."""
    with serving(store) as url:
        yield Job(url, tmp_path / "images")


@pytest.fixture
def name(docker_engine: docker.DockerClient, mirror: str) -> Iterator[str]:
    """An image that is on the daemon and in the registry."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        member = tarfile.TarInfo(secrets.token_hex(4))
        member.size = 5
        tar.addfile(member, io.BytesIO(b"hello"))
    repository = f"{mirror}/stock-{secrets.token_hex(4)}"
    docker_engine.api.import_image_from_data(content.getvalue(), repository=repository, tag="1")
    docker_engine.images.push(repository, tag="1")
    yield f"{repository}:1"
    _forget(docker_engine, f"{repository}:1")


def _forget(client: docker.DockerClient, name: str) -> None:
    with contextlib.suppress(ImageNotFound):
        client.images.remove(name)


def _is_here(client: docker.DockerClient, name: str) -> bool:
    try:
        return bool(client.images.get(name))
    except ImageNotFound:
        return False


def _kept(job: Job, name: str, *, limited: bool = False) -> None:
    first = job.stock()
    first.pulled(name, SLOW, limited)
    assert first.save().startswith(f"{name}, ")


def test_image_that_was_pulled_slowly_is_loaded_the_next_time(
    job: Job, name: str, docker_engine: docker.DockerClient
) -> None:
    """It is the same one, and log and record say what that saved."""
    held = docker_engine.images.get(name).id
    _kept(job, name)
    _forget(docker_engine, name)
    assert job.stock().load(docker_engine, name)
    assert docker_engine.images.get(name).id == held
    (line,) = job.said
    assert line.startswith(f"Image cache: {name} loaded in ")
    assert " instead of 12.0 s: " in line
    assert line.endswith(" s saved")
    assert job.spans == [line.removeprefix("Image cache: ")]
    assert job.warned == []


def test_image_that_comes_quickly_or_is_pinned_is_not_kept(job: Job, name: str, store: Store) -> None:
    """The first is faster from its registry, of the second a daemon would not know that it is it."""
    one = job.stock()
    one.pulled(name, 1.0, False)
    one.pulled(f"{name}@sha256:{'0' * 64}", SLOW, True)
    assert one.save() == ""
    assert not store.entries


def test_image_whose_loading_took_longer_is_pulled_from_then_on(
    job: Job, name: str, docker_engine: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run that lost time by it leaves a mark; a registry that limits us is another matter."""
    monkeypatch.setattr(stock, "SLOW_SECONDS", 0.0)
    first = job.stock()
    first.pulled(name, 0.01, False)
    first.save()
    second = job.stock()
    assert second.load(docker_engine, name)
    assert job.said[0].endswith(" s lost")
    second.save()
    assert not job.stock().load(docker_engine, name)
    assert len(job.said) == 1
    assert job.warned == []


def test_registry_that_limits_us_is_asked_no_more(
    job: Job, name: str, docker_engine: docker.DockerClient, mirror: str
) -> None:
    """A pull that was limited once is kept however short it was; the next job does not need the registry at all."""
    path = name.removeprefix(f"{mirror}/")
    with serving_images(Fickle(mirror, failures=2, limited=True)) as registry:
        wish = services.wishes(Config(services=(f"postgres={registry}/{path}",)))["postgres"]
        first = Run(patience=(0.0,), stock=job.stock())
        held = image.ensure(docker_engine, wish, first)
        assert isinstance(first.stock, Stock)
        assert [one.limited for one in first.stock.pulls] == [True]
        first.stock.save()
        _forget(docker_engine, held.name)
    told: list[str] = []
    second = Run(lambda notice: told.append(notice.detail), stock=job.stock())
    try:
        assert image.ensure(docker_engine, wish, second).name == held.name
    finally:
        _forget(docker_engine, held.name)
    assert " from the cache in " in told[-1]


@pytest.mark.parametrize("trouble", ["garbage", "failing", "truncated", "read-only"])
def test_trouble_is_one_warning_and_the_image_is_pulled(
    trouble: str, job: Job, name: str, store: Store, docker_engine: docker.DockerClient
) -> None:
    """Neither loading nor keeping an image ever fails a run; a service that failed is not asked again."""
    _kept(job, name)
    _forget(docker_engine, name)
    if trouble == "garbage":
        store.entries = dict.fromkeys(store.entries, b"garbage")
    else:
        store.behaviour = trouble
    one = job.stock()
    loaded = one.load(docker_engine, name)
    assert loaded == _is_here(docker_engine, name) == (trouble == "read-only")
    docker_engine.images.pull(name)
    one.pulled(name, SLOW, False)
    assert one.save() == ""
    assert len(job.warned) == 1, job.warned


def test_image_that_the_daemon_refuses_is_pulled(
    job: Job, store: Store, name: str, docker_engine: docker.DockerClient
) -> None:
    """Its names were what they should be; what else is wrong with it, only the daemon finds."""
    _kept(job, name)
    _forget(docker_engine, name)
    content = json.dumps([{"Config": "gone.json", "RepoTags": [name], "Layers": ["gone.tar"]}]).encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("manifest.json")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    store.entries = dict.fromkeys(store.entries, packed.getvalue())
    assert not job.stock().load(docker_engine, name)
    [warning] = job.warned
    assert warning.startswith(f"The kept image {name} is not used: ")


def test_action_keeps_and_loads_images_if_it_is_asked_to(
    machine: MakeMachine, store: Store, name: str, mirror: str, docker_engine: docker.DockerClient
) -> None:
    """From a registry that limits it; that no server starts from this image changes nothing."""
    path = name.removeprefix(f"{mirror}/")
    with (
        serving(store, GATEWAY) as url,
        serving_images(Fickle(mirror, failures=2, limited=True)) as registry,
    ):
        one = machine(cache=url)
        one.write("one/test_one.py", "def test_one(db_session): pass\n")
        inputs = {"working-directory": "one", "services": f"postgres={registry}/{path}", "cache": "images"}
        done = [one.run(with_=inputs)]
        _forget(docker_engine, f"{registry}/{path}")
        done.append(one.run(with_=inputs))
        _forget(docker_engine, f"{registry}/{path}")
    assert [f"Image cache: {registry}/{path} loaded in " in each.raw for each in done] == [False, True], done[1].raw
    assert " from the cache in " in done[1].raw
    assert len(store.entries) == 1
