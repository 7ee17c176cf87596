"""Baselines: the history of a job's base branch, kept in the cache from one run of the branch to the next.

GitHub lets a run read what its own branch, its base branch and the default branch have saved, so a pull request
finds the history of its base, and nothing that it could save would be found by another one:
https://docs.github.com/en/actions/reference/workflows-and-actions/dependency-caching
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from realdb_ci.prepare.cache import CacheService, CacheTrouble
from realdb_ci.timing.history import History, Run, decode, encode

KIND = "baseline"
GIT_SECONDS = 10.0
# Of the project's name, so that a list of entries can be read by people.
NAME_LIMIT = 100


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
        known: the history, once it was looked for; None where nobody can tell whether there is one.
    """

    service: CacheService | None
    project: str
    job: str
    branch: str
    run: str
    scratch: Path
    warn: Callable[[str], None]
    known: History | None = None

    def history(self) -> History:
        """The branch's last runs; none where there is no such entry, or trouble, which is told."""
        if self.service is None or not self.service.reads or not self.branch:
            return History()
        file = self.scratch / "baseline.json"
        try:
            found = self.service.fetch(KIND, [f"{self._prefix}none", self._prefix], file)
            self.known = decode(file.read_bytes()) if found else History()
        except (CacheTrouble, OSError) as problem:
            self.warn(f"There is no baseline to compare with: {problem}")
            return History()
        except ValueError as problem:
            self.warn(f"The baseline is not used: {problem}")
            self.known = History()
        return self.known

    def keep(self, run: Run) -> None:
        """Save the history with one more run; where it could not be read, it is not replaced either.

        Raises:
            CacheTrouble: it could not be saved.
        """
        if self.service is None or not self.service.writes or self.known is None:
            return
        file = self.scratch / "baseline.json"
        file.write_bytes(encode(self.known.with_(run)))
        self.service.save(KIND, f"{self._prefix}{self.run}", file)

    @property
    def _prefix(self) -> str:
        named = json.dumps([self.project, self.job, self.branch])
        digest = hashlib.sha256(named.encode()).hexdigest()[:16]
        return f"realdb-ci-baseline-{self.project[:NAME_LIMIT]}-{digest}-"


def committed(workspace: Path) -> float:
    """When the commit that is checked out was made, in seconds since the epoch; 0 where git does not tell."""
    # The checkout belongs to the runner's account, which git would not trust.
    words = ["git", "-c", "safe.directory=*", "-C", str(workspace), "show", "--no-patch", "--format=%ct", "HEAD"]
    try:
        told = subprocess.run(words, capture_output=True, check=True, timeout=GIT_SECONDS)
        return float(told.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return 0.0
