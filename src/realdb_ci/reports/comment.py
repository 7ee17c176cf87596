"""The comment: one a job on the pull request, kept up to date; short, because it stands in everybody's way."""

from __future__ import annotations

from realdb_ci.github import GitHub, Unreachable, comments
from realdb_ci.github.answers import FORBIDDEN, MISSING, REJECTED
from realdb_ci.github.client import Client
from realdb_ci.reports import Place, sections
from realdb_ci.reports.digest import Digest
from realdb_ci.reports.findings import KNOWN, NEW
from realdb_ci.reports.markdown import escape, size

FILE = None
# GitHub takes 65,536 characters; bytes are never fewer.
BUDGET = 60_000
MOST_FAILURES, MOST_FLAKY = 20, 10
# Events that do not tell of a pull request that there may be all the same.
UNTOLD = ("push", "workflow_run")


def publish(digest: Digest, place: Place) -> bool:
    """Write the comment, where there is a pull request and a token for it.

    A run that has nothing to act on only mends what an earlier one wrote.

    Raises:
        Unreachable: it could not be written.
    """
    github, client = place.github, place.client
    pull = None if github is None or client is None else _pull(github, client)
    if github is None or client is None or pull is None:
        return False
    body = render(digest, github)
    telling = digest.results.exit_code != 0 or bool(digest.retried or digest.problems or digest.slower)
    try:
        return comments.put(client, pull, marker(github), body, anew=telling)
    except Unreachable as problem:
        if problem.status != REJECTED:
            raise
        return comments.put(client, pull, marker(github), render(digest, github, budget=1_000), anew=telling)


def marker(github: GitHub) -> str:
    """What our comment begins with and nobody sees; another one for each job and each leg of a matrix."""
    return f"<!-- realdb-ci:{github.key} -->"


def render(digest: Digest, github: GitHub, budget: int = BUDGET) -> str:
    """The comment in at most ``budget`` bytes; never less than the verdict."""
    head = f"{marker(github)}\n{sections.verdict(digest.results)}"
    words = f"[The whole report of {escape(github.name) or 'the run'}]({github.run_url}), for commit {github.sha}."
    rest = max(budget - size(head) - size(words) - 20, 0)
    results = digest.results
    suites = sections.suites(results, rest // 10) if len(results.suites) > 1 else ""
    others = (
        sections.failures(digest.folded, rest // 10, MOST_FAILURES, KNOWN),
        sections.flaky(digest, rest // 10, MOST_FLAKY),
        sections.infrastructure(digest, rest // 5),
        sections.slower(digest, rest // 10),
        sections.servers(results, rest // 20),
        sections.compared(digest, rest // 20),
    )
    rest -= sum(size(block) + 2 for block in (suites, *others))
    new = sections.failures(digest.folded, rest, MOST_FAILURES, NEW)
    failures = sections.failures(digest.folded, rest - size(new) - 2, MOST_FAILURES)
    return sections.joined((head, suites, new, failures, *others, words))


def _pull(github: GitHub, client: Client) -> int | None:
    if github.pull is not None or github.event not in UNTOLD:
        return github.pull
    try:
        return comments.pull_of(client)
    except Unreachable as problem:
        if problem.status not in (FORBIDDEN, MISSING):
            raise
        # Who gives no permission to read pull requests wants no comments on them.
        return None
