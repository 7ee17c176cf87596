"""Merging: the parts of a run that other machines or later attempts recorded, as one run."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TypeVar

from realdb_ci.results.cases import BAD, Case, Phase
from realdb_ci.results.comparisons import joined
from realdb_ci.results.shards import lacking
from realdb_ci.results.suites import Results, Suite

Value = TypeVar("Value", bound=Hashable)

# pytest's exit statuses, the one that says most first; one that found no tests (5) says least.
SAYS_MOST = (3, 4, 2, 1, 0, 5)


def merge(parts: Iterable[Results]) -> Results:
    """The parts as one run.

    Suites of one project belong together: shards that ran different tests, or a later attempt at the same ones. A
    test that several of them ran is one case with the attempts of all, in the order they were made. Suites on
    different versions of Python, or of a database, are legs of a matrix: they stay apart, and say so in their name.
    A suite of which a part is missing has that as a problem.
    """
    told = list(chain.from_iterable(part.suites for part in parts))
    places = {id(suite): place for place, suite in enumerate(told)}
    groups: list[list[Suite]] = []
    # A shard that used no database fits every leg, so it comes last, and goes where it is missing.
    for suite in sorted(told, key=lambda suite: not suite.servers):
        fitting = [group for group in groups if all(_same(suite, other) for other in group)]
        first = fitting[0] if fitting else None
        group = next((group for group in fitting if not _has_shard(group, suite)), first)
        if group is None:
            groups.append([suite])
        else:
            group.append(suite)
    groups.sort(key=lambda group: min(places[id(suite)] for suite in group))
    return Results(_named([_checked(_one(group)) for group in groups]))


def again(earlier: Case, case: Case) -> Case:
    """A case, and the attempts that were made at it before it, as one case."""
    phases = earlier.phases
    if not earlier.finished:
        lost = "pytest ended while this test was running"
        phases += (Phase(case.nodeid, "???", "rerun", attempt=earlier.attempts, message=lost),)
    phases += tuple(phase._replace(attempt=phase.attempt + earlier.attempts) for phase in case.phases)
    return replace(
        case,
        phases=phases,
        properties=_joined((earlier.properties, case.properties)),
        attachments=_joined((earlier.attachments, case.attachments)),
    )


def _same(suite: Suite, other: Suite) -> bool:
    """Whether two suites ran one project under the same conditions, as far as both tell them."""
    if (suite.project, suite.producer) != (other.project, other.producer):
        return False
    if suite.python and other.python and suite.python != other.python:
        return False
    versions, others = _versions(suite), _versions(other)
    return all(versions[service] == others[service] for service in versions.keys() & others.keys())


def _has_shard(group: Iterable[Suite], suite: Suite) -> bool:
    """Whether a suite's part is among them; what was not split is."""
    there = {shard.number for other in group for shard in other.shards}
    return all(shard.number in there for shard in suite.shards)


def _versions(suite: Suite) -> dict[str, str]:
    return {server.service: server.version for server in suite.servers}


def _one(group: Sequence[Suite]) -> Suite:
    """The suites as one, told in the order they began."""
    if len(group) == 1:
        return group[0]
    suites = sorted(group, key=lambda suite: suite.start)
    cases = _cases(suites)
    # What a part did not come to, because it died or was stopped, another one may have done.
    ended = [suite if suite.finished or not _made_good(suite, cases) else _closed(suite) for suite in suites]
    return replace(
        suites[0],
        python=next((suite.python for suite in suites if suite.python), ""),
        workers=sum(suite.workers for suite in suites),
        duration=_covered((suite.start, suite.start + suite.duration) for suite in suites),
        collected=_joined(suite.collected for suite in suites),
        cases=tuple(cases.values()),
        collect_errors=_joined(suite.collect_errors for suite in suites),
        servers=tuple(chain.from_iterable(suite.servers for suite in suites)),
        spans=tuple(chain.from_iterable(suite.spans for suite in suites)),
        problems=_joined(suite.problems for suite in suites),
        exitstatus=_exitstatus(ended),
        returncode=next((suite.returncode for suite in ended if suite.returncode is not None), None),
        interrupted=any(suite.interrupted for suite in ended),
        sources=_joined(suite.sources for suite in suites),
        properties=_joined(suite.properties for suite in suites),
        sections=tuple(chain.from_iterable(suite.sections for suite in suites)),
        comparison=joined(suite.comparison for suite in suites),
        shards=_joined(suite.shards for suite in suites),
    )


def _checked(suite: Suite) -> Suite:
    # A suite that never opened has no name, and a problem of its own.
    problem = lacking(suite) if suite.project else None
    return suite if problem is None else replace(suite, problems=(*suite.problems, problem))


def _cases(suites: Iterable[Suite]) -> dict[str, Case]:
    cases: dict[str, Case] = {}
    for case in chain.from_iterable(suite.cases for suite in suites):
        earlier = cases.get(case.nodeid)
        cases[case.nodeid] = case if earlier is None else again(earlier, case)
    return cases


def _made_good(suite: Suite, cases: Mapping[str, Case]) -> bool:
    """Whether every test that was to run in a suite has come to its end somewhere."""
    found = [cases.get(nodeid) for nodeid in suite.collected]
    return bool(found) and all(case is not None and case.finished for case in found)


def _closed(suite: Suite) -> Suite:
    return replace(suite, exitstatus=0, returncode=None, interrupted=False)


def _exitstatus(suites: Iterable[Suite]) -> int | None:
    """One exit status for all. Failed tests speak for themselves: a later attempt may have mended them."""
    codes = [
        0 if suite.exitstatus == 1 and any(suite.counts[outcome] for outcome in BAD) else suite.exitstatus
        for suite in suites
    ]
    known = [code for code in codes if code is not None]
    if len(known) < len(codes):
        return None
    return min(known, key=lambda code: SAYS_MOST.index(code) if code in SAYS_MOST else -1)


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds in which at least one of them was under way: shards run side by side, attempts hours apart.

    Those without a time of day count in full.
    """
    covered, until = 0.0, float("-inf")
    for start, stop in sorted(spans):
        if not start:
            covered += stop
            continue
        covered += max(stop - max(start, until), 0.0)
        until = max(until, stop)
    return covered


def _named(suites: Sequence[Suite]) -> tuple[Suite, ...]:
    """The suites, those of one project told apart by what they differ in."""
    projects: dict[str, list[Suite]] = {}
    for suite in suites:
        projects.setdefault(suite.project, []).append(suite)
    return tuple(_labelled(suite, projects[suite.project]) for suite in suites)


def _labelled(suite: Suite, legs: Sequence[Suite]) -> Suite:
    facts = [{"": leg.producer, "Python": leg.python, **_versions(leg)} for leg in legs]
    own = {"": suite.producer, "Python": suite.python, **_versions(suite)}
    differ = [name for name in own if len({told.get(name) for told in facts}) > 1]
    words = ", ".join(f"{name} {own[name]}".strip() for name in differ if own[name])
    return replace(suite, project=f"{suite.project} ({words})") if words else suite


def _joined(groups: Iterable[Iterable[Value]]) -> tuple[Value, ...]:
    """All values once, in the order they came."""
    return tuple(dict.fromkeys(chain.from_iterable(groups)))
