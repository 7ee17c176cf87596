"""S3: moto behind a real HTTP server on 127.0.0.1, and no way to the real AWS while a test uses it.

A server rather than patched clients: a presigned URL answers to any HTTP client, in any process, and a client
that the tested code makes by itself finds the same buckets, because the environment names the server.
"""

from __future__ import annotations

import itertools
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from realdb_ci.doubles.extras import needs
from realdb_ci.errors import SettingError

if TYPE_CHECKING:
    from boto3 import Session
    from types_boto3_s3 import S3Client
    from werkzeug.serving import BaseWSGIServer

REGION = "us-east-1"
POLL_SECONDS = 0.02
FORM = "application/x-www-form-urlencoded"
# What AWS answers under, in every partition.
AWS_DOMAINS = ("amazonaws.com", "amazonaws.com.cn", "api.aws", "amazonaws.eu", "on.aws")
# The link-local addresses that hand out the credentials of an EC2 machine or an ECS task.
METADATA_HOSTS = ("169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23")
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def s3_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """URL of the S3 double (moto) of this test process, for tools that take an endpoint."""
    with needs(pytestconfig, "s3_url", "s3"):
        server = _server()
    thread = threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,), name="realdb-ci S3", daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()


@pytest.fixture(scope="session")
def _s3_session(pytestconfig: pytest.Config, s3_url: str) -> Session:
    """One boto3 session for all tests: it reads boto3's big data files once, which takes longer than most tests."""
    with needs(pytestconfig, "s3_client", "s3"):
        import boto3
    with pytest.MonkeyPatch.context() as monkeypatch:
        _point_aws_at(s3_url, monkeypatch)
        return boto3.Session()


@pytest.fixture
def s3_client(s3_url: str, _s3_session: Session, monkeypatch: pytest.MonkeyPatch) -> S3Client:
    """boto3 S3 client of an empty S3; clients your code makes itself see the same, and none can reach AWS.

    Presigned URLs answer over plain HTTP. Signatures, their expiry and permissions are not checked (moto).
    """
    _point_aws_at(s3_url, monkeypatch)
    # A default session made before this test keeps the credentials it found then.
    monkeypatch.setattr("boto3.DEFAULT_SESSION", _s3_session)
    _refuse_aws(monkeypatch)
    with urlopen(Request(f"{s3_url}/moto-api/reset", method="POST")):  # noqa: S310  # our own server
        pass
    return _s3_session.client("s3")


@pytest.fixture
def s3_bucket(s3_client: S3Client) -> str:
    """Name of an empty bucket that belongs to this test alone."""
    name = f"realdb-{next(_NUMBERS)}-{secrets.token_hex(4)}"
    s3_client.create_bucket(Bucket=name)
    return name


def _server() -> BaseWSGIServer:
    """Moto's own server application on a free port."""
    # Named here, because moto warns before it fails where one of them is missing.
    import boto3  # noqa: F401
    import flask  # noqa: F401
    import flask_cors  # noqa: F401
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    class Handler(MotoRequestHandler):
        def make_environ(self) -> dict[str, Any]:
            # curl and urllib label an upload as a form unless told otherwise; moto would then store nothing.
            environ = super().make_environ()
            if self.command == "PUT" and environ.get("CONTENT_TYPE", "").startswith(FORM):
                environ["CONTENT_TYPE"] = "binary/octet-stream"
            return environ

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing: our requests are no part of a test's captured log."""

    application = DomainDispatcherApplication(create_backend_app)
    return make_server("127.0.0.1", 0, application, threaded=True, request_handler=Handler)


def _point_aws_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every AWS SDK of this process and its children fake credentials and our endpoint, and nothing else."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "BOTO_"))]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_SESSION_TOKEN": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": url,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, ",".join(filter(None, (os.environ.get(name), "127.0.0.1"))))


def _refuse_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse the real AWS twice: where botocore sends, and where any Python client looks up a name.

    The first also holds behind a proxy, which would look the name up for us; the second holds for requests, httpx,
    urllib and the like, as with a presigned URL of a client that was made before the test.
    """
    from botocore.httpsession import URLLib3Session

    send: Callable[..., Any] = URLLib3Session.send
    look_up: Callable[..., Any] = socket.getaddrinfo

    def guarded_send(self: Any, request: Any) -> Any:
        _check(urlsplit(request.url).hostname or "")
        return send(self, request)

    def guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        _check(host.decode("ascii", "replace") if isinstance(host, bytes) else host or "")
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(URLLib3Session, "send", guarded_send)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)


def _check(host: str) -> None:
    name = host.lower().rstrip(".")
    if name in METADATA_HOSTS or name.endswith(tuple(f".{domain}" for domain in AWS_DOMAINS)):
        _refuse(host)


def _refuse(host: str) -> NoReturn:
    raise SettingError(
        f"A test that uses S3's double tried to reach the real AWS at {host}",
        why="an endpoint_url or URL in the code names it, or the client was made before the test began",
        remedy="Make the client inside the function, without endpoint_url: AWS_ENDPOINT_URL names the double.",
    )
