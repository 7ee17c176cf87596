"""The Action's image: what GitHub's documentation asks of it, its size, and that it comes out the same again."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import docker
import pytest
from building_image import IMAGE, build
from imitation import DOCKER, ROOT

BUDGET = 120_000_000
LINES_OF_ENTRYPOINT = 10


def test_dockerfile_is_as_the_runner_needs_it() -> None:
    """Root, a working directory of the runner's choice, an entry point without a shell, and clean."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    instructions = re.findall(r"^([A-Z]+) ", text, re.MULTILINE)
    assert not {"USER", "WORKDIR", "CMD", "VOLUME"} & set(instructions)
    assert re.search(r"^ARG BASE=python:3\.\d+-slim", text, re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["/', text, re.MULTILINE)
    subprocess.run([Path(sys.executable).with_name("hadolint"), ROOT / "Dockerfile"], check=True)


def test_entrypoint_is_a_door() -> None:
    """Words in, one call."""
    assert len((ROOT / "entrypoint.py").read_text(encoding="utf-8").splitlines()) < LINES_OF_ENTRYPOINT


@pytest.mark.docker
def test_our_layers_keep_to_their_budget(
    docker_engine: docker.DockerClient, action_image: str, python_base: str
) -> None:
    """What every job without a cached image has to build or pull on top of Python."""
    sizes = [docker_engine.images.get(name).attrs["Size"] for name in (action_image, python_base)]
    assert 0 < sizes[0] - sizes[1] < BUDGET


def _files(image: str) -> str:
    """Every file of ours with its date, mode and content."""
    script = (
        "find /opt/realdb-ci /usr/bin/git /usr/lib/git-core -not -type d -printf '%p %T@ %m %l\\n' | sort;"
        "find /opt/realdb-ci /usr/lib/git-core -type f -exec sha256sum {} + | sort"
    )
    words = [DOCKER, "run", "--rm", "--entrypoint", "sh", image, "-c", script]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


@pytest.mark.docker
def test_the_same_sources_make_the_same_files(
    docker_engine: docker.DockerClient, action_image: str, python_base: str
) -> None:
    """Built again from nothing, no file of ours differs in content, date or mode."""
    again = f"{IMAGE}-again"
    build(ROOT, again, python_base, "--no-cache")
    try:
        assert _files(again) == _files(action_image)
    finally:
        docker_engine.images.remove(again)


@pytest.mark.docker
def test_git_works_in_the_image(action_image: str) -> None:
    """Over HTTPS too: a refused connection is Git's own answer, a missing helper would be another."""
    words = [DOCKER, "run", "--rm", "--entrypoint", "git", action_image, "ls-remote", "https://127.0.0.1:9/x.git"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "Failed to connect" in done.stderr, done.stderr
