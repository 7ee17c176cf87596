"""The story of the Action: what the runner gives, environment and servers at once, suite, reports, outputs."""

from __future__ import annotations

import functools
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from realdb_ci import __version__, base, results, run, runner, services, signals, suite
from realdb_ci.broker import Broker
from realdb_ci.config import BROKER_VARIABLE, Config, project_name, settings_root
from realdb_ci.engines.contract import RUN_LABEL
from realdb_ci.engines.snapshots import Snapshots
from realdb_ci.errors import EnvironmentProblem, RealdbError, SettingError
from realdb_ci.github import GitHub
from realdb_ci.inputs import Inputs
from realdb_ci.prepare import baselines, border, dependencies, environment, home, images, needs, siblings
from realdb_ci.prepare.cache import CacheService
from realdb_ci.prepare.installing import Order
from realdb_ci.prepare.stores import Kept, Stores
from realdb_ci.prepare.uv import Uv
from realdb_ci.servers import Servers
from realdb_ci.services import urls
from realdb_ci.step import Step
from realdb_ci.timing import again


def main() -> NoReturn:
    """Do the step and end the process with its number."""
    signals.interrupt_once()
    environ = dict(os.environ)
    border.close(os.environ)
    # Tests print what they like, and a pipe on Windows takes only what its code page has.
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    log = runner.Log(obeys=environ.get("GITHUB_ACTIONS") == "true")
    workspace = Path(environ.get("GITHUB_WORKSPACE") or Path.cwd())
    sys.exit(act(Step(environ, log, workspace, time.time())))


def act(step: Step) -> int:
    """Do the step: whatever happens, it ends with one number, and its outputs are written.

    Returns:
        0 green, 1 tests failed or none collected, 2 a bad input, 3 no server or environment, 130 interrupted.
    """
    codes: list[int] = []
    inputs = Inputs()
    try:
        signals.release()
        inputs = Inputs.load(step.environ)
        step.log.mask(inputs.token)
        codes.append(_work(step, inputs))
    except RealdbError as problem:
        step.tell(problem)
        codes.append(problem.exit_code)
    except KeyboardInterrupt:
        step.append("interrupted")
        codes.append(results.INTERRUPTED)
    except OSError as problem:
        step.tell(EnvironmentProblem("The machine refused", why=str(problem), remedy="Free what it lacks."))
        codes.append(EnvironmentProblem.exit_code)
    except Exception as problem:  # noqa: BLE001  # the outputs are written whatever happens
        traceback.print_exc()
        step.tell(
            EnvironmentProblem(
                "realdb-ci failed in a way it did not foresee",
                why=repr(problem),
                remedy="Please report this with the log of the step.",
            )
        )
        codes.append(EnvironmentProblem.exit_code)
    try:
        return step.finish(codes, inputs)
    except KeyboardInterrupt:  # while GitHub was asked; now there are seconds left
        step.append("interrupted")
        return step.finish([*codes, results.INTERRUPTED], inputs)


@dataclass(frozen=True)
class Job:
    """What the step is to do, read and checked before anything is started.

    Attributes:
        inputs: what the workflow told.
        project: the project's folder.
        config: the project's settings.
        visible: the variables uv and the suite may see.
        events: the events file.
        services: the services to start ahead.
        extras: our extras that the tests need.
    """

    inputs: Inputs
    project: Path
    config: Config
    visible: Mapping[str, str]
    events: Path
    services: tuple[str, ...]
    extras: tuple[str, ...]

    @classmethod
    def of(cls, step: Step, inputs: Inputs) -> Job:
        """Read the project's settings and sources.

        Raises:
            SettingError: an input or a setting cannot be used.
        """
        project, seen = inputs.project(step.workspace), border.visible(step.environ, inputs.token)
        flags = {"engine": inputs.engine or None, "services": inputs.services}
        config = Config.load(settings_root(project), seen, flags)
        _check_services(inputs.services)
        for wish in services.wishes(config).values():
            for secret in urls.secrets_of(wish.url or ""):
                step.log.mask(secret)
        out = inputs.out(step.workspace)
        events = run.fresh(out)
        step.out = out
        guessed, extras = needs.of(needs.words(project))
        wanted = dict.fromkeys((*services.named(config.services), *guessed))
        if config.redis == "fake":
            wanted.pop("redis", None)
        drivers = {services.get(name).extra for name in wanted}
        seen |= siblings.variables(seen, siblings.THE_SUITES)
        return cls(inputs, project, config, seen, events, tuple(wanted), tuple(sorted({*extras, *drivers})))


def _work(step: Step, inputs: Inputs) -> int:
    """From the inputs to the end of the suite; returns our exit code for it."""
    job = Job.of(step, inputs)
    # testcontainers reads them when it is imported, and in this process that comes later.
    os.environ.update(siblings.variables(os.environ, siblings.OURS))
    name = project_name(job.project)
    step.log.line(f"realdb-ci {__version__}: {name}, {', '.join(job.services) or 'no service in sight'}")
    plan = dependencies.plan(job.project, step.workspace, inputs.install)
    github = step.github(inputs)
    stores = _stores(step, job, github)
    # Before the suite runs: what it makes of the checkout's settings, git would obey.
    committed = baselines.committed(step.workspace) if github is not None and github.is_of_branch else 0.0
    pulls = images.Pulls(step.log.line, step.span)
    kept = None
    # Without a cache service the folder goes with the container, and making one would be time lost.
    if job.config.snapshots and stores.warm.service is not None:
        kept = Snapshots(stores.warm.folder, name, stores.warm.restore)
    wishes = services.wishes(job.config)
    with (
        step.log.deaf(),
        Servers(pulls.notify, images.PATIENCE, kept, stores.stock) as servers,
        Broker(servers, lambda event, fields: run.append(job.events, event, **fields)) as broker,
    ):
        with step.log.group("Environment and databases"):
            step.log.line(f"What this run makes in Docker carries the label {RUN_LABEL}={servers.id}")
            for service in job.services:
                servers.begin(wishes[service])
            made = _environment(step, job, plan, stores)
        child = _suite(job, made, broker, stores.split_flags(inputs.shard, job.project))
        pulls.suite_runs()
        with siblings.reachable():
            with run.recorded_safely(job.events):
                ended = suite.run(child, step.log.write, servers.end_if_killed)
            code = run.exit_code(ended, job.project, job.events)
            timed = functools.partial(again.timed, child, write=step.log.write, started=servers.end_if_killed)
            known = base.known(name, github, stores, step.log.line)
            run.compare(job.events, replace(known, whole=inputs.shard is None), timed)
    with step.log.deaf():
        found = results.read(job.events)
        measured = {case.nodeid: case.duration for case in found.cases if case.finished}
        ready = _ready(found)
        told = stores.warm.told(ready)
        if told:
            step.log.line(f"Snapshots: {told}")
            step.span("cache snapshots", told, stores.warm.began, stores.warm.began + stores.warm.seconds)
        stores.keep(measured, ready, base.to_keep(found, github, committed))
    return code


def _ready(found: results.Results) -> float:
    """Seconds that PostgreSQL took to start, and its schema after it: what a snapshot is to save."""
    servers = (one.seconds for suite in found.suites for one in suite.servers if one.service == "postgres")
    schemas = (one.stop - one.start for suite in found.suites for one in suite.spans if one.name == "schema")
    return sum(servers) + sum(schemas)


def _check_services(told: Sequence[str]) -> None:
    """Raise SettingError where two lines of the input speak of one service."""
    for name, count in Counter(services.named([line])[0] for line in told).items():
        if count > 1:
            raise SettingError(
                f"The input 'services' names {name} {count} times",
                why="a job has one server of each kind",
                remedy="Leave one line; the jobs of a matrix can test several versions.",
            )


def _stores(step: Step, job: Job, github: GitHub | None) -> Stores:
    place = home.of(step.environ)
    kept = Kept(
        project_name(job.project),
        step.environ.get("GITHUB_RUN_ID", "0"),
        place,
        Uv(place, job.visible, step.log.write),
        lambda text: step.log.problem("warning", "realdb-ci", text),
        step.log.line,
        step.span,
        step.append,
    )
    if github is not None:
        part = f"{github.key} {job.inputs.shard or ''}"
        kept = replace(kept, job=part, branch=github.branch, attempt=github.attempt)
    fallback = base.fallback(step.environ, github, step.log.line)
    return Stores.of(CacheService.of(step.environ), job.inputs.cache, kept, fallback)


def _environment(step: Step, job: Job, plan: dependencies.Plan, stores: Stores) -> environment.Environment:
    """The project's environment, as an earlier run finished it where one of its key is kept."""
    began = time.time()
    maker, packages = environment.Maker(stores.kept.uv), stores.packages
    splits = job.inputs.shard is not None
    order = Order(job.project, plan, job.inputs.python_version, job.extras, splits)
    made = maker.empty(order)
    if not packages.restore(order, made, maker.wheel):
        maker.fill(order, made)
        packages.finished(made)
    restored = began + packages.seconds
    stores.install = time.time() - restored
    if packages.service is not None:
        told = packages.told(stores.install)
        step.log.line(f"Package cache: {told}")
        stores.kept.span("cache packages", told, began, restored)
    stores.kept.span("environment", f"Python {made.version}, {made.source}", restored, time.time())
    return made


def _suite(job: Job, made: environment.Environment, broker: Broker, split_flags: Sequence[str]) -> suite.Suite:
    flags = suite.flags(job.events, job.inputs.services, job.inputs.engine)
    activated = made.variables()
    activated["PATH"] = f"{activated['PATH']}{os.pathsep}{job.visible.get('PATH', os.defpath)}"
    return suite.Suite(
        job.project,
        job.inputs.pytest_args,
        [*flags, *split_flags],
        {BROKER_VARIABLE: broker.address, **activated},
        inherited=job.visible,
        interpreter=made.interpreter,
    )
