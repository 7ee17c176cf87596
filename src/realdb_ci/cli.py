"""The command line's door: words in, one call, a number out."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from realdb_ci import __version__, signals
from realdb_ci.config import ENGINE_CHOICES, texts
from realdb_ci.errors import RealdbError


class _SplitAtDashes(click.Command):
    """A command that keeps what stands behind ``--`` apart, for pytest."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Hand everything before the first ``--`` to click."""
        ours, theirs = args, []
        if "--" in args:
            cut = args.index("--")
            ours, theirs = args[:cut], args[cut + 1 :]
        ctx.obj = tuple(theirs)
        return super().parse_args(ctx, ours)


_SERVICES = click.option(
    "--services",
    multiple=True,
    metavar="SERVICE[,SERVICE...]",
    help="Images or URLs: postgres:17-alpine, mongo:7.0, postgres=<url>. Default: what the tests ask for.",
)
_ENGINE = click.option("--engine", type=click.Choice(ENGINE_CHOICES), help="How to get servers.  [default: auto]")
_BASELINE = click.option(
    "--baseline",
    multiple=True,
    metavar="PATTERN",
    help="Events files of earlier runs to compare with: 'old/**/events*.jsonl'; repeatable.",
)
_STRICT = click.option(
    "--strict", is_flag=True, default=None, help="Never fall through to another engine or major version."
)
_OUT = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".realdb-ci"),
    show_default=True,
    help="Folder for the reports and for events.jsonl, the record of a run.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="realdb-ci")
def cli() -> None:
    """Run pytest suites against the database engines they are deployed on."""


@cli.command(cls=_SplitAtDashes, options_metavar="[OPTIONS] [-- PYTEST ARGS]")
@click.argument("projects", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PROJECT...")
@_SERVICES
@_ENGINE
@_STRICT
@_OUT
@_BASELINE
@click.pass_obj
def run(
    pytest_arguments: tuple[str, ...],
    /,
    projects: tuple[Path, ...],
    out: Path,
    baseline: tuple[str, ...],
    **flags: Any,
) -> int:
    """Run each project's tests on real databases and report.

    Exit code: 0 green, 1 tests failed or none collected, 2 a bad setting, 3 a server or the environment
    could not be made, 130 interrupted.
    """
    from realdb_ci.run import Order
    from realdb_ci.run import run as run_order

    order = Order(projects, _split(flags), out, pytest_arguments, dict(os.environ), baseline)
    return run_order(order, Console())


@cli.command()
@click.argument("files", nargs=-1, required=True, metavar="FILES...")
@_OUT
@_BASELINE
def report(files: tuple[str, ...], out: Path, baseline: tuple[str, ...]) -> int:
    """Report runs that were recorded before: events.jsonl files, JUnit XML files, folders of them, patterns.

    Events files of one project are parts of one run, such as shards: a test that several of them ran is one test.
    Quote a pattern ('shards/**/*.xml') to have it searched here; folders are searched with all that is in them.

    Exit code: 0 green, 1 tests failed, none found or a file could not be read, 2 no such file; and 3 or 130 where
    a recorded run ended with that.
    """
    from realdb_ci.report import Order
    from realdb_ci.report import report as report_order

    return report_order(Order(files, out, dict(os.environ), baseline), Console())


@cli.command()
@click.argument("project", type=click.Path(path_type=Path), default=Path())
@_SERVICES
@_ENGINE
@_STRICT
def doctor(project: Path, **flags: Any) -> int:
    """Say what would serve each service here, and why not the others."""
    from realdb_ci.doctor import examine

    return examine(project, _split(flags), dict(os.environ), Console())


def main() -> None:
    """Run the command line and end the process with its number."""
    signals.interrupt_once()
    try:
        code = cli.main(standalone_mode=False)
    except RealdbError as problem:
        Console(stderr=True).print(f"realdb-ci: {problem}", style="red", markup=False, highlight=False)
        code = problem.exit_code
    except click.ClickException as problem:
        problem.show()
        code = problem.exit_code
    except (KeyboardInterrupt, click.Abort):
        code = 130
    sys.exit(code)


def _split(flags: dict[str, Any]) -> dict[str, Any]:
    """The flags with ``--services a,b`` taken apart."""
    return {**flags, "services": texts(flags["services"])}
