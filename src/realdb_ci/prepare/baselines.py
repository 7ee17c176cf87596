"""Baselines: the history of a job's base branch, kept in the cache from one run of the branch to the next.

GitHub lets a run read what its own branch, its base branch and the default branch have saved, so a pull request
finds the history of its base, and nothing that it could save would be found by another one:
https://docs.github.com/en/actions/reference/workflows-and-actions/dependency-caching

An entry goes after a week without use, or earlier where the cache is full, and a workflow may do without the
cache. So every run of a branch leaves its history as an artifact too, in three small requests: whether it will be
needed, nobody can tell by then.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from realdb_ci.errors import EnvironmentProblem
from realdb_ci.prepare.artifacts import ArtifactService, pack, unpack
from realdb_ci.prepare.cache import NAME_LIMIT, CacheService
from realdb_ci.prepare.results_service import ServiceTrouble, Taken
from realdb_ci.timing.history import BYTES_LIMIT, History, Run, decode, encode

KIND = "baseline"
GIT_SECONDS = 10.0
NOTE = "The runs are known from an artifact, not from the cache."


@dataclass(frozen=True)
class Fallback:
    """Artifacts, for where the cache has no history.

    Attributes:
        service: takes them.
        find: the newest of a name that the branch's runs made, as a zip file; None where there is none. Raises
            EnvironmentProblem where nobody can tell.
        say: told what is worth a line in the log, in a sentence.
    """

    service: ArtifactService
    find: Callable[[str], bytes | None]
    say: Callable[[str], None]


@dataclass
class Baselines:
    """The history of one job on one branch.

    Attributes:
        service: the cache service, or None.
        project: the project's name.
        job: the same for every run of this job with this matrix.
        branch: the branch.
        run: this workflow run and its attempt.
        scratch: a folder for files on their way.
        warn: told of trouble, in a sentence.
        fallback: what to use where the cache has no history, or None.
        known: the history, once it was looked for; None where nobody can tell whether there is one.
        note: where the history is from, in a sentence, if that is not the cache.
        trouble: whether the service failed us.
    """

    service: CacheService | None
    project: str
    job: str
    branch: str
    run: str
    scratch: Path
    warn: Callable[[str], None]
    fallback: Fallback | None = None
    known: History | None = None
    note: str = ""
    trouble: bool = False

    def history(self, *, cached: bool = True) -> History:
        """The branch's last runs; none where nobody has a record of them, or trouble, which is told.

        Args:
            cached: whether the cache can be asked; a service that failed is not asked again.
        """
        if not self.branch:
            return History()
        problem, reads = "", self.service is not None and self.service.reads
        if reads and cached:
            try:
                self.known = self._cached()
            except (ServiceTrouble, OSError) as failed:
                self.trouble = isinstance(failed, ServiceTrouble)
                problem = f"There is no baseline to compare with: {failed}"
            except ValueError as broken:
                self.known, problem = History(), f"The baseline is not used: {broken}"
        if self.known is None or not self.known.runs:
            left = self._left()
            # What the cache holds and could not tell is not replaced by the beginning of another history.
            if left is not None and (left.runs or not reads):
                self.known, self.note = left, NOTE if left.runs else ""
        if problem and not self.note:
            self.warn(problem)
        return self.known or History()

    def keep(self, run: Run) -> None:
        """Save the history with one more run; where it could not be read, it is not replaced either.

        Raises:
            ServiceTrouble: it could not be saved.
            OSError: likewise, for want of room on the disk.
        """
        if self.service is None or not self.service.writes or self.known is None:
            return
        file = self.scratch / "baseline.json"
        file.write_bytes(encode(self.known.with_(run)))
        self.service.save(KIND, f"{self._name}-{self.run}", file)

    def leave(self, run: Run) -> None:
        """Leave the history with one more run as an artifact; trouble with that is a line in the log."""
        if self.fallback is None or self.known is None:
            return
        file = self.scratch / "baseline.zip"
        try:
            file.write_bytes(pack(encode(self.known.with_(run))))
            # An earlier attempt of this workflow run tested the same commit.
            with contextlib.suppress(Taken):
                self.fallback.service.save(self._name, file)
        except (ServiceTrouble, OSError) as problem:
            self.fallback.say(f"Baseline: it is not left as an artifact: {problem}")

    def _cached(self) -> History:
        assert self.service is not None
        file = self.scratch / "baseline.json"
        found = self.service.fetch(KIND, [f"{self._name}-none", f"{self._name}-"], file)
        return decode(file.read_bytes()) if found else History()

    def _left(self) -> History | None:
        """What is in the newest artifact; None where nobody can tell."""
        if self.fallback is None:
            return None
        try:
            found = self.fallback.find(self._name)
            return History() if found is None else decode(unpack(found, BYTES_LIMIT))
        except EnvironmentProblem as problem:
            words = f"{problem.what} ({problem.why}). {problem.remedy}".rstrip()
            self.fallback.say(f"Baseline: it is not in the cache, nor can artifacts be looked through: {words}")
            return None
        except ValueError as problem:
            self.fallback.say(f"Baseline: the artifact is not used: {problem}")
            return History()

    @property
    def _name(self) -> str:
        named = json.dumps([self.project, self.job, self.branch])
        digest = hashlib.sha256(named.encode()).hexdigest()[:16]
        # What an artifact's name may not have, and a comma in a cache's key.
        project = re.sub(r"[^\w.-]", "_", self.project[:NAME_LIMIT], flags=re.ASCII)
        return f"realdb-ci-baseline-{project}-{digest}"


def committed(workspace: Path) -> float:
    """When the commit that is checked out was made, in seconds since the epoch; 0 where git does not tell."""
    # The checkout belongs to the runner's account, which git would not trust.
    words = ["git", "-c", "safe.directory=*", "-C", str(workspace), "show", "--no-patch", "--format=%ct", "HEAD"]
    try:
        told = subprocess.run(words, capture_output=True, check=True, timeout=GIT_SECONDS)
        return float(told.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return 0.0
