"""What was read of a file, as plain data that a golden file holds."""

from __future__ import annotations

from typing import Any

from realdb_ci.results import Anchor, Case, CollectError, Phase, Suite


def told(suite: Suite) -> dict[str, Any]:
    """Counts, names, outcomes, durations, places and messages of a suite; what is empty is left out."""
    return _some(
        producer=suite.producer,
        exit_code=suite.exit_code,
        counts={outcome: number for outcome, number in suite.counts.items() if number},
        duration=round(suite.duration, 6),
        interrupted=suite.interrupted,
        not_run=list(suite.not_run),
        cases=[_case(case) for case in suite.cases],
        collect_errors=[_error(error) for error in suite.collect_errors],
        problems=[problem.what + ": " + problem.why for problem in suite.problems],
        properties=dict(suite.properties),
        sections=[name for name, _ in suite.sections],
    )


def _case(case: Case) -> dict[str, Any]:
    return _some(
        nodeid=case.nodeid,
        outcome=case.outcome,
        place=_place(Anchor(case.path, case.line)),
        duration=round(case.duration, 6),
        attempts=case.attempts if case.attempts > 1 else None,
        failures=[_failure(phase) for phase in case.failures],
        retried=[_failure(phase) for phase in case.retried],
        reason=next((phase.message for phase in case.last if phase.outcome == "skipped"), ""),
        properties=dict(case.properties),
        attachments=list(case.attachments),
    )


def _failure(phase: Phase) -> dict[str, Any]:
    return _some(
        when=phase.when,
        subtest=phase.subtest,
        strict_xpass=phase.strict_xpass,
        place=_place(phase.anchor) if phase.anchor else "",
        message=phase.message,
        sections=[name for name, _ in phase.sections],
    )


def _error(error: CollectError) -> dict[str, Any]:
    return _some(nodeid=error.nodeid, place=_place(Anchor(error.path, error.line)), message=error.message)


def _place(anchor: Anchor) -> str:
    return anchor.path if anchor.line is None else f"{anchor.path}:{anchor.line}"


def _some(**told: Any) -> dict[str, Any]:
    return {name: value for name, value in told.items() if value or (value == 0.0 and name == "duration")}
