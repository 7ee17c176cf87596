"""Base: the runs of its base branch that a job's suite is held against, and what it leaves to later ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from realdb_ci import results
from realdb_ci.github import Client, GitHub, Unreachable, artifacts, merge_base
from realdb_ci.prepare.artifacts import ArtifactService
from realdb_ci.prepare.baselines import Fallback
from realdb_ci.prepare.stores import Stores
from realdb_ci.timing.history import Base, Run

# pytest's exit statuses of a run that came to its end: passed, and failed.
WHOLE = (0, 1)
# For one question that only says which runs count, or finds some.
SECONDS = 10.0


def fallback(environ: Mapping[str, str], github: GitHub | None, say: Callable[[str], None]) -> Fallback | None:
    """Where a history is left and found that the cache does not have.

    None where the runner tells of no artifact service, as on GitHub Enterprise Server: such a job never leaves one.

    Args:
        environ: the step's environment.
        github: the job, or None outside GitHub.
        say: told what is worth a line in the log, in a sentence.
    """
    service = ArtifactService.of(environ)
    if github is None or service is None:
        return None

    def find(name: str) -> bytes | None:
        if not github.token:
            raise Unreachable("GitHub was not asked", why="there is no token")
        return artifacts.newest(_hurried(github), name)

    return Fallback(service, find, say)


def known(name: str, github: GitHub | None, stores: Stores, say: Callable[[str], None]) -> Base:
    """What a suite is held against: runs of the base branch that the job's commit can have been made from.

    Args:
        name: the suite's.
        github: the job, or None outside GitHub.
        stores: what is kept between runs.
        say: told what is worth a line in the log, in a sentence.
    """
    history = stores.history()
    if github is None or not history.runs:
        return Base(name)
    notes = [stores.baselines.note]
    if github.base:
        try:
            history = history.until(merge_base.committed(_hurried(github)))
        except Unreachable as problem:
            notes.append(f"All its runs count, as GitHub does not tell the merge base ({problem.why}).")
        if not history.runs:
            say(f"Baseline: the runs that are known of {github.branch} are all newer than the merge base")
    return Base(name, history, github.branch, " ".join(filter(None, notes)))


def to_keep(found: results.Results, github: GitHub | None, committed: float) -> Run | None:
    """What later runs are compared with: a whole run of the branch, not what a broken server made of one.

    Args:
        found: what the suite's record says.
        github: the job, or None outside GitHub.
        committed: when its commit was made, in seconds since the epoch; 0 where nobody said.
    """
    last = found.suites[-1] if found.suites else None
    if last is None or github is None or not github.is_of_branch:
        return None
    if last.problems or last.interrupted or last.exitstatus not in WHOLE:
        return None
    return Run.of(last, github.sha, committed)


def _hurried(github: GitHub) -> Client:
    return Client(replace(github, patience=SECONDS, timeout=SECONDS))
