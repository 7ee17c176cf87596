"""Registries: who we are to them, and a pull that notices when they fall silent.

docker-py knows the credentials of the machine's own Docker configuration. In CI they come in a variable instead:
``DOCKER_AUTH_CONFIG``, with the content of a ``config.json``, as for GitLab and testcontainers. testcontainers logs
in to the first registry in it whenever it makes a client, and makes none where that fails; but a pull needs no
login, only the entry of its own registry.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from realdb_ci.errors import SettingError

if TYPE_CHECKING:
    from docker import DockerClient

VARIABLE = "DOCKER_AUTH_CONFIG"
# The daemon tells of each layer's progress several times a second; docker-py would wait for it for ever.
SILENT_SECONDS = 60.0
_lock = threading.Lock()
_without: list[str | None] = []


def introduce(client: DockerClient) -> None:
    """Have a client send each registry the credentials that the variable has for it.

    Raises:
        SettingError: the variable cannot be read.
    """
    from docker import auth
    from docker.errors import DockerException

    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return
    try:
        given = auth.load_config(config_dict=dict(json.loads(text)))
    except (ValueError, TypeError, AttributeError, DockerException) as problem:
        raise SettingError(
            f"{VARIABLE} cannot be used",
            why=str(problem),
            remedy='Give it the content of a Docker config.json: {"auths": {"registry.example.org": {"auth": '
            '"<name:password in base64>"}}}.',
        ) from None
    known: auth.AuthConfig = client.api._auth_configs  # type: ignore[attr-defined]  # noqa: SLF001  # no setter
    known.update({**given, "auths": {**known.auths, **given.auths}})


@contextlib.contextmanager
def without_login() -> Iterator[None]:
    """While the body runs, testcontainers' clients are made without a login; by several threads at once."""
    from testcontainers.core.config import testcontainers_config as config

    with _lock:
        _without.append(config._docker_auth_config)  # noqa: SLF001  # the property writes warnings
        config._docker_auth_config = None  # noqa: SLF001
    try:
        yield
    finally:
        with _lock:
            # What the first of those in here took, the last to leave puts back.
            taken = _without.pop()
            if not _without:
                config._docker_auth_config = taken  # noqa: SLF001


def pull(client: DockerClient, name: str) -> Iterator[Mapping[str, Any]]:
    """Have the daemon pull an image; gives its events (https://docs.docker.com/reference/api/engine/, ImageCreate).

    Raises:
        APIError: the daemon refuses.
        RequestException: the daemon is gone, or silent for too long; it then gives up the pull.
    """
    from docker import auth, utils
    from docker.errors import create_api_error_from_http_exception
    from requests.exceptions import HTTPError

    repository, tag = utils.parse_repository_tag(name)
    header = auth.get_config_header(client.api, auth.resolve_repository_name(repository)[0])
    with client.api.post(
        f"{client.api.base_url}/v{client.api.api_version}/images/create",
        params={"fromImage": repository, "tag": tag or "latest"},
        headers={"X-Registry-Auth": header} if header else {},
        stream=True,
        timeout=SILENT_SECONDS,
    ) as answer:
        try:
            answer.raise_for_status()
        except HTTPError as problem:
            create_api_error_from_http_exception(problem)
        yield from (json.loads(line) for line in answer.iter_lines() if line)
