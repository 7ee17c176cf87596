"""SARIF 2.1.0, for code scanning and for editors: what failed, as results on lines.

The format: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html. What GitHub takes of it:
https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import urllib.parse
from collections import Counter
from collections.abc import Iterable
from typing import Any

from realdb_ci import __version__
from realdb_ci.reports import Place
from realdb_ci.reports.digest import Digest
from realdb_ci.reports.findings import Finding
from realdb_ci.reports.text import clean, excerpt, middle_fit, one_line, seconds
from realdb_ci.results import Case, Repeat

FILE = "report.sarif"
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
# GitHub stores 5,000 results of a run and refuses a file with more than 25,000.
MOST = 5_000
# Bytes. GitHub takes 10 MB after gzip, which makes no text longer.
BUDGET = 9_500_000
MESSAGE_BUDGET = 3_000
PATH_LIMIT = 4_096
MOST_NOTICES = 100
# For everything but the results.
RESERVE = 500_000
# As GitHub and most tools call the folder that holds the checkout.
ROOT = "%SRCROOT%"
FLAKY, REPEATED = "flaky", "repeated statement"
WARNINGS = (FLAKY, REPEATED)
RULES = {
    "failed": "A test failed.",
    "setup error": "A test could not be set up.",
    "teardown error": "A test left something that could not be cleaned up.",
    "error": "A test ended with an error.",
    "collection error": "A module's tests could not be collected.",
    "subtest failed": "A subtest failed.",
    "strict xpass": "A test passed that is marked as an expected failure.",
    "still running": "A test was running when pytest ended.",
    FLAKY: "A test failed first and passed on a later attempt.",
    REPEATED: "A line sent the same statement to a database again and again.",
}


def publish(digest: Digest, place: Place) -> bool:
    """Write ``report.sarif`` into the output folder."""
    (place.out / FILE).write_text(render(digest), encoding="utf-8")
    return True


def render(digest: Digest) -> str:
    """The file's text, in at most ``BUDGET`` bytes and ``MOST`` results."""
    found = [(finding, finding.kind) for finding in digest.folded]
    found += [(finding, FLAKY) for _, finding in digest.retried]
    found += [(_repeated(case, one), REPEATED) for case, one in digest.repeats]
    # GitHub refuses a file with a result that has no place; the format has another place for what has none.
    results = _fitting((one for one in found if one[0].path), BUDGET)
    kinds = {told["ruleId"] for told in results}
    notices = [_notice(finding.message or kind) for finding, kind in found[:MOST] if not finding.path]
    notices += [_notice(f"{one.what}. {one.why}. {one.remedy}") for one in digest.problems]
    run = {
        "tool": {
            "driver": {
                "name": "realdb-ci",
                "semanticVersion": __version__,
                "rules": [_rule(kind) for kind in RULES if _id(kind) in kinds],
            }
        },
        "invocations": [
            {
                "executionSuccessful": digest.results.verdict in ("passed", "failed"),
                "toolExecutionNotifications": notices[:MOST_NOTICES],
            }
        ],
        # Paths are relative to the repository, wherever it is checked out.
        "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the repository."}}},
        "results": results,
        "columnKind": "utf16CodeUnits",
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _fitting(found: Iterable[tuple[Finding, str]], room: int) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    again: Counter[tuple[str, ...]] = Counter()
    for finding, kind in itertools.islice(found, MOST):
        told = _result(finding, kind, again)
        room -= len(json.dumps(told)) + 2
        if room < RESERVE:
            break
        results.append(told)
    return results


def _repeated(case: Case, one: Repeat) -> Finding:
    words = f"{one.count} times from this line, {seconds(one.seconds)} in the database: {one.shape}"
    return Finding("", case.nodeid, REPEATED, one.path, one.line, words)


def _notice(text: str) -> dict[str, Any]:
    return {"level": "error", "message": {"text": one_line(text, 1_000) or "-"}}


def _rule(kind: str) -> dict[str, Any]:
    return {
        "id": _id(kind),
        "name": kind.title().replace(" ", ""),
        "shortDescription": {"text": RULES[kind]},
        "fullDescription": {"text": RULES[kind]},
        "defaultConfiguration": {"level": _level(kind)},
        "properties": {"tags": ["test"]},
    }


def _result(finding: Finding, kind: str, again: Counter[tuple[str, ...]]) -> dict[str, Any]:
    stopped = f"{finding.others + 1} tests could not run: " if finding.others else ""
    message = stopped + (one_line(finding.message) or kind)
    shown = excerpt(finding.longrepr, finding.path, finding.line)
    text = "\n\n".join(filter(None, (f"{one_line(finding.name)}: {message}", shown)))
    # The line may move; the test and what is wrong with it tell whether it is the same alert.
    same = (finding.project, finding.nodeid, finding.subtest, kind)
    again[same] += 1
    key = "\0".join((*same, str(again[same])))
    told: dict[str, Any] = {
        "ruleId": _id(kind),
        "level": _level(kind),
        "message": {"text": middle_fit(text, MESSAGE_BUDGET)},
        "partialFingerprints": {"realdbCiTest/v1": hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()},
    }
    place = {
        "artifactLocation": {"uri": urllib.parse.quote(clean(finding.path)[:PATH_LIMIT]), "uriBaseId": ROOT},
        # GitHub shows no result that has no line.
        "region": {"startLine": max(finding.line or 1, 1)},
    }
    return {**told, "locations": [{"physicalLocation": place}]}


def _id(kind: str) -> str:
    return "realdb-ci/" + kind.replace(" ", "-")


def _level(kind: str) -> str:
    return "warning" if kind in WARNINGS else "error"
