"""Servers of one run: started once, all at the same time, and gone at the end; and the broker that shares them."""

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from realdb_ci import engines, services
from realdb_ci.broker import Broker, RemoteServers
from realdb_ci.config import Config
from realdb_ci.engines.contract import Notice, Running
from realdb_ci.engines.snapshots import Snapshots
from realdb_ci.errors import ServerError, SettingError
from realdb_ci.servers import Servers
from realdb_ci.services.contract import Server, Service, Wish

WISHES = services.wishes(Config(engine="embedded"))
# Every machine of ours has these two; a redis-server it may have.
del WISHES["redis"]
BROKEN = Wish("postgres", "postgres:17", engine="embedded", extensions=("no_such_extension",))


@pytest.fixture
def recorded() -> list[tuple[str, Mapping[str, Any]]]:
    """What other processes had recorded."""
    return []


@pytest.fixture
def servers() -> Iterator[Servers]:
    """Servers of this process."""
    with Servers() as made:
        yield made


@pytest.fixture
def broker(servers: Servers, recorded: list[tuple[str, Mapping[str, Any]]]) -> Iterator[Broker]:
    """A broker before them."""
    with Broker(servers, lambda event, fields: recorded.append((event, fields))) as made:
        yield made


def test_all_boot_at_once_and_each_only_once() -> None:
    """Both services are started before either is ready, and asking again gives the same server."""
    notices: list[Notice] = []
    with Servers(notices.append) as servers:
        for wish in WISHES.values():
            servers.begin(wish)
        found = [servers.get(wish) for wish in WISHES.values()]
        assert [servers.get(wish) for wish in WISHES.values()] == found
    assert [notice.stage for notice in notices] == ["start", "start", "ready", "ready"]


def test_server_is_gone_after_close(servers: Servers) -> None:
    """Close stops what was started; a second close does nothing."""
    url = servers.get(WISHES["postgres"]).url
    servers.close()
    servers.close()
    with pytest.raises(ConnectionError):
        services.get("postgres").handshake(url, 2)


def test_failure_is_the_same_for_all_who_ask(servers: Servers) -> None:
    """A server that cannot be had raises the same error each time, without a second attempt."""
    with pytest.raises(ServerError) as first:
        servers.get(BROKEN)
    with pytest.raises(ServerError) as second:
        servers.get(BROKEN)
    assert first.value is second.value


def test_given_server_is_swept_of_our_databases_only(servers: Servers) -> None:
    """On a server that is not ours, the run's databases go and others stay."""
    from realdb_ci.services.postgres import database

    ours = servers.get(WISHES["postgres"])
    with Servers() as guests:
        given = guests.get(Wish("postgres", "postgres:17", url=ours.url))
        database.create(given, f"{guests.prefix}_gw0")
        database.create(given, "somebody_elses")
    with pytest.raises(ServerError, match="does not exist"):
        services.get("postgres").handshake(database.url_of(ours.url, f"{guests.prefix}_gw0"), 5)
    services.get("postgres").handshake(database.url_of(ours.url, "somebody_elses"), 5)


def test_server_that_ends_while_tests_run_is_named(servers: Servers) -> None:
    """Whoever asks for it from then on is told how it ended, with its last words."""
    port = urlsplit(servers.get(WISHES["postgres"]).url).port
    (process,) = (one.pid for one in psutil.net_connections("tcp4") if one.laddr[1:] == (port,) and not one.raddr)
    psutil.Process(process).kill()
    with pytest.raises(ServerError, match="PostgreSQL ended while tests ran: signal 9") as caught:
        _until_it_raises(lambda: servers.get(WISHES["postgres"]))
    assert "ready to accept connections" in caught.value.log


def _until_it_raises(ask: Callable[[], object]) -> None:
    """Ask again and again: a process that was killed is there for another moment."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        ask()


def test_server_still_being_had_holds_no_hurried_end_up(tmp_path: Path) -> None:
    """Where several wait for what never comes, such as a silent cache, all together get a second."""
    wishes = [replace(WISHES["postgres"], image=f"postgres:{number}") for number in (17, 18)]
    asked, over = threading.Barrier(len(wishes) + 1), threading.Event()

    def never() -> None:
        asked.wait(30)
        over.wait()

    servers = Servers(snapshots=Snapshots(tmp_path, "project", never))
    for wish in wishes:
        servers.begin(wish)
    asked.wait(30)
    began = time.monotonic()
    servers.close(hurried=True)
    assert time.monotonic() - began < 5
    over.set()
    for wish in wishes:
        with pytest.raises(ServerError, match="was not waited for"):
            servers.get(wish)
    servers.close()


def test_server_that_cannot_be_swept_keeps_no_other(servers: Servers) -> None:
    """A given server that is gone at the end is told of; those of ours are stopped, and the run goes on."""
    notices: list[Notice] = []
    with Servers(notices.append) as guests:
        guests.get(Wish("postgres", "postgres:17", url=servers.get(WISHES["postgres"]).url))
        url = guests.get(WISHES["mongodb"]).url
        servers.close()
    with pytest.raises(OSError, match="refused"):
        services.get("mongodb").handshake(url, 2)
    assert [(notice.service, notice.stage) for notice in notices][-1] == ("postgres", "left")
    assert "refused" in notices[-1].detail
    guests._run.guard.dismiss()  # it would try again at the end of this process


def test_servers_are_stopped_side_by_side(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that take their time take it together: each ends only once the other one is being stopped too."""
    both = threading.Barrier(2)
    stopped: list[str] = []

    def start(service: Service, *_: object) -> Running:
        def stop() -> None:
            both.wait(5)
            stopped.append(service.name)

        return Running(Server(service.name, "docker", "", "", "", 0.0, {}), stop)

    monkeypatch.setattr(engines, "start", start)
    for wish in WISHES.values():
        servers.get(wish)
    servers.close(hurried=True)
    assert sorted(stopped) == sorted(WISHES)


def test_interrupted_end_is_gone_through_again() -> None:
    """SIGINT in the middle of the clean-up is an interruption, and what it cut short is done once more."""
    calls: list[str] = []

    def interrupted() -> None:
        calls.append("begun")
        if len(calls) == 1:
            signal.raise_signal(signal.SIGINT)
        calls.append("done")

    servers = Servers()
    url = servers.get(WISHES["postgres"]).url
    servers._run.at_end(interrupted)
    with pytest.raises(KeyboardInterrupt), servers:
        pass
    assert calls == ["begun", "begun", "done"]
    with pytest.raises(ConnectionError):
        services.get("postgres").handshake(url, 2)


def test_remote_process_gets_the_owners_server(servers: Servers, broker: Broker) -> None:
    """What the broker hands out is the very server of the owner."""
    remote = RemoteServers(broker.address)
    remote.begin(WISHES["mongodb"])
    assert remote.get(WISHES["mongodb"]) == servers.get(WISHES["mongodb"])
    assert remote.prefix == servers.prefix
    assert "mongod" in remote.log(WISHES["mongodb"]).lower() or remote.log(WISHES["mongodb"])


def test_remote_process_meets_the_owners_error(broker: Broker) -> None:
    """What, why and remedy survive the way between processes."""
    with pytest.raises(ServerError, match="has no_such_extension") as caught:
        RemoteServers(broker.address).get(BROKEN)
    assert caught.value.remedy


def test_remote_event_is_recorded_by_the_owner(
    broker: Broker, recorded: list[tuple[str, Mapping[str, Any]]]
) -> None:
    """A worker's spans reach the one events file."""
    RemoteServers(broker.address).record("span", {"name": "schema"})
    assert recorded == [("span", {"name": "schema"})]


def test_stranger_without_the_key_is_turned_away(broker: Broker) -> None:
    """Another process of this machine cannot ask for a server's password."""
    port = int(broker.address.partition(":")[0])
    with pytest.raises((AuthenticationError, EOFError, OSError)):
        Client(("127.0.0.1", port), authkey=b"guess")
    assert RemoteServers(broker.address).prefix


def test_silent_stranger_keeps_nobody_waiting(broker: Broker) -> None:
    """Many workers ask at once, beside somebody who connects and says nothing, and all are answered."""
    port = int(broker.address.partition(":")[0])
    with socket.create_connection(("127.0.0.1", port)), ThreadPoolExecutor(32) as askers:
        asked = [askers.submit(RemoteServers, broker.address) for _ in range(64)]
        assert {one.result(timeout=30).prefix for one in asked} == {RemoteServers(broker.address).prefix}


@pytest.mark.parametrize("request_", [b"not json", b'{"ask": "everything"}', b'{"ask": "get"}', b"[]"])
def test_unreadable_request_is_answered_and_harms_nobody(broker: Broker, request_: bytes) -> None:
    """The broker lives on whatever the tested code sends."""
    port, _, key = broker.address.partition(":")
    with Client(("127.0.0.1", int(port)), authkey=bytes.fromhex(key)) as connection:
        connection.send_bytes(request_)
        assert "could not be read" in json.loads(connection.recv_bytes())["problem"]["what"]
    assert RemoteServers(broker.address).prefix


def test_owner_that_is_gone_is_one_clear_error(broker: Broker) -> None:
    """A suite whose owner died says so."""
    remote = RemoteServers(broker.address)
    broker.close()
    with pytest.raises(ServerError, match="does not answer"):
        remote.get(WISHES["postgres"])


def test_bad_setting_stays_a_bad_setting_across_processes() -> None:
    """The exit code survives the way."""
    from realdb_ci.broker import _raised

    assert isinstance(_raised(SettingError("x").to_dict()), SettingError)
