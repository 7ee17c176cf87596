"""Settings: where they come from, which one wins, and what is refused by name."""

from pathlib import Path

import pytest

from realdb_ci.config import Config, repository_root, settings_root
from realdb_ci.errors import SettingError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder whose pyproject.toml sets an engine and an image."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.realdb-ci]\nengine = "docker"\nservices = ["postgres:16"]\nstartup-timeout = 5\n'
    )
    return tmp_path


def test_defaults_need_no_file(tmp_path: Path) -> None:
    """A project without pyproject.toml gets the defaults."""
    assert Config.load(tmp_path, {}, {}) == Config()


def test_file_is_overridden_by_environment_and_that_by_flags(project: Path) -> None:
    """Later sources win: file, environment, flags."""
    assert Config.load(project, {}, {}).engine == "docker"
    assert Config.load(project, {"REALDB_CI_ENGINE": "url"}, {}).engine == "url"
    assert Config.load(project, {"REALDB_CI_ENGINE": "url"}, {"engine": "embedded"}).engine == "embedded"


def test_services_of_all_sources_add_up(project: Path) -> None:
    """A flag that names one service keeps what the file says of another."""
    config = Config.load(project, {"REALDB_CI_MONGODB_URL": "mongodb://h/"}, {"services": ("mongo:7.0",)})
    assert config.services == ("postgres:16", "mongodb=mongodb://h/", "mongo:7.0")


def test_texts_are_split_at_commas_and_lines() -> None:
    """An environment variable may hold several services."""
    config = Config.load(
        Path("nowhere"), {"REALDB_CI_SERVICES": "postgres:17, mongo:7.0\n# a comment\nmongodb"}, {}
    )
    assert config.services == ("postgres:17", "mongo:7.0", "mongodb")


def test_url_is_not_split_at_the_commas_between_its_hosts() -> None:
    """An entry with a URL is one service."""
    url = "mongodb=mongodb://a:1,b:2/?replicaSet=x"
    for services in (url, f"{url}\npostgres:17"):
        assert Config.load(Path("nowhere"), {"REALDB_CI_SERVICES": services}, {}).services[0] == url
    assert Config.load(Path("nowhere"), {}, {"services": (url,)}).services == (url,)


def test_empty_variable_counts_as_not_set(project: Path) -> None:
    """CI systems export empty variables; they change nothing."""
    assert Config.load(project, {"REALDB_CI_ENGINE": ""}, {}).engine == "docker"


def test_unknown_key_is_refused_with_the_nearest_known_one(project: Path) -> None:
    """A typo in the table is named, with the file and the likely meaning."""
    file = project / "pyproject.toml"
    file.write_text('[tool.realdb-ci]\nengin = "docker"\n')
    with pytest.raises(SettingError, match="Unknown setting 'engin'") as caught:
        Config.load(project, {}, {})
    assert str(file) in caught.value.what
    assert "'engine'" in caught.value.remedy


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("engine", '"podman"', "it is one of auto, url, docker, embedded"),
        ("strict", '"yes"', "it is true or false"),
        ("startup-timeout", "0", "between 0 and 3600"),
        ("startup-timeout", '"soon"', "a number of seconds"),
        ("startup-timeout", "true", "a number of seconds"),
        ("services", "3", "it is a list of texts"),
        ("schema", "3", "it is text in quotes"),
    ],
)
def test_wrong_value_is_refused_by_name(project: Path, key: str, value: str, why: str) -> None:
    """The message names the key, the value and what it may be."""
    (project / "pyproject.toml").write_text(f"[tool.realdb-ci]\n{key} = {value}\n")
    with pytest.raises(SettingError, match=f"setting '{key}'") as caught:
        Config.load(project, {}, {})
    assert why in caught.value.why


@pytest.mark.parametrize(
    ("text", "what"),
    [("[tool.realdb-ci", "not valid TOML"), ("[tool]\nrealdb-ci = 3\n", "not a table")],
)
def test_broken_file_is_named(project: Path, text: str, what: str) -> None:
    """A pyproject.toml that cannot be read is an error of its own."""
    (project / "pyproject.toml").write_text(text)
    with pytest.raises(SettingError, match=what):
        Config.load(project, {}, {})


def test_settings_are_looked_for_up_to_the_repository(tmp_path: Path) -> None:
    """The nearest pyproject.toml counts; none above the checkout does."""
    (tmp_path / "pyproject.toml").touch()
    checkout = tmp_path / "checkout"
    inner = checkout / "services" / "api"
    inner.mkdir(parents=True)
    (checkout / ".git").mkdir()
    assert settings_root(inner) == inner
    (checkout / "services" / "pyproject.toml").touch()
    assert settings_root(inner) == checkout / "services"
    assert repository_root(inner) == checkout
