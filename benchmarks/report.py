"""What a report costs: reading 100,000 tests, against junitparser and a bare loop, and writing all reports of them.

python benchmarks/report.py

Each measurement is a process of its own, so that its peak memory is its own; the peers take turns, round by round.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realdb_ci.results import Results

TESTS = 100_000
# One in so many fails, with a text of a traceback's size.
FAILS = 100
# What each test prints in the file that is mostly output.
PRINTED = "x" * 1_000
TRACE = "".join(f"    line_{number} = compute({number})\n" for number in range(20))
JUNIT, PRINTING, EVENTS = "junit.xml", "printing.xml", "events.jsonl"


# The work that is measured. Each loads what it needs, then does its work when it is called.


def bare_loop(folder: Path) -> Callable[[], object]:
    """The floor: the standard library's stream, every element looked at and let go."""
    from xml.etree.ElementTree import iterparse

    def read() -> object:
        outcomes = {"failed": 0, "passed": 0}
        for _, element in iterparse(folder / JUNIT):  # noqa: S314
            if element.tag == "testcase":
                outcomes["failed" if len(element) else "passed"] += 1
                element.clear()
        return outcomes

    return read


def junitparser(folder: Path) -> Callable[[], object]:
    """The library that reporters in Python use: the whole document, and of each test what a reporter asks for."""
    from junitparser import JUnitXml

    def read() -> object:
        found = [
            (case.classname, case.name, case.time, [(one.message, one.type, one.text) for one in case.result])
            for suite in JUnitXml.fromfile(str(folder / JUNIT))
            for case in suite
        ]
        return {"failed": sum(bool(results) for *_, results in found)}

    return read


def junitparser_streamed(folder: Path) -> Callable[[], object]:
    """The library's classes, fed from a stream: the same of each test, then let go."""
    from xml.etree.ElementTree import iterparse

    from junitparser import TestCase

    def read() -> object:
        found = []
        for _, element in iterparse(folder / JUNIT):  # noqa: S314
            if element.tag == "testcase":
                case = TestCase.fromelem(element)
                results = [(one.message, one.type, one.text) for one in case.result]
                found.append((case.classname, case.name, case.time, results))
                element.clear()
        return {"failed": sum(bool(results) for *_, results in found)}

    return read


def realdb_ci(folder: Path) -> Callable[[], object]:
    """Our reader: a case with its phases for each test, outcomes, counts, the verdict."""
    return _foreign(folder / JUNIT)


def realdb_ci_printing(folder: Path) -> Callable[[], object]:
    """The same tests, in a file that is mostly their output."""
    return _foreign(folder / PRINTING)


def bare_json(folder: Path) -> Callable[[], object]:
    """The floor for events: every line taken apart and let go."""

    def read() -> object:
        with (folder / EVENTS).open(encoding="utf-8") as file:
            return sum(json.loads(line)["event"] == "phase" for line in file)

    return read


def events(folder: Path) -> Callable[[], object]:
    """Our reader of our own record: four lines a test, with its three phases."""
    from realdb_ci import results

    return lambda: _summarised(results.read(folder / EVENTS))


def rendered(folder: Path) -> Callable[[], object]:
    """Every report of a step on GitHub, of the tests in the JUnit file; reading it is not measured."""
    return _published(_foreign_results(folder / JUNIT), folder)


def rendered_events(folder: Path) -> Callable[[], object]:
    """The same of a record of our own, with its three phases a test."""
    from realdb_ci import results

    return _published(results.read(folder / EVENTS), folder)


def _published(results: Results, folder: Path) -> Callable[[], object]:
    from rich.console import Console

    from realdb_ci import reports
    from realdb_ci.github import GitHub

    out = folder / "out"
    out.mkdir(exist_ok=True)
    # A step without a token: whatever goes to GitHub through files and the log.
    job = GitHub("ann/desk", "c" * 40, folder, summary=out / "step_summary", output=out / "step_output")
    console = Console(file=io.StringIO(), width=120)
    return lambda: reports.publish(results, out, console, job)


def _foreign(file: Path) -> Callable[[], object]:
    return lambda: _summarised(_foreign_results(file))


def _foreign_results(file: Path) -> Results:
    from realdb_ci import foreign
    from realdb_ci.results import Results

    return Results((foreign.read(file, project="bench", root=file.parent),))


def _summarised(found: object) -> object:
    return {"counts": found.counts, "exit_code": found.exit_code, "duration": found.duration}  # type: ignore[attr-defined]


MEASURED: dict[str, Callable[[Path], Callable[[], object]]] = {
    "iterparse": bare_loop,
    "junitparser": junitparser,
    "junitparser, fed from a stream": junitparser_streamed,
    "realdb-ci": realdb_ci,
    "realdb-ci, 1 kB of output a test": realdb_ci_printing,
    "json.loads a line": bare_json,
    "realdb-ci, events": events,
    "all reports, of JUnit": rendered,
    "all reports, of events": rendered_events,
}


@dataclass(frozen=True)
class Figure:
    """One measurement: seconds on the clock and of processor time, and the process's peak memory in MB."""

    wall: float
    cpu: float
    peak: float


@dataclass(frozen=True)
class Target:
    """What has to hold.

    Attributes:
        words: in words.
        value: what was measured.
        limit: what it may be at most.
    """

    words: str
    value: float
    limit: float

    @property
    def met(self) -> bool:
        """Whether it holds."""
        return self.value <= self.limit


def targets(found: dict[str, list[Figure]], tests: int) -> list[Target]:
    """The targets, for as many tests as were measured; processor time, which other work disturbs less."""
    share = tests / TESTS
    ours, printing, peer = found["realdb-ci"], found["realdb-ci, 1 kB of output a test"], found["junitparser"]
    events_read = found["realdb-ci, events"]
    return [
        Target("JUnit: CPU seconds", _cpu(ours), 1.0 * share),
        Target("all reports: CPU seconds", _cpu(found["all reports, of JUnit"]), 1.0 * share),
        Target("JUnit: memory, of junitparser's", _peak(ours) / _peak(peer), 1.0),
        Target("JUnit: memory with 1 kB of output a test, of that without", _peak(printing) / _peak(ours), 1.2),
        Target("events: CPU time, of json.loads a line", _cpu(events_read) / _cpu(found["json.loads a line"]), 2.0),
    ]


def generate(folder: Path, tests: int) -> None:
    """The files: one set of tests in three forms."""
    for name, printed in ((JUNIT, ""), (PRINTING, f"<system-out>{PRINTED}</system-out>")):
        with (folder / name).open("w", encoding="utf-8") as file:
            file.write('<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests">')
            file.write(
                f'<testsuite name="pytest" errors="0" failures="{tests // FAILS}" tests="{tests}" time="100">'
            )
            for number in range(tests):
                case = (
                    f'<testcase classname="tests.test_{number // 100}.TestDesk" name="test_{number}" time="0.001"'
                )
                failure = "" if number % FAILS else f'<failure message="assert 1 == 2">{TRACE}</failure>'
                file.write(f"{case}>{failure}{printed}</testcase>" if failure or printed else f"{case} />")
            file.write("</testsuite></testsuites>")
    with (folder / EVENTS).open("w", encoding="utf-8") as file:
        for event in _recorded(tests):
            file.write(json.dumps(event) + "\n")


def _recorded(tests: int) -> Iterable[dict[str, object]]:
    """The events of such a run, in the shape that the recorder writes."""
    yield {"event": "run", "at": 1.7e9, "version": 1, "project": "bench"}
    names = [f"tests/test_{number // 100}.py::TestDesk::test_{number}" for number in range(tests)]
    places = [{"nodeid": name, "path": name.partition("::")[0], "line": 7} for name in names]
    yield {"event": "collected", "at": 1.7e9, "count": tests, "cases": places}
    for number, place in enumerate(places):
        at = 1.7e9 + number / 1000
        failure = {"anchor": {"path": place["path"], "line": 9}, "message": "assert 1 == 2", "longrepr": TRACE}
        yield {"event": "start", "at": at, "nodeid": place["nodeid"], "attempt": 1}
        for when in ("setup", "call", "teardown"):
            failed = when == "call" and not number % FAILS
            yield {
                "event": "phase",
                "at": at,
                **place,
                "when": when,
                "attempt": 1,
                "outcome": "failed" if failed else "passed",
                "duration": 0.00012345,
                "start": at,
                "stop": at + 0.0001,
                **(failure if failed else {}),
            }
    yield {"event": "end", "at": 1.7e9 + tests / 1000, "exitstatus": 1, "duration": tests / 1000}


def measure(name: str, folder: Path) -> None:
    """Do one piece of work in this process and print its figure."""
    work = MEASURED[name](folder)
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    figure = [time.perf_counter() - wall, time.process_time() - cpu]
    print(json.dumps([*figure, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def rounds(folder: Path, number: int) -> dict[str, list[Figure]]:
    """All figures; the order of the peers turns from round to round."""
    found: dict[str, list[Figure]] = {name: [] for name in MEASURED}
    for turn in range(number):
        for name in list(MEASURED) if turn % 2 else list(reversed(MEASURED)):
            command = [sys.executable, __file__, "--measure", name, "--folder", str(folder)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found[name].append(Figure(*json.loads(done.stdout)))
    return found


def table(found: dict[str, list[Figure]]) -> str:
    """The medians as a Markdown table."""
    floor = _cpu(found["iterparse"])
    lines = ["| | median s | range s | median CPU s | of iterparse | peak MB |", "|---|---:|---:|---:|---:|---:|"]
    for name, figures in found.items():
        walls = [figure.wall for figure in figures]
        spread = f"{statistics.median(walls):.2f} | {min(walls):.2f} to {max(walls):.2f}"
        lines += [
            f"| {name} | {spread} | {_cpu(figures):.2f} | {_cpu(figures) / floor:.1f} | {_peak(figures):.0f} |"
        ]
    return "\n".join(lines)


def verdicts(checked: Iterable[Target]) -> str:
    """The targets as a Markdown table."""
    lines = ["| target | measured | at most | |", "|---|---:|---:|---|"]
    for one in checked:
        lines += [f"| {one.words} | {one.value:.2f} | {one.limit:.2f} | {'met' if one.met else 'MISSED'} |"]
    return "\n".join(lines)


def _cpu(figures: Iterable[Figure]) -> float:
    return statistics.median(figure.cpu for figure in figures)


def _peak(figures: Iterable[Figure]) -> float:
    return statistics.median(figure.peak for figure in figures)


def main() -> None:
    """Read the command line, measure, print; exit code 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", type=int, default=TESTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", choices=MEASURED, help=argparse.SUPPRESS)
    parser.add_argument("--generate", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.folder)
        return
    if options.generate:
        generate(options.folder, options.tests)
        return
    with tempfile.TemporaryDirectory(prefix="realdb-ci-bench-") as home:
        # Not here: a process's peak memory starts with that of its parent.
        own = [sys.executable, __file__, "--generate", "--folder", home, "--tests", str(options.tests)]
        subprocess.run(own, check=True)
        found = rounds(Path(home), options.rounds)
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores"
    print(f"{options.tests:,} tests, 1 in {FAILS} failed, {options.rounds} rounds, {machine}\n")
    checked = targets(found, options.tests)
    print(f"{table(found)}\n\n{verdicts(checked)}")
    sys.exit(not all(one.met for one in checked))


if __name__ == "__main__":
    main()
