"""The url engine: servers that already run."""

import socket

import pytest
from launching import Launcher

from realdb_ci import engines, services
from realdb_ci.config import Config
from realdb_ci.engines import url
from realdb_ci.errors import Refusal, ServerError


@pytest.mark.parametrize("name", ["postgres", "mongodb"])
def test_given_server_is_used_as_it_is(launch: Launcher, name: str) -> None:
    """It is not ours: never tuned, never stopped, and the report says so."""
    ours = launch(name, engine="embedded").server
    given = launch(f"{name}={ours.url}")
    assert (given.server.engine, given.server.owned, given.server.url) == ("url", False, ours.url)
    assert "already running" in given.server.headline
    given.stop()
    services.get(name).handshake(ours.url, 5)


@pytest.mark.parametrize("name", ["postgres", "mongodb"])
def test_refused_port_is_one_clear_error(launch: Launcher, name: str) -> None:
    """A given URL where nobody listens is never silently replaced by another server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    scheme = services.get(name).schemes[0]
    with pytest.raises(ServerError, match=f"127.0.0.1:{port}.* cannot be reached") as caught:
        launch(f"{name}={scheme}://u:secret@127.0.0.1:{port}/db")
    assert "refused" in caught.value.why
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["postgres", "mongodb"])
def test_wrong_password_is_one_clear_error(launch: Launcher, name: str) -> None:
    """A server that answers and turns us away is named with the reason, the password masked."""
    good = launch(name, engine="embedded").server.url
    password = good.partition("realdb:")[2].partition("@")[0]
    with pytest.raises(ServerError, match="refuses us") as caught:
        launch(f"{name}={good.replace(password, 'wrong-secret')}")
    assert "wrong-secret" not in str(caught.value)
    assert "authentication failed" in caught.value.why.lower()


def test_engine_url_without_a_url_says_how_to_give_one() -> None:
    """``engine = url`` alone is a refusal with the variable's name."""
    wish = services.wishes(Config(engine="url"))["postgres"]
    assert [engine.NAME for engine in engines.ladder(wish)] == ["url"]
    with pytest.raises(Refusal) as caught:
        url.offer(services.get("postgres"), wish)
    assert "REALDB_CI_POSTGRES_URL" in caught.value.remedy
