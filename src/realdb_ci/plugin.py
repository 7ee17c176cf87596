"""The pytest plugin's door: options and environment in, the parts registered."""

from __future__ import annotations

import importlib
import os
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from realdb_ci import doubles, services, signals
from realdb_ci.anchors import Anchors
from realdb_ci.config import BROKER_VARIABLE, ENGINE_CHOICES, Config, project_name, repository_root, settings_root
from realdb_ci.errors import SettingError
from realdb_ci.evidence import Evidence
from realdb_ci.hub import Hub
from realdb_ci.only import Only, without_reports
from realdb_ci.services.access import ACCESS
from realdb_ci.share import Share
from realdb_ci.timing.watch import Watch

if TYPE_CHECKING:
    from realdb_ci.recorder import Recorder


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare our options; each overrides the setting of the same name."""
    group = parser.getgroup("realdb-ci", "real databases (realdb-ci)")
    group.addoption(
        "--realdb-engine",
        choices=ENGINE_CHOICES,
        help="how to get servers: auto (default), url, docker, embedded",
    )
    group.addoption(
        "--realdb-service",
        action="append",
        default=[],
        metavar="SERVICE",
        help="an image or a URL for a service: postgres:17-alpine, mongodb=mongodb://...; repeatable",
    )
    group.addoption(
        "--realdb-schema",
        metavar="SCHEMA",
        help="the tables: module:metadata, module:function or alembic.ini; default SQLModel.metadata",
    )
    group.addoption(
        "--realdb-strict",
        action="store_const",
        const=True,
        help="never fall through to another engine or another major version",
    )
    group.addoption(
        "--realdb-keep",
        action="store_const",
        const=True,
        help="keep the database of a failed test marked realdb(commit=True), and say how to look into it",
    )
    group.addoption("--realdb-events", metavar="FILE", help="append what happens to this file, as JSON lines")
    group.addoption("--realdb-only", metavar="FILE", help="run only the tests of this JSON list, without reports")


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    """Tests that are only timed again measure no coverage: theirs would take the place of the suite's."""
    if early_config.known_args_namespace.realdb_only:
        early_config.known_args_namespace.cov_source = []
    yield


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, int, int]:
    """Before any plugin reads where to leave its report."""
    if config.option.realdb_only:
        without_reports(config.option)
    return (yield)


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings and register fixtures, hub and recorder."""
    signals.break_interrupts()
    option = config.option
    flags = {
        "engine": option.realdb_engine,
        "services": tuple(option.realdb_service),
        "schema": option.realdb_schema,
        "strict": option.realdb_strict,
        "keep": option.realdb_keep,
    }
    worker = getattr(config, "workerinput", None)
    root = settings_root(config.rootpath)
    try:
        settings = Config.load(root, os.environ, flags)
        recorder = _record(config, is_worker=worker is not None)
        owner = worker["realdb_broker"] if worker else os.environ.get(BROKER_VARIABLE, "")
        hub = Hub(settings, root, config, owner, recorder)
    except SettingError as problem:
        raise pytest.UsageError(str(problem)) from None
    if getattr(option, "splits", None):
        config.pluginmanager.register(Share(), "realdb_ci-share")
    if option.realdb_only:
        config.pluginmanager.register(Only(Path(option.realdb_only)), "realdb_ci-only")
    config.stash[ACCESS] = hub
    config.addinivalue_line(
        "markers",
        "realdb(commit=False, max_queries=None): commit=True gives the test real commits in a database of its own; "
        "max_queries=20 fails it when it sends more statements than that",
    )
    config.pluginmanager.register(hub, "realdb_ci-hub")
    config.pluginmanager.register(Evidence(hub), "realdb_ci-evidence")
    config.pluginmanager.register(Watch(hub, Anchors(repository_root(config.rootpath)).path), "realdb_ci-watch")
    for module in _fixture_modules(settings):
        config.pluginmanager.register(module)


def _fixture_modules(config: Config) -> Iterable[Any]:
    """The modules that hold the fixtures, one a service and one a double.

    Redis is either: the fixtures of its service and of its double have the same names.
    """
    left_out = doubles if config.redis == "real" else services
    for room in (services, doubles):
        for name in room.MODULES:
            if (room, name) != (left_out, "redis"):
                module = importlib.import_module(f"{room.__name__}.{name}")
                yield importlib.import_module(getattr(module, "FIXTURES", module.__name__))


def _record(config: pytest.Config, *, is_worker: bool) -> Recorder | None:
    """Register what records; a worker finds the failing lines, and its controller writes the file."""
    if not config.option.realdb_events:
        return None
    root = repository_root(config.rootpath)
    config.pluginmanager.register(Anchors(root), "realdb_ci-anchors")
    if is_worker:
        return None
    from realdb_ci.recorder import Recorder

    events = config.invocation_params.dir / config.option.realdb_events
    recorder = Recorder(events, repo_root=root, project=project_name(config.rootpath))
    config.pluginmanager.register(recorder, "realdb_ci-recorder")
    return recorder
