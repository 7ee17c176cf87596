"""The list of services, and how a project names what it wants."""

import pytest

from realdb_ci import services
from realdb_ci.config import Config
from realdb_ci.errors import SettingError
from realdb_ci.services.contract import Server, Wish
from realdb_ci.services.urls import masked

DIGEST = "sha256:" + "0" * 64


def _wish(text: str, **settings: object) -> Wish:
    wishes = services.wishes(Config(services=(text,), **settings))  # type: ignore[arg-type]
    return wishes[services.named([text])[0]]


def test_every_service_has_a_default_image() -> None:
    """A project that says nothing still gets a definite version."""
    assert {name: wish.image for name, wish in services.wishes(Config()).items()} == {
        "postgres": "postgres:17-alpine",
        "mongodb": "mongo:7.0",
        "redis": "redis:7",
    }


@pytest.mark.parametrize(
    ("text", "service", "image", "major"),
    [
        ("postgres", "postgres", "postgres:17-alpine", 17),
        ("postgres:15-alpine", "postgres", "postgres:15-alpine", 15),
        ("mongo:7.0", "mongodb", "mongo:7.0", 7),
        ("registry.example:5000/team/postgres:16", "postgres", "registry.example:5000/team/postgres:16", 16),
        (f"postgres@{DIGEST}", "postgres", f"postgres@{DIGEST}", None),
        ("postgis/postgis:16-3.4", "postgres", "postgis/postgis:16-3.4", 16),
        ("postgres = ghcr.io/acme/pg:latest", "postgres", "ghcr.io/acme/pg:latest", None),
    ],
)
def test_image_names_their_service(text: str, service: str, image: str, major: int | None) -> None:
    """The last part of an image's path names the service, unless it is named before an equals sign."""
    wish = _wish(text)
    assert (wish.service, wish.image, wish.major) == (service, image, major)


def test_url_keeps_the_default_image_for_the_record() -> None:
    """A URL says where; which version is wanted stays known."""
    wish = _wish("postgres=postgresql://u:p@h/d")
    assert wish.url == "postgresql://u:p@h/d"
    assert wish.image == "postgres:17-alpine"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("postgres=postgresql+asyncpg://u:p@h/d", "postgresql://u:p@h/d"),
        ("postgres=postgresql+psycopg2://h", "postgresql://h"),
        ("mongodb=mongodb+srv://u:p@h/?w=1", "mongodb+srv://u:p@h/?w=1"),
        ("mongodb=mongodb://a:1,b:2/?replicaSet=x", "mongodb://a:1,b:2/?replicaSet=x"),
        ("postgres=postgresql://u:p%40ss@[::1]:5432/d", "postgresql://u:p%40ss@[::1]:5432/d"),
        ("postgres=postgresql:///d?host=/run", "postgresql:///d?host=/run"),
    ],
)
def test_url_is_taken_as_frameworks_write_it(text: str, url: str) -> None:
    """The driver that SQLAlchemy is told in a URL is not part of where the server is."""
    assert _wish(text).url == url


def test_bare_name_does_not_undo_an_earlier_choice() -> None:
    """``--services postgres`` boots the image that pyproject.toml chose."""
    assert services.wishes(Config(services=("postgres:15", "postgres")))["postgres"].image == "postgres:15"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("mysql", "Unknown service 'mysql'"),
        ("postgres:17; rm -rf /", "service 'postgres:17; rm -rf /' cannot be read"),
        ("postgre:17", "Unknown service 'postgre'"),
        ("postgres=Not An Image", "image name 'Not An Image'"),
        ("postgres=", "nothing after its equals sign"),
        ("postgresql://u:secret@h/d", "is a bare URL"),
        ("mongodb=postgresql://u:secret@h/d", "not one of MongoDB"),
        ("postgres=mysql+pymysql://u:secret@h/d", "not one of PostgreSQL"),
        ("postgres=postgresql://u:a@secret@h/d", "an @ too many"),
        ("postgres=postgresql://u:a/secret@h/d", "an @ too many"),
        ("postgres=postgresql://u:secret@h:port/d", "cannot be read"),
        ("postgres=postgresql://u:secret@h:1,mongo:7.0", "cannot be read"),
        ("postgres=postgresql://u:secret@h/d,mongo:7.0", "cannot be read"),
    ],
)
def test_unusable_entries_are_refused_by_name(text: str, what: str) -> None:
    """The message names the entry and what to write instead, and shows no password."""
    with pytest.raises(SettingError, match=what) as caught:
        _wish(text)
    assert caught.value.remedy
    assert "secret" not in str(caught.value)


def test_near_miss_is_suggested() -> None:
    """A typo gets the service that was meant."""
    with pytest.raises(SettingError) as caught:
        services.get("postgre")
    assert "'postgres'" in caught.value.remedy


def test_wish_and_server_survive_the_way_to_another_process() -> None:
    """Plain data and back, without loss."""
    wish = Wish("postgres", "postgres:17", extensions=("citext",))
    assert Wish.from_dict(wish.to_dict()) == wish
    server = Server("postgres", "docker", "postgresql://u:p@h:1/d", "17", "image", 1.5, {"fsync": "off"})
    assert Server.from_dict(server.to_dict()) == server


def test_no_password_is_shown() -> None:
    """Neither repr nor a masked URL holds the password."""
    url = "postgresql://user:s3cret@host:5432/db"
    assert "s3cret" not in repr(Server("postgres", "url", url, "17", "x", 0.0))
    assert masked(url) == "postgresql://user:***@host:5432/db"
    assert "s3cret" not in repr(Wish("postgres", "postgres:17", url=url))
