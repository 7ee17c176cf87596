"""Shards: whether the parts of a suite that ran are all of it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from realdb_ci.results.suites import Problem, Shard, Suite

# Of the missing parts, so many are named.
NAMED = 10


def lacking(suite: Suite) -> Problem | None:
    """What keeps the parts of a suite from being all of it; None for a suite that is whole or was never split.

    Parts are all of it where none is missing and all were split by the same numbers. One of them that ran the whole
    suite is all of it alone.
    """
    ways: dict[tuple[int, str], set[int]] = {}
    for shard in suite.shards:
        ways.setdefault((shard.total, shard.digest), set()).add(shard.number)
    if not ways or any(shard.whole for shard in suite.shards):
        return None
    if any(len(numbers) >= total for (total, _), numbers in ways.items()):
        return None
    missing = _missing(suite.shards)
    if missing and len({shard.total for shard in suite.shards}) == 1:
        is_one = len(missing) == 1
        return Problem(
            f"{'Part' if is_one else 'Parts'} {', '.join(missing)} of {suite.project} "
            f"{'is' if is_one else 'are'} missing",
            why="nothing tells what became of the tests in it",
            remedy="Name the events files of all shards; the job of one that left none says why.",
            exit_code=1,
        )
    return Problem(
        f"The parts of {suite.project} were not split by the same numbers",
        why=f"tests may have run nowhere: {'; '.join(_way(*one) for one in sorted(ways.items()))}",
        remedy="Run all jobs of the workflow again.",
        exit_code=1,
    )


def _missing(shards: Iterable[Shard]) -> list[str]:
    """The first of those parts of the smallest split that nobody ran."""
    there, total = {shard.number for shard in shards}, min(shard.total for shard in shards)
    return list(islice((f"{number}/{total}" for number in range(1, total + 1) if number not in there), NAMED))


def _way(way: tuple[int, str], numbers: Iterable[int]) -> str:
    total, digest = way
    return f"{', '.join(f'{number}/{total}' for number in sorted(numbers))} by {digest or 'unknown'}"
