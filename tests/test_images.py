"""The stand-in images keep the promises of the official ones."""

import io
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, TypeVar

import docker
import psycopg2
import pymongo
import pytest
import redis
from docker.models.containers import Container
from pymongo.errors import OperationFailure, PyMongoError

from realdb_ci.services.mongodb import SERVICE as MONGODB

T = TypeVar("T")
Start = Callable[..., Container]
SECONDS = 60.0
# The tag a project asks for, and the server that is really inside. The image of 15-alpine is that of 17-alpine
# under another name, and one of the engine's tests removes that name to pull it again.
postgres = pytest.mark.parametrize(("tag", "server"), [("17-alpine", "15."), ("18-alpine", "18.")])


@pytest.fixture
def start(docker_engine: docker.DockerClient, mirror: str) -> Iterator[Start]:
    """Start containers of images in the mirror; they are removed at the end of the test."""
    started: list[Container] = []

    def run(image: str, *command: str, scripts: dict[str, str] | None = None, **options: Any) -> Container:
        name = f"{mirror}/{image}"
        docker_engine.images.pull(name)
        container = docker_engine.containers.create(name, list(command), **options)
        started.append(container)
        container.put_archive("/docker-entrypoint-initdb.d" if scripts else "/", _packed(scripts or {}))
        container.start()
        return container

    yield run
    for container in started:
        container.remove(force=True, v=True)


def _packed(scripts: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, text in scripts.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            member.mode = 0o755
            archive.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


def _address(container: Container) -> str:
    container.reload()
    return str(container.attrs["NetworkSettings"]["IPAddress"] or "127.0.0.1")


def _patient(ask: Callable[[], T], container: Container, not_yet: type[Exception]) -> T:
    """The first answer of a server that is starting; its log where it gives none."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return ask()
        except not_yet as problem:
            container.reload()
            if container.status == "exited" or time.monotonic() > deadline:
                raise AssertionError(container.logs().decode()) from problem
            time.sleep(0.05)


def _ended(container: Container) -> tuple[int, str]:
    """Exit code and output of a container that ends by itself."""
    return container.wait(timeout=SECONDS)["StatusCode"], container.logs().decode()


def _row(container: Container, sql: str, **account: str) -> tuple[Any, ...]:
    """The first row of the answer, as soon as the server takes connections from outside."""

    def ask() -> tuple[Any, ...]:
        connection = psycopg2.connect(host=_address(container), **account)
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone() or ()

    return _patient(ask, container, psycopg2.OperationalError)


@pytest.mark.docker
@postgres
def test_postgres_honours_account_database_and_arguments(start: Start, tag: str, server: str) -> None:
    """User, password, database and the server's arguments are those asked for; the text is UTF-8."""
    account = {"user": "reader", "password": "it's open", "dbname": "book shelf"}
    names = ("POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB")
    environment = dict(zip(names, account.values(), strict=True))
    container = start(f"postgres:{tag}", "-c", "max_connections=33", environment=environment)
    sql = (
        "SELECT current_setting('server_version'), current_setting('server_encoding'), datcollate,"
        " current_setting('max_connections'), rolsuper"
        " FROM pg_database, pg_roles WHERE datname = current_database() AND rolname = current_user"
    )
    version, *settings = _row(container, sql, **account)
    assert version.startswith(server)
    assert settings == ["UTF8", "C.UTF-8", "33", True]
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(host=_address(container), **account | {"password": "closed"})


@pytest.mark.docker
@postgres
def test_postgres_passes_initdb_arguments_on(start: Start, tag: str, server: str) -> None:
    """POSTGRES_INITDB_ARGS, quotes included, win over the defaults; trust needs no password."""
    environment = {
        "POSTGRES_INITDB_ARGS": "--data-checksums --locale='C'",
        "POSTGRES_HOST_AUTH_METHOD": "trust",
    }
    container = start(f"postgres:{tag}", environment=environment)
    sql = (
        "SELECT current_setting('data_checksums'), datcollate, pg_encoding_to_char(encoding)"
        " FROM pg_database WHERE datname = 'postgres'"
    )
    assert _row(container, sql, user="postgres") == ("on", "C", "UTF8")


@pytest.mark.docker
@postgres
def test_postgres_runs_scripts_once_and_before_anybody_connects(start: Start, tag: str, server: str) -> None:
    """Scripts run in the project's database on a server nobody reaches, and not again after a restart."""
    scripts = {
        "1.sql": "CREATE TABLE visit AS SELECT current_setting('listen_addresses') AS seen;",
        "2.sh": '#!/bin/sh\npsql -U "$POSTGRES_USER" shop -c "INSERT INTO visit VALUES (\'shell\')"\n',
    }
    environment = {"POSTGRES_USER": "owner", "POSTGRES_PASSWORD": "x", "POSTGRES_DB": "shop"}
    account = {"user": "owner", "password": "x", "dbname": "shop"}
    container = start(f"postgres:{tag}", scripts=scripts, environment=environment)
    visits = "SELECT array_agg(seen) FROM visit"
    assert _row(container, visits, **account) == (["", "shell"],)
    container.stop()
    container.reload()
    assert container.attrs["State"]["ExitCode"] == 0
    container.start()
    assert _row(container, visits, **account) == (["", "shell"],)


@pytest.mark.docker
@postgres
def test_postgres_refuses_an_empty_password(start: Start, tag: str, server: str) -> None:
    """Without a password, and without trust, there is no server but a message."""
    code, said = _ended(start(f"postgres:{tag}", environment={"POSTGRES_PASSWORD": ""}))
    assert code == 1
    assert "superuser password is not specified" in said


@pytest.mark.docker
def test_postgres_18_refuses_the_old_mount(start: Start) -> None:
    """The volume moved with version 18: a mount on the old place ends the container, on the new one it works."""
    account = {"POSTGRES_PASSWORD": "x"}
    code, said = _ended(start("postgres:18-alpine", environment=account, tmpfs={"/var/lib/postgresql/data": ""}))
    assert code == 1
    assert "mount /var/lib/postgresql instead" in said
    moved = start("postgres:18-alpine", environment=account, tmpfs={"/var/lib/postgresql": ""})
    where = _row(moved, "SHOW data_directory", user="postgres", password="x")
    assert where == ("/var/lib/postgresql/18/docker",)


@pytest.mark.docker
def test_mongo_is_a_replica_set_with_authentication(start: Start) -> None:
    """Started with the product's own recipe, it lets in nobody but the root user, who can make transactions."""
    recipe = MONGODB.container("secret")
    container = start("mongo:7.0", *recipe.command, environment=recipe.env)
    host = _patient(lambda: _greeted(container), container, PyMongoError)
    _assert_closed_to_strangers(host)
    url = MONGODB.url(host, 27017, "secret")
    with pymongo.MongoClient(url) as root:
        members = [{"_id": 0, "host": "127.0.0.1:27017"}]
        root.admin.command("replSetInitiate", {"_id": "realdb", "members": members})
        _patient(lambda: root.shop.orders.insert_one({"_id": 1}), container, PyMongoError)
    # A new client: one that knew the server before its election takes it for one without transactions.
    with pymongo.MongoClient(url) as root, root.start_session() as session:
        with session.start_transaction():
            root.shop.orders.insert_one({"_id": 2}, session=session)
            session.abort_transaction()
        assert [order["_id"] for order in root.shop.orders.find()] == [1]


@pytest.mark.docker
def test_mongo_with_an_account_asks_for_it(start: Start) -> None:
    """The variables alone, as testcontainers uses them, make the root user and switch authentication on."""
    names = ("MONGO_INITDB_ROOT_USERNAME", "MONGO_INITDB_ROOT_PASSWORD")
    container = start("mongo:7.0", environment=dict.fromkeys(names, "root"))
    host = _patient(lambda: _greeted(container), container, PyMongoError)
    _assert_closed_to_strangers(host)
    with pymongo.MongoClient(f"mongodb://root:root@{host}/?authSource=admin") as root:
        assert root.shop.orders.insert_one({"_id": 1}).acknowledged


@pytest.mark.docker
def test_mongo_without_account_takes_options_alone(start: Start) -> None:
    """Options alone are mongod's, it answers outside its container, and everybody may write."""
    container = start("mongo:7.0", "--setParameter", "ttlMonitorSleepSecs=7")
    host = _patient(lambda: _greeted(container), container, PyMongoError)
    with pymongo.MongoClient(host) as client:
        assert client.shop.orders.insert_one({"_id": 1}).acknowledged
        options = client.admin.command("getParameter", ttlMonitorSleepSecs=1)
        assert options["ttlMonitorSleepSecs"] == 7


@pytest.mark.docker
def test_mongo_refuses_half_an_account(start: Start) -> None:
    """A root user without a password is a mistake, not an open server."""
    code, said = _ended(start("mongo:7.0", environment={"MONGO_INITDB_ROOT_USERNAME": "root"}))
    assert code == 1
    assert "go together" in said


def _assert_closed_to_strangers(host: str) -> None:
    stranger: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(host, directConnection=True)
    with stranger, pytest.raises(OperationFailure, match="requires authentication"):
        stranger.shop.orders.find_one()


def _greeted(container: Container) -> str:
    """The address of a server that answers a ping."""
    host = _address(container)
    with pymongo.MongoClient(host, directConnection=True, serverSelectionTimeoutMS=500) as client:
        client.admin.command("ping")
    return host


@pytest.mark.docker
def test_redis_answers(start: Start) -> None:
    """Options alone are the server's, and it answers outside its container without a password."""
    container = start("redis:7", "--maxmemory", "32mb")
    with redis.Redis(_address(container)) as client:
        assert _patient(client.ping, container, redis.ConnectionError)
        assert client.config_get("maxmemory") == {"maxmemory": str(32 * 2**20)}


@pytest.mark.docker
def test_exits_ends_at_once(start: Start) -> None:
    """The image that fails says two lines and ends with its own code."""
    assert _ended(start("exits:1")) == (7, "FATAL: could not read the settings\nshutting down\n")
