"""Again: tests that look slower, run once more by a second pytest in the same job, on the same servers."""

from __future__ import annotations

import contextlib
import json
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from realdb_ci import processes, results, suite

# The whole child: collecting a large suite takes time before the first test of it runs.
MOST_SECONDS = 300.0
# What the first run was told and this one is told otherwise: where to write, and which share to take.
TOLD_BEFORE = ("--realdb-events=", "--splits=", "--group=", "--durations-path=")


def timed(
    child: suite.Suite,
    nodeids: Sequence[str],
    write: Callable[[str], None],
    started: Callable[[int], None],
    limit: float = MOST_SECONDS,
) -> dict[str, float]:
    """Run some of a suite's tests once more; how they end counts for nothing.

    Args:
        child: the suite as it was run.
        nodeids: the tests.
        write: given the output as it comes.
        started: given the child's process id, to end it should we be killed.
        limit: seconds after which the child is ended.

    Returns:
        Seconds by test, for those that passed.

    Raises:
        KeyboardInterrupt: we were interrupted; the child has been stopped before.
    """
    with tempfile.TemporaryDirectory(prefix="realdb-ci-again-") as folder:
        events, chosen = Path(folder, "again.jsonl"), Path(folder, "tests.json")
        chosen.write_text(json.dumps(list(nodeids)), encoding="utf-8")
        flags = [flag for flag in child.flags if not flag.startswith(TOLD_BEFORE)]
        flags += [f"--realdb-events={events}", f"--realdb-only={chosen}"]
        with _ended_after(limit, started) as watched:
            suite.run(replace(child, flags=flags), write, watched)
        cases = results.read(events).cases
    return {case.nodeid: case.duration for case in cases if case.finished and case.outcome == "passed"}


@contextlib.contextmanager
def _ended_after(limit: float, started: Callable[[int], None]) -> Iterator[Callable[[int], None]]:
    """A child that is told of is ended with all that is in its session, unless the block ends first."""
    timers: list[threading.Timer] = []

    def watched(pid: int) -> None:
        timers.append(threading.Timer(limit, processes.end_all, [pid]))
        timers[0].daemon = True
        timers[0].start()
        started(pid)

    try:
        yield watched
    finally:
        for timer in timers:
            timer.cancel()
