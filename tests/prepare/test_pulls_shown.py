"""What the log and the record say of pulls."""

from __future__ import annotations

from realdb_ci.engines.contract import Notice
from realdb_ci.prepare.images import Pulls


def _pulls() -> tuple[Pulls, list[str], list[tuple[str, str]]]:
    lines: list[str] = []
    spans: list[tuple[str, str]] = []

    def span(name: str, detail: str, start: float, stop: float) -> None:
        assert 0 < start <= stop
        spans.append((name, detail))

    return Pulls(lines.append, span), lines, spans


def test_progress_of_all_pulls_is_one_line_a_second_at_most() -> None:
    """The daemon tells hundreds of steps; a log of them would hide everything else."""
    pulls, lines, spans = _pulls()
    for service in ("postgres", "mongodb"):
        pulls.notify(Notice(service, "pull", f"{service}:1"))
    for done in range(0, 300_000_000, 1_000_000):
        pulls.notify(Notice("postgres", "pull", "postgres:1", done, 300_000_000))
        pulls.notify(Notice("mongodb", "pull", "mongodb:1", done, 300_000_000))
    pulls.notify(Notice("postgres", "pulled", "postgres:1 (sha256:0, 300 MB) in 2.0 s", 1, 1))
    assert lines[:3] == [
        "postgres: pulling postgres:1",
        "mongodb: pulling mongodb:1",
        "pulling postgres 0 of 300 MB",
    ]
    assert len(lines) <= 6
    assert lines[-1] == "postgres: pulled postgres:1 (sha256:0, 300 MB) in 2.0 s"
    assert spans == [("pull postgres", "postgres:1 (sha256:0, 300 MB) in 2.0 s")]


def test_failed_attempts_and_other_steps_are_told() -> None:
    """A registry that needs patience is named with its own words."""
    pulls, lines, _ = _pulls()
    pulls.notify(Notice("postgres", "pull", "postgres:1"))
    pulls.notify(Notice("postgres", "pull", "postgres:1: toomanyrequests; again in 4 s"))
    pulls.notify(Notice("postgres", "start", "postgres:1"))
    pulls.notify(Notice("postgres", "ready", "postgres: docker, PostgreSQL 17"))
    pulls.notify(Notice("mongodb", "failed", "no such image"))
    assert lines == [
        "postgres: pulling postgres:1",
        "postgres: pulling postgres:1: toomanyrequests; again in 4 s",
        "postgres: starting postgres:1",
        "postgres: docker, PostgreSQL 17",
        "mongodb: failed: no such image",
    ]


def test_server_that_gets_ready_is_told_once() -> None:
    """Until pytest runs by us, then by pytest."""
    pulls, lines, _ = _pulls()
    pulls.notify(Notice("postgres", "ready", "postgres: docker, PostgreSQL 17"))
    pulls.suite_runs()
    pulls.notify(Notice("mongodb", "ready", "mongodb: docker, MongoDB 7"))
    pulls.notify(Notice("redis", "failed", "no such image"))
    assert lines == ["postgres: docker, PostgreSQL 17", "redis: failed: no such image"]
