"""The ladder: which engines are asked, in which order, and what its end says."""

import pytest

from realdb_ci import engines, services
from realdb_ci.config import Config
from realdb_ci.engines.contract import Run
from realdb_ci.errors import Refusal, ServerError
from realdb_ci.services.contract import Wish


@pytest.mark.parametrize(
    ("settings", "rungs"),
    [
        ({}, ["url", "docker", "embedded"]),
        ({"services": ("postgres=postgresql://h/d",)}, ["url"]),
        ({"strict": True}, ["docker"]),
        ({"engine": "embedded"}, ["embedded"]),
        ({"engine": "docker", "services": ("postgres=postgresql://h/d",)}, ["docker"]),
    ],
)
def test_ladder_follows_the_settings(settings: dict[str, object], rungs: list[str]) -> None:
    """A URL or a named engine leaves one rung; strict never falls through to embedded."""
    wish = services.wishes(Config(**settings))["postgres"]  # type: ignore[arg-type]
    assert [engine.NAME for engine in engines.ladder(wish)] == rungs


def test_end_of_the_ladder_lists_what_was_tried_and_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Docker, binaries or URL the one error names all three, each with its remedy."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    wish = Wish("postgres", "postgres:17", extensions=("no_such_extension",))
    with pytest.raises(ServerError) as caught:
        engines.start(services.get("postgres"), wish, run)
    assert not isinstance(caught.value, Refusal)
    for words in ("url: No URL", "docker: The Docker daemon does not answer", "embedded: No PostgreSQL"):
        assert words in caught.value.why
    assert caught.value.remedy.count("Or:") == 2
