"""SARIF: a file that GitHub accepts, with an alert for each thing that failed.

The rules are those of the 2.1.0 schema and of GitHub's documentation for what we write; no package that installs
from a registry holds the schema itself.
"""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given
from strategies import RESULTS, patient

from realdb_ci.reports.digest import Digest
from realdb_ci.reports.sarif import BUDGET, MOST, render
from realdb_ci.results import Anchor, Case, Phase, Problem, Repeat, Results, Suite

# Every property that we write, and what the schema says of its value.
TEXT = {"text": str}
SHAPE: dict[str, Any] = {
    "$schema": str,
    "version": str,
    "runs": [
        {
            "tool": {
                "driver": {
                    "name": str,
                    "semanticVersion": str,
                    "rules": [
                        {
                            "id": str,
                            "name": str,
                            "shortDescription": TEXT,
                            "fullDescription": TEXT,
                            "defaultConfiguration": {"level": str},
                            "properties": {"tags": [str]},
                        }
                    ],
                }
            },
            "invocations": [
                {"executionSuccessful": bool, "toolExecutionNotifications": [{"level": str, "message": TEXT}]}
            ],
            "originalUriBaseIds": {"%SRCROOT%": {"description": TEXT}},
            "results": [
                {
                    "ruleId": str,
                    "level": str,
                    "message": TEXT,
                    "partialFingerprints": {"realdbCiTest/v1": str},
                    "locations": [
                        {
                            "physicalLocation": {
                                "artifactLocation": {"uri": str, "uriBaseId": str},
                                "region": {"startLine": int},
                            }
                        }
                    ],
                }
            ],
            "columnKind": str,
        }
    ],
}


def assert_shape(value: Any, shape: Any) -> None:
    """Exactly these properties, of these types."""
    if isinstance(shape, dict):
        assert value.keys() == shape.keys()
        for name, inner in shape.items():
            assert_shape(value[name], inner)
    elif isinstance(shape, list):
        for one in value:
            assert_shape(one, shape[0])
    else:
        assert type(value) is shape


def run_of(results: Results) -> dict[str, Any]:
    """The only run of the file, which is well-formed."""
    file = json.loads(render(Digest(results)))
    assert_shape(file, SHAPE)
    assert file["version"] == "2.1.0"
    [run] = file["runs"]
    return run


def failing(number: int, message: str = "assert 1 == 2", path: str = "tests/test a.py") -> Results:
    """A suite with that many failures."""
    phases = [Phase(f"t.py::test_{n}", "call", "failed", message=message) for n in range(number)]
    cases = tuple(Case(phase.nodeid, path, 7, (phase,)) for phase in phases)
    return Results((Suite("desk", cases=cases, exitstatus=1),))


def test_failure_is_an_alert_on_its_line() -> None:
    """With a path that is a valid URI, relative to the repository, and the rule that tells its kind."""
    run = run_of(failing(1))
    [result] = run["results"]
    assert result["ruleId"] == "realdb-ci/failed"
    assert result["level"] == "error"
    assert result["message"]["text"] == "t.py::test_0: assert 1 == 2"
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "tests/test%20a.py", "uriBaseId": "%SRCROOT%"}
    assert place["region"] == {"startLine": 7}
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["realdb-ci/failed"]


def test_alert_stays_the_same_when_its_line_moves() -> None:
    """Its fingerprint is the test and what is wrong with it; another test has another one."""

    def prints(line: int) -> list[str]:
        phases = [Phase(f"t.py::{n}", "call", "failed", anchor=Anchor("a.py", line)) for n in "ab"]
        cases = tuple(Case(phase.nodeid, "t.py", 1, (phase,)) for phase in phases)
        run = run_of(Results((Suite("desk", cases=cases),)))
        return [one["partialFingerprints"]["realdbCiTest/v1"] for one in run["results"]]

    assert prints(3) == prints(30)
    assert len(set(prints(3))) == 2


def test_what_has_no_place_is_a_notification() -> None:
    """GitHub refuses a whole file because of one result without a location."""
    results = failing(1, "lost", path="")
    suite = Suite("desk", problems=(Problem("No server", "it ended", "Look."),))
    run = run_of(Results((*results.suites, suite)))
    assert run["results"] == []
    notices = [one["message"]["text"] for one in run["invocations"][0]["toolExecutionNotifications"]]
    assert notices == ["lost", "No server. it ended. Look."]
    assert run["invocations"][0]["executionSuccessful"] is False


def test_flaky_test_is_a_warning() -> None:
    """It failed, and it passed."""
    phases = (Phase("t.py::t", "call", "rerun", message="Timeout"), Phase("t.py::t", "call", "passed", attempt=2))
    [result] = run_of(Results((Suite("desk", cases=(Case("t.py::t", "t.py", 1, phases),)),)))["results"]
    assert (result["ruleId"], result["level"]) == ("realdb-ci/flaky", "warning")


def test_repeated_statement_is_a_warning_on_the_line_that_sent_it() -> None:
    """Not on the test's: the loop is what has to change."""
    repeat = Repeat("SELECT a FROM b WHERE c = ?", 40, 0.5, "app.py", 12)
    phase = Phase("t.py::t", "call", "passed", queries=40, query_seconds=0.5, repeats=(repeat,))
    [result] = run_of(Results((Suite("desk", cases=(Case("t.py::t", "t.py", 1, (phase,)),)),)))["results"]
    assert (result["ruleId"], result["level"]) == ("realdb-ci/repeated-statement", "warning")
    place = result["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("app.py", 12)
    assert "40 times from this line, 500 ms in the database: SELECT a FROM b" in result["message"]["text"]


def test_more_alerts_than_github_stores_are_left_out() -> None:
    """The first ones stay."""
    assert len(run_of(failing(MOST + 10))["results"]) == MOST


@patient
@given(RESULTS)
def test_any_results_are_a_file_that_github_accepts(results: Results) -> None:
    """Levels, rules, lines and places as the schema and the documentation want them, within the size."""
    assert len(render(Digest(results)).encode()) <= BUDGET
    run = run_of(results)
    rules = {rule["id"]: rule["defaultConfiguration"]["level"] for rule in run["tool"]["driver"]["rules"]}
    for result in run["results"]:
        assert rules[result["ruleId"]] == result["level"]
        assert result["level"] in ("error", "warning")
        assert result["message"]["text"].strip()
        [place] = [one["physicalLocation"] for one in result["locations"]]
        assert place["region"]["startLine"] >= 1
        assert re.fullmatch(r"(?:[A-Za-z0-9_.~/-]|%[0-9A-F]{2})+", place["artifactLocation"]["uri"])
    prints = [result["partialFingerprints"]["realdbCiTest/v1"] for result in run["results"]]
    assert len(set(prints)) == len(prints)
    assert rules.keys() == {result["ruleId"] for result in run["results"]}
    assert all(one["message"]["text"] for one in run["invocations"][0]["toolExecutionNotifications"])
