"""Tests that need a Docker engine never vanish silently."""

import os
import subprocess
import sys
from pathlib import Path

FILE = Path(__file__).with_name("test_images.py")
NAME = "test_redis_answers"


def _without_docker(**settings: str) -> str:
    """What pytest says about one marked test where no engine answers."""
    test = f"{FILE}::{NAME}"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", "--no-fold-skipped", test]
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "REALDB_CI_"))}
    nowhere = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    return subprocess.run(
        command, env=environ | nowhere | settings, capture_output=True, text=True, check=False
    ).stdout


def test_marked_test_is_skipped_by_name_without_docker() -> None:
    """Where no engine answers, a test that needs one is skipped, and the reason stands beside its name."""
    said = _without_docker()
    assert "1 skipped" in said
    assert f"::{NAME} - Skipped: no Docker engine answers" in said


def test_required_docker_turns_the_skip_into_a_failure() -> None:
    """Where Docker is required, the same test is an error that names the setting."""
    said = _without_docker(REALDB_CI_REQUIRE_DOCKER="1")
    assert "1 error" in said
    assert "REALDB_CI_REQUIRE_DOCKER is set, but no Docker engine answers" in said
