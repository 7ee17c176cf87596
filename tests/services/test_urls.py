"""URLs are read, and shown without what is nobody's business."""

import pytest

from realdb_ci.services.urls import address_of, masked, scrubbed, secrets_of


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("postgresql://u:p@h:1/d", ("h", 1)),
        ("postgresql://h/d", ("h", 5432)),
        ("mongodb://u:p@a:1,b:2/?replicaSet=x", ("a", 1)),
        ("postgresql://u:p@[::1]:7/d", ("::1", 7)),
    ],
)
def test_address_is_the_first_host(url: str, address: tuple[str, int]) -> None:
    """Host and port of a URL, with the service's port where it names none."""
    assert address_of(url, 5432) == address


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:s3cret@h:5432/d", "postgresql://u:***@h:5432/d"),
        ("postgresql://u:s3@cret@h/d", "postgresql://u:***@h/d"),
        ("redis://:s3cret@h/0", "redis://:***@h/0"),
        (
            "postgresql://h/d?user=u&password=s3cret&connect_timeout=3",
            "postgresql://h/d?user=u&password=***&connect_timeout=3",
        ),
        ("postgresql://h/d?sslpassword=s3cret", "postgresql://h/d?sslpassword=***"),
        (
            "mongodb://u:s3cret@a:1,b:2/?tlsCertificateKeyFilePassword=s3cret",
            "mongodb://u:***@a:1,b:2/?tlsCertificateKeyFilePassword=***",
        ),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
    ],
)
def test_masked_url_holds_no_password(url: str, shown: str) -> None:
    """Wherever a URL may hold one."""
    assert masked(url) == shown


def test_drivers_words_are_scrubbed() -> None:
    """A driver quotes the URL, or the password in a form of its own."""
    url = "postgresql://u:p%40ssw0rd@h/d"
    assert secrets_of(url) == ("p%40ssw0rd", "p@ssw0rd")
    said = f'invalid dsn:\n missing "=" after "{url}", password p@ssw0rd'
    assert scrubbed(said, url) == 'invalid dsn: missing "=" after "postgresql://u:***@h/d", password ***'


def test_words_that_are_no_secret_stay_readable() -> None:
    """The usual user, password and database of a job's own service are all one word."""
    url = "postgresql://postgres:postgres@h/postgres"
    assert scrubbed('FATAL: database "postgres" does not exist', url) == 'FATAL: database "postgres" does not exist'
