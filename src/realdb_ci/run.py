"""The story of ``realdb-ci run``: settings, servers, suites, results, reports, one number."""

from __future__ import annotations

import functools
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realdb_ci import github, reports, results, services, suite
from realdb_ci.broker import Broker
from realdb_ci.config import BROKER_VARIABLE, Config, check_folder, project_name, repository_root, settings_root
from realdb_ci.engines.snapshots import Snapshots
from realdb_ci.errors import SettingError
from realdb_ci.progress import BootProgress
from realdb_ci.servers import Servers
from realdb_ci.timing import again, baseline, recorded
from realdb_ci.timing.history import Base

if TYPE_CHECKING:
    from rich.console import Console

EVENTS = "events.jsonl"
# With these pytest comes to the end of a session: all but 4, a usage error, which it finds before there is one.
PYTEST_CODES = (0, 1, 2, 3, 5)
# How pytest says why it does not begin: of an argument or setting, and of a conftest.py that cannot be imported.
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_REASON = re.compile(r"^(?:[\w. -]+: error: |ERROR: (?!usage: )|E   )(.+)", re.MULTILINE)


@dataclass(frozen=True)
class Order:
    """What ``realdb-ci run`` was told.

    Attributes:
        projects: the projects' folders, in the order to run them.
        flags: settings from the command line, under Config's names.
        out: the folder for the events file and the reports.
        pytest_arguments: handed to each project's pytest.
        environ: the environment, read at the door.
        baseline: patterns of events files of earlier runs, to compare with.
    """

    projects: Sequence[Path]
    flags: Mapping[str, Any]
    out: Path
    pytest_arguments: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    baseline: Sequence[str] = ()


@dataclass(frozen=True)
class Plan:
    """One project's settings, and what it is to be held against."""

    config: Config
    base: Base


def run(order: Order, console: Console) -> int:
    """Run every project's suite on real databases and report.

    Returns:
        0 green, 1 tests failed or none collected, 2 a bad setting, 3 no server or environment, 130 interrupted.

    Raises:
        SettingError: found before anything was started.
    """
    configs = {project: _config(project, order) for project in order.projects}
    # Read before the output folder is emptied: a run may be compared with the one before it.
    before = recorded.read(order.baseline)
    plans = {
        project: Plan(config, recorded.base(before, project_name(project.resolve())))
        for project, config in configs.items()
    }
    events = fresh(order.out)
    codes: list[int] = []
    try:
        _run_suites(order, plans, events, console, codes.append)
    except KeyboardInterrupt:
        append(events, "interrupted")
        codes.append(results.INTERRUPTED)
    found = results.read(events)
    root = repository_root(order.projects[0].resolve())
    reports.publish(found, order.out, console, github.read(order.environ, root))
    return results.gravest([*codes, found.exit_code])


def _config(project: Path, order: Order) -> Config:
    check_folder(project)
    config = Config.load(settings_root(project.resolve()), order.environ, order.flags)
    services.wishes(config)  # refuses what it cannot read, before anything is started
    return config


def fresh(out: Path) -> Path:
    """The output folder without an earlier run's events and reports: a run that is killed makes none of its own."""
    events = out / EVENTS
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in (EVENTS, *reports.files()):
            (out / name).unlink(missing_ok=True)
    except OSError as problem:
        raise SettingError(
            f"The output folder {str(out)!r} cannot be used",
            why=str(problem),
            remedy="Choose another for the reports.",
        ) from None
    return events.resolve()


def _run_suites(
    order: Order, plans: Mapping[Path, Plan], events: Path, console: Console, ended: Callable[[int], None]
) -> None:
    """Run the suites one after the other on servers they share; tell of each one's exit code as it ends."""
    progress = BootProgress(console)
    try:
        with (
            Servers(progress.notify, snapshots=_snapshots(plans)) as servers,
            Broker(servers, lambda event, fields: append(events, event, **fields)) as broker,
        ):
            for project, plan in plans.items():
                wishes = services.wishes(plan.config)
                for name in services.named(order.flags.get("services", ())):
                    servers.begin(wishes[name])
                child = _suite(project, order, events, broker, console)
                with recorded_safely(events):
                    end = suite.run(child, progress.write, servers.end_if_killed)
                ended(exit_code(end, project, events))
                timed = functools.partial(again.timed, child, write=progress.write, started=servers.end_if_killed)
                compare(events, plan.base, timed)
    finally:
        progress.close()


def _snapshots(plans: Mapping[Path, Plan]) -> Snapshots | None:
    configs = [plan.config for plan in plans.values()]
    wanted = all(config.snapshots for config in configs)
    return Snapshots.of(wanted, configs[0].cache, *(settings_root(project.resolve()) for project in plans))


def _suite(project: Path, order: Order, events: Path, broker: Broker, console: Console) -> suite.Suite:
    told = order.flags
    flags = suite.flags(events, told.get("services", ()), told.get("engine"), strict=bool(told.get("strict")))
    inherited = suite.inheritable(order.environ)
    broker_address = {BROKER_VARIABLE: broker.address}
    return suite.Suite(
        project, order.pytest_arguments, flags, broker_address, inherited, colour=console.is_terminal
    )


def exit_code(ended: suite.Ended, project: Path, events: Path) -> int:
    """Our exit code for a child's; one that did not end as pytest ends is noted in the events."""
    if ended.returncode == results.USAGE_ERROR:
        # A setting that our plugin refused has been told already.
        if not any(suite.problems for suite in results.read(events).suites[-1:]):
            append(events, "problem", **_refused(ended.last).to_dict())
    elif ended.returncode not in PYTEST_CODES:
        append(events, "died", returncode=ended.returncode, project=project_name(project.resolve()))
    return results.FROM_PYTEST.get(ended.returncode, 1)


def _refused(output: str) -> SettingError:
    reasons = _REASON.findall(_COLOURS.sub("", output))
    return SettingError(
        "pytest refused its arguments, its settings or a conftest.py",
        why=reasons[-1] if reasons else "its output above says which",
        remedy="Correct what it names.",
    )


def compare(
    events: Path,
    base: Base,
    timed: Callable[[Sequence[str]], Mapping[str, float]],
) -> None:
    """Hold the suite that ended last against its history, and note what that tells.

    Args:
        events: the events file.
        base: what to hold it against.
        timed: runs tests once more, and tells how long those took that passed.
    """
    told = results.read(events).suites[-1:] if base.history.runs else ()
    # A suite that never began leaves the one before it in this place.
    found = baseline.compare(told[0], base) if told and told[0].finished else None
    if found is None:
        return
    wanted = baseline.suspects(found)
    if wanted:
        began = time.time()
        with recorded_safely(events):
            found = baseline.settled(found, timed(wanted))
        append(events, "span", name="timed again", detail=f"{len(wanted)} tests", start=began, stop=time.time())
    append(events, "comparison", **asdict(found))


@contextmanager
def recorded_safely(events: Path) -> Iterator[None]:
    """Around a suite: its record is put back should the tests clean the folder away, as ``git clean`` does."""
    events.touch()
    with events.open("rb") as kept:
        try:
            yield
        finally:
            there = events.exists()
            if not there or not os.path.samestat(os.fstat(kept.fileno()), events.stat()):
                later = events.read_bytes() if there else b""
                events.parent.mkdir(parents=True, exist_ok=True)
                events.write_bytes(kept.read() + later)


def append(events: Path, event: str, **fields: Any) -> None:
    """Add one event of ours to the events file."""
    line = json.dumps({"event": event, "at": time.time(), **fields})
    with events.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
