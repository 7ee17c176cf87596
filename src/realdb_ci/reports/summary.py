"""The job summary: GitHub-flavoured Markdown, verdict first, whole at any size."""

from __future__ import annotations

from collections.abc import Sequence

from realdb_ci.reports import Missed, Place, sections
from realdb_ci.reports.digest import Digest
from realdb_ci.reports.findings import KNOWN, NEW
from realdb_ci.reports.markdown import size

FILE = "summary.md"
# GitHub drops a summary of more than 1 MiB as a whole.
BUDGET = 1_000_000


def publish(digest: Digest, place: Place) -> bool:
    """Write it into the job summary on GitHub, and as ``summary.md`` into the output folder, which may be full."""
    if place.github is not None and place.github.summary is not None:
        with place.github.summary.open("a", encoding="utf-8") as file:
            # What the step has written before counts as well.
            file.write(render(digest, BUDGET - file.tell(), place.missed))
    (place.out / FILE).write_text(render(digest, missed=place.missed), encoding="utf-8")
    return True


def render(digest: Digest, budget: int = BUDGET, missed: Sequence[Missed] = (), *, drawn: bool = True) -> str:
    """The whole summary in at most ``budget`` bytes; with a chart where GitHub can draw one.

    What a reader needs most comes first: verdict, failures, what was flaky, problems. Then where the time went, and
    the failing tests' own words, which get all the room that is left.
    """
    results = digest.results
    head = sections.verdict(results)
    if size(head) + 1 > budget:
        return ""
    rest = budget - size(head) - 3
    # Small tables may not be starved by a thousand failures, nor starve them: each has its share.
    suites = sections.suites(results, rest // 10)
    others = (
        sections.failures(digest.folded, rest // 10, standing=KNOWN),
        sections.flaky(digest, rest // 10),
        sections.infrastructure(digest, rest // 5),
        sections.slower(digest, rest // 20),
        sections.compared(digest, rest // 20),
    )
    times = (
        sections.chart(digest, rest // 20) if drawn else "",
        sections.repeats(digest, rest // 20),
        sections.slow_tests(digest, rest // 20),
        sections.slow_steps(results, rest // 20),
        sections.servers(results, rest // 20),
        sections.caches(results, rest // 40),
    )
    unreached = sections.unreached(missed, rest // 20)
    rest -= sum(size(block) + 2 for block in (suites, *others, *times, unreached))
    new = sections.failures(digest.folded, rest // 2, standing=NEW)
    failures = sections.failures(digest.folded, rest // 2 - size(new) - 2)
    evidence = sections.evidence(digest.folded, rest - size(new) - size(failures) - 6)
    return sections.joined((head, suites, new, failures, *others, *times, evidence, unreached))
