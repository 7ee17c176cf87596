"""Doctor: for each service, what would serve it here, and why not the others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from realdb_ci import engines, services
from realdb_ci.config import Config, check_folder, settings_root
from realdb_ci.engines.contract import Offer
from realdb_ci.errors import EnvironmentProblem, RealdbError, Refusal

if TYPE_CHECKING:
    from rich.console import Console

    from realdb_ci.services.contract import Wish


def examine(project: Path, flags: Mapping[str, Any], environ: Mapping[str, str], console: Console) -> int:
    """Print a table of engines for each service.

    Returns:
        0 where every service can be had, else 3.

    Raises:
        SettingError: there is no such project, or a setting of its cannot be used.
    """
    check_folder(project)
    config = Config.load(settings_root(project.resolve()), environ, flags)
    wishes = services.wishes(config)
    if config.redis == "fake":
        del wishes["redis"]
        console.print('Redis: fakeredis, in the test process; set redis = "real" for a server', markup=False)
    served = [_show(name, wish, console) for name, wish in wishes.items()]
    return 0 if all(served) else EnvironmentProblem.exit_code


def _show(name: str, wish: Wish, console: Console) -> bool:
    service = services.get(name)
    title = f"{service.title} ({wish.image})"
    table = Table(title=title, title_justify="left", width=console.width)
    table.add_column("engine", no_wrap=True)
    table.add_column("serves", no_wrap=True)
    table.add_column("what was found", ratio=1)
    try:
        service.require_driver()
        answers = engines.offers(service, wish)
    except RealdbError as problem:
        answers = [("driver", problem)]
    chosen = False
    for engine, answer in answers:
        if isinstance(answer, Offer):
            style, serves = ("", "could") if chosen else ("bold green", "would")
            table.add_row(engine, serves, Text(answer.detail, overflow="fold"), style=style)
            chosen = True
        else:
            style = "dim" if isinstance(answer, Refusal) else "red"
            table.add_row(engine, "no", Text(_advice(answer), overflow="fold"), style=style)
    console.print(table)
    return chosen


def _advice(problem: RealdbError) -> str:
    return "\n".join(filter(None, (f"{problem.what}: {problem.why}", problem.remedy)))
