"""Results: the record of a run, read back as frozen values. Imports nothing of ours, so anything may use it.

A run is a list of suites (one a project), a suite a list of cases (one a test), a case the phases of its attempts.
Everything else (outcomes, counts, the verdict) is derived from the phases on demand and never stored.
"""

from realdb_ci.results.cases import BAD, OUTCOMES, Anchor, Case, Phase, Repeat
from realdb_ci.results.comparisons import Comparison, Slower
from realdb_ci.results.merging import again, merge
from realdb_ci.results.reading import HEAD, collector_paused, read
from realdb_ci.results.suites import (
    FROM_PYTEST,
    INTERRUPTED,
    USAGE_ERROR,
    VERDICTS,
    CollectError,
    Problem,
    Results,
    Server,
    Shard,
    Span,
    Suite,
    gravest,
)

__all__ = [
    "BAD",
    "FROM_PYTEST",
    "HEAD",
    "INTERRUPTED",
    "OUTCOMES",
    "USAGE_ERROR",
    "VERDICTS",
    "Anchor",
    "Case",
    "CollectError",
    "Comparison",
    "Phase",
    "Problem",
    "Repeat",
    "Results",
    "Server",
    "Shard",
    "Slower",
    "Span",
    "Suite",
    "again",
    "collector_paused",
    "gravest",
    "merge",
    "read",
]
