"""Stubs and faults for HTTP, in whole pytest processes."""

import pytest
from doubled import Suite


@pytest.fixture
def suite(pytester: pytest.Pytester) -> Suite:
    """A project that asks a third party over HTTP."""
    return Suite(pytester)


def test_stub_answers_and_unknown_urls_are_refused(suite: Suite) -> None:
    """A stub lasts one test; nothing that no stub names leaves the machine."""
    suite.run(
        """
        import pytest, requests

        def test_stub(responses):
            responses.get("https://llm.example/v1/models", json={"data": []})
            assert requests.get("https://llm.example/v1/models").json() == {"data": []}

        def test_refused(responses):
            with pytest.raises(requests.ConnectionError, match="doesn't match any registered mock"):
                requests.get("https://llm.example/v1/models")
        """
    ).assert_outcomes(passed=2)


def test_stubs_leave_local_servers_alone(suite: Suite) -> None:
    """pytest-httpserver and the S3 double answer while stubs are active, and a stub may still take their place."""
    suite.run(
        """
        import pytest, requests

        @pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
        def test_local(responses, httpserver, host):
            httpserver.expect_request("/pay").respond_with_json({"paid": True})
            url = f"http://{host}:{httpserver.port}/pay"
            assert requests.get(url).json() == {"paid": True}
            responses.get(url, json={"paid": False})
            assert requests.get(url).json() == {"paid": False}

        def test_s3(responses, s3_client, s3_bucket):
            s3_client.put_object(Bucket=s3_bucket, Key="k", Body=b"hi")
            url = s3_client.generate_presigned_url("get_object", {"Bucket": s3_bucket, "Key": "k"})
            assert requests.get(url).content == b"hi"
        """,
    ).assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("http+docker://localhost/version", False),
        ("http://127.0.0.1:1/", False),
        ("http://[::1]:1/", False),
        ("http://172.31.0.9:1", False),
        ("http://docker:2375/version", False),
        ("http://172.32.0.9/", True),
        ("http://localhost.example/", True),
        ("https://docker.example/", True),
        ("https://llm.example/?to=http://localhost/", True),
    ],
)
def test_third_parties_are_told_from_our_own(monkeypatch: pytest.MonkeyPatch, url: str, refused: bool) -> None:
    """The Docker socket, its host, loopback and private addresses pass; names of others do not."""
    from realdb_ci.doubles.http import _no_third_party

    assert (_no_third_party("tcp://docker:2375").match(url) is None) is refused


@pytest.mark.docker
def test_docker_answers_while_stubs_are_active(suite: Suite) -> None:
    """Docker's client, which is built on requests, reaches its daemon."""
    suite.run(
        """
        import docker

        def test_ping(responses, http_faults):
            client = docker.from_env()
            assert client.ping()
            client.close()
        """
    ).assert_outcomes(passed=1)


def test_databases_answer_while_stubs_are_active(suite: Suite) -> None:
    """Servers of ours start and answer with both kinds of stubs in place."""
    suite.run(
        """
        def test_databases(responses, respx_mock, http_faults, request):
            assert request.getfixturevalue("postgres_server").version
            assert request.getfixturevalue("mongo_client").admin.command("ping")["ok"] == 1
        """,
        "--realdb-engine=embedded",
    ).assert_outcomes(passed=1)


def test_faults_reach_every_client(suite: Suite) -> None:
    """Time-out, status and refusal come as each library's own exceptions and responses."""
    suite.run(
        """
        import asyncio, re
        import httpx, pytest, requests, urllib3

        URL = "https://llm.example/v1/chat"

        async def get_async(url):
            async with httpx.AsyncClient() as client:
                return await client.get(url)

        def asynchronous(url):
            return asyncio.run(get_async(url))

        CLIENTS = [
            (requests.get, requests.ReadTimeout, requests.ConnectionError),
            (httpx.get, httpx.ReadTimeout, httpx.ConnectError),
            (asynchronous, httpx.ReadTimeout, httpx.ConnectError),
        ]

        @pytest.mark.parametrize(("get", "timeout", "refused"), CLIENTS)
        def test_faults(http_faults, get, timeout, refused):
            fault = http_faults.timeout("https://llm.example/v1", times=1)
            with pytest.raises(timeout):
                get(URL)
            http_faults.connection_refused(re.compile("/v1/.*"), times=1)
            with pytest.raises(refused):
                get(URL + "?stream=true")
            http_faults.server_error(URL, 503, text="busy", headers={"Retry-After": "7"})
            for _ in range(2):
                answer = get("https://LLM.example:443/v1/chat")
                assert (answer.status_code, answer.text, answer.headers["retry-after"]) == (503, "busy", "7")
            assert fault.met == 1

        def test_urllib3(http_faults):
            http_faults.server_error(URL)
            with urllib3.PoolManager() as pool:
                assert pool.request("POST", URL).status == 500
        """
    ).assert_outcomes(passed=4)


def test_fault_covers_its_address_and_what_is_below(suite: Suite) -> None:
    """Another host, another port and a longer name are not meant."""
    suite.run(
        """
        from realdb_ci.doubles.faults import Fault

        def test_covers():
            fault = Fault("https://llm.example/v1", "timeout")
            for url in ("https://llm.example/v1", "https://llm.example/v1/chat", "https://llm.example/v1?a=b"):
                assert fault.covers(url)
            for url in ("https://llm.example/v10", "https://llm.example.org/v1", "https://llm.example:8443/v1"):
                assert not fault.covers(url)
            assert Fault("https://llm.example/", "timeout").covers("https://llm.example/v1")
        """
    ).assert_outcomes(passed=1)


def test_client_retries_until_the_stub_answers(suite: Suite) -> None:
    """urllib3's retries meet each fault, and after the last one the stub; faults come first in either order."""
    suite.run(
        """
        import httpx, pytest, requests
        from requests.adapters import HTTPAdapter
        from urllib3 import Retry

        URL = "https://llm.example/v1"

        def session():
            session = requests.Session()
            retry = Retry(total=5, status_forcelist=[503], backoff_factor=0)
            session.mount("https://", HTTPAdapter(max_retries=retry))
            return session

        def test_retries_run(http_faults, responses):
            fault = http_faults.connection_refused(URL)
            with session() as client, pytest.raises(requests.ConnectionError):
                client.get(URL)
            assert fault.met == 6

        def test_stub_follows(http_faults, responses):
            responses.get(URL, json="ok")
            http_faults.server_error(URL, 503, times=1)
            http_faults.timeout(URL, times=1)
            assert requests.get(URL).status_code == 503
            with pytest.raises(requests.Timeout):
                requests.get(URL)
            assert requests.get(URL).json() == "ok"

        def test_respx_follows(respx_mock, http_faults):
            respx_mock.get(URL).respond(json="ok")
            http_faults.server_error(URL, times=1)
            assert httpx.get(URL).status_code == 500
            assert httpx.get(URL).json() == "ok"
        """
    ).assert_outcomes(passed=3)


def test_fault_that_nobody_met_is_a_warning(suite: Suite) -> None:
    """It names the test and the address, and a passing test stays passed."""
    result = suite.run(
        "def test_it(http_faults): http_faults.timeout('https://llm.example')",
        "-W",
        "default::pytest.PytestWarning",
    )
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*test_it.py::test_it: no request met the timeout fault of https://llm.example*"])


def test_faults_end_with_their_test(suite: Suite) -> None:
    """The next test reaches its server again."""
    suite.run(
        """
        import requests, httpx

        def test_fault(http_faults, httpserver):
            http_faults.server_error(httpserver.url_for("/"), 503)
            assert requests.get(httpserver.url_for("/a")).status_code == 503
            assert httpx.get(httpserver.url_for("/a")).status_code == 503

        def test_after(httpserver):
            httpserver.expect_request("/a").respond_with_data("hi")
            assert requests.get(httpserver.url_for("/a")).text == "hi"
            assert httpx.get(httpserver.url_for("/a")).text == "hi"
        """
    ).assert_outcomes(passed=2)


def test_missing_library_names_the_extra(suite: Suite) -> None:
    """One clear failure with the remedy; faults work without responses and without httpx."""
    result = suite.run_without(
        ("responses", "httpx", "respx"),
        """
        import requests

        def test_stub(responses): pass

        def test_fault(http_faults):
            http_faults.server_error("https://llm.example")
            assert requests.get("https://llm.example").status_code == 500
        """,
        *("-p", "no:respx"),
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*needs a library*", "*why: *responses*", "*pip install 'realdb-ci?http?'*"])
    result.stdout.no_fnmatch_line("*doubles/http.py*")


def test_unused_double_imports_nothing(suite: Suite) -> None:
    """A project that does not use HTTP stubs does not pay for them."""
    suite.run(
        "import sys\ndef test_modules(): assert not {'responses', 'requests', 'urllib3'} & set(sys.modules)",
        *("-p", "no:respx", "-p", "no:pytest_httpserver", "-p", "no:anyio"),
    ).assert_outcomes(passed=1)
