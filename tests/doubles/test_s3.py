"""The S3 double, in whole pytest processes."""

import pytest
from doubled import Suite


@pytest.fixture
def suite(pytester: pytest.Pytester) -> Suite:
    """A project that uses S3."""
    return Suite(pytester)


def test_each_test_has_an_empty_bucket_of_its_own(suite: Suite) -> None:
    """Nothing is left from one test to the next, and the names differ."""
    suite.run(
        """
        import pytest
        names = set()

        @pytest.mark.parametrize("turn", [1, 2])
        def test_put(s3_client, s3_bucket, turn):
            assert [one["Name"] for one in s3_client.list_buckets()["Buckets"]] == [s3_bucket]
            assert s3_client.list_objects_v2(Bucket=s3_bucket)["KeyCount"] == 0
            s3_client.put_object(Bucket=s3_bucket, Key="a_b/ü", Body=b"hi", Metadata={"some_key": "v"})
            got = s3_client.get_object(Bucket=s3_bucket, Key="a_b/ü")
            assert (got["Body"].read(), got["Metadata"]) == (b"hi", {"some_key": "v"})
            assert s3_bucket not in names
            names.add(s3_bucket)
        """
    ).assert_outcomes(passed=2)


def test_presigned_urls_answer_to_any_http_client(suite: Suite) -> None:
    """Download, upload and form post work through urllib, requests and another process."""
    suite.run(
        """
        import subprocess, sys
        from urllib.request import Request, urlopen
        import requests

        def test_urls(s3_client, s3_bucket):
            put = s3_client.generate_presigned_url("put_object", {"Bucket": s3_bucket, "Key": "k"})
            with urlopen(Request(put, data=b"hi", method="PUT")) as answer:
                assert answer.status == 200
            get = s3_client.generate_presigned_url("get_object", {"Bucket": s3_bucket, "Key": "k"})
            assert requests.get(get).content == b"hi"
            script = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read())"
            child = subprocess.run([sys.executable, "-c", script, get], capture_output=True, text=True)
            assert child.stdout == "b'hi'\\n"
            post = s3_client.generate_presigned_post(s3_bucket, "form")
            assert requests.post(post["url"], data=post["fields"], files={"file": b"posted"}).ok
            assert s3_client.get_object(Bucket=s3_bucket, Key="form")["Body"].read() == b"posted"
        """
    ).assert_outcomes(passed=1)


def test_multipart_upload(suite: Suite) -> None:
    """A file above boto3's threshold travels in parts and comes back whole."""
    suite.run(
        """
        import io

        def test_parts(s3_client, s3_bucket):
            body = bytes(range(256)) * 4096 * 12
            s3_client.upload_fileobj(io.BytesIO(body), s3_bucket, "big")
            assert s3_client.head_object(Bucket=s3_bucket, Key="big")["ETag"].endswith('-2"')
            target = io.BytesIO()
            s3_client.download_fileobj(s3_bucket, "big", target)
            assert target.getvalue() == body
        """
    ).assert_outcomes(passed=1)


def test_clients_of_the_tested_code_see_the_same_buckets(suite: Suite) -> None:
    """A client, a resource and a session made without arguments find the double, whatever the machine has."""
    home = suite.pytester.mkdir("aws")
    (home / "config").write_text("[profile live]\nregion = eu-west-1\nendpoint_url = https://live.example\n")
    suite.pytester._monkeypatch.setenv("AWS_PROFILE", "live")
    suite.pytester._monkeypatch.setenv("AWS_CONFIG_FILE", str(home / "config"))
    suite.pytester._monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://live.example")
    suite.run(
        """
        import os
        import boto3

        boto3.setup_default_session(aws_access_key_id="live", aws_secret_access_key="live")

        def test_own(s3_client, s3_bucket):
            for client in (boto3.client("s3"), boto3.resource("s3").meta.client, boto3.Session().client("s3")):
                assert client.list_buckets()["Buckets"][0]["Name"] == s3_bucket
                assert client._request_signer._credentials.access_key == "testing"

        def test_before_and_after():
            assert os.environ["AWS_PROFILE"] == "live"
            assert boto3.DEFAULT_SESSION.get_credentials().access_key == "live"
        """
    ).assert_outcomes(passed=2)


def test_real_aws_is_refused(suite: Suite) -> None:
    """Neither an older client, nor an endpoint, nor a URL reaches AWS: the error names the host and the remedy."""
    result = suite.run(
        """
        import boto3, httpx, pytest, requests
        from urllib.request import urlopen
        from realdb_ci.errors import SettingError

        OLD = boto3.client("s3", "us-east-1", aws_access_key_id="live", aws_secret_access_key="live")

        def test_client(s3_client):
            OLD.list_buckets()

        @pytest.mark.parametrize("host", ["s3.eu-west-1.amazonaws.com", "s3.cn-north-1.amazonaws.com.cn"])
        def test_endpoint(s3_client, host):
            with pytest.raises(SettingError, match=host):
                boto3.client("s3", endpoint_url=f"https://{host}").list_buckets()

        @pytest.mark.parametrize("get", [urlopen, requests.get, httpx.get])
        def test_url(s3_client, get):
            url = OLD.generate_presigned_url("get_object", {"Bucket": "live", "Key": "k"})
            with pytest.raises(SettingError, match="live.s3"):
                get(url)

        def test_proxy(s3_client, monkeypatch):
            monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
            with pytest.raises(SettingError):
                boto3.client("s3", endpoint_url="https://s3.amazonaws.com").list_buckets()

        def test_credentials_of_the_machine(s3_client):
            with pytest.raises(SettingError, match="169.254.169.254"):
                urlopen("http://169.254.169.254/latest/meta-data/")
        """
    )
    result.assert_outcomes(passed=7, failed=1)
    result.stdout.fnmatch_lines(
        ["*real AWS at s3.amazonaws.com*", "*why: *", "*fix: Make the client inside the function*"]
    )


def test_own_requests_are_not_in_the_tests_log(suite: Suite) -> None:
    """What the server logs of each request stays out of ``caplog`` and of the report of a failed test."""
    result = suite.run(
        """
        import logging

        def test_log(s3_client, s3_bucket, caplog):
            caplog.set_level(logging.INFO)
            s3_client.list_buckets()
            assert [one for one in caplog.records if one.name == "werkzeug"] == []
        """
    )
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("library", ["boto3", "moto", "flask", "flask_cors"])
def test_missing_library_names_the_extra(suite: Suite, library: str) -> None:
    """One clear failure with the remedy and no trace of ours; other tests run."""
    result = suite.run_without((library,), "def test_s3(s3_bucket): pass\ndef test_plain(): pass\n")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*needs a library*", f"*why: *{library}*", "*pip install 'realdb-ci?s3?'*"])
    result.stdout.no_fnmatch_line("*doubles/s3.py*")


def test_unused_double_imports_nothing(suite: Suite) -> None:
    """A project that does not use S3 does not pay for moto or boto3."""
    suite.run(
        """
        import sys

        def test_modules():
            assert not {"boto3", "botocore", "moto", "flask", "werkzeug"} & set(sys.modules)
        """,
        "-p",
        "no:pytest_httpserver",
    ).assert_outcomes(passed=1)
