"""Credentials of registries: each pull's own, and one error where they cannot be read."""

import json
import threading

import docker
import pytest
from testcontainers.core.config import testcontainers_config

from realdb_ci.engines import daemon, registry
from realdb_ci.errors import SettingError

# name:password, in base64
AUTH = "bmFtZTpwYXNzd29yZA=="


@pytest.mark.docker
@pytest.mark.parametrize(
    "text", ["secret", "[1]", "null", '{"auths": "secret"}', '{"auths": {"r": {"auth": "secret"}}}']
)
def test_unreadable_credentials_are_a_bad_setting(
    text: str, docker_engine: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what they must look like, and does not show what they are."""
    monkeypatch.setenv(registry.VARIABLE, text)
    with pytest.raises(SettingError, match=registry.VARIABLE) as caught, daemon.connection():
        pass
    assert '"auths"' in caught.value.remedy
    assert "secret" not in str(caught.value)


@pytest.mark.docker
def test_every_registry_has_its_own_entry(
    docker_engine: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No registry is asked before something is pulled from it: not the first, and not one that is gone."""
    known = {"localhost:9": {"auth": AUTH}, "registry.example.org": {"auth": AUTH}}
    monkeypatch.setenv(registry.VARIABLE, json.dumps({"auths": known}))
    with daemon.connection() as client:
        assert docker.auth.get_config_header(client.api, "registry.example.org")
        assert not docker.auth.get_config_header(client.api, "other.example.org")


def test_login_is_off_until_the_last_thread_is_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers of ours are made by several threads; those of the project afterwards find the value as it was."""
    monkeypatch.setattr(testcontainers_config, "_docker_auth_config", "the user's")
    entered, left = threading.Event(), threading.Event()

    def make() -> None:
        with registry.without_login():
            entered.set()
            left.wait(10)

    other = threading.Thread(target=make)
    with registry.without_login():
        other.start()
        assert entered.wait(10)
    assert testcontainers_config.docker_auth_config is None
    left.set()
    other.join()
    assert testcontainers_config._docker_auth_config == "the user's"
