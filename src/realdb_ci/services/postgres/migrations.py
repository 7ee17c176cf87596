"""Migrations: Alembic's, run once into a template, whatever the project's env.py does with its configuration."""

from __future__ import annotations

import configparser
import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realdb_ci.errors import EnvironmentProblem, SettingError
from realdb_ci.services import code
from realdb_ci.services.postgres import database
from realdb_ci.services.postgres.schema import raise_as_own

if TYPE_CHECKING:
    from alembic.config import Config

REVISION = "SELECT to_regclass('alembic_version') IS NOT NULL"


@dataclass(frozen=True)
class Migrations:
    """An ``alembic.ini`` and the scripts it names.

    Attributes:
        ini: its path.
    """

    ini: Path

    def fingerprint(self) -> str:
        """The ini file, every file of the folders of migrations, and what the scripts import of the project.

        Raises:
            EnvironmentProblem: Alembic is not installed.
            SettingError: Alembic finds no such folders.
        """
        folders = self._folders()
        return hashlib.sha256(self.ini.read_bytes()).hexdigest() + code.scripts_digest(folders)

    def make(self, url: str) -> None:
        """Upgrade the empty database at ``url`` to all heads.

        Raises:
            EnvironmentProblem: Alembic is not installed.
            SettingError: a migration failed, or env.py migrated another database than it was told to.
        """
        from alembic import command
        from alembic.util import CommandError
        from sqlalchemy import make_url

        config = self._config()
        given = config.get_main_option("sqlalchemy.url") or ""
        # An async env.py runs on the driver that the project's own URL names.
        driver = make_url(given).drivername if "+" in given.partition("://")[0] else database.DRIVER
        ours = make_url(url).set(drivername=driver).render_as_string(hide_password=False)
        config.set_main_option("sqlalchemy.url", ours.replace("%", "%%"))
        # Alembic's own scripts set up logging from the file, which would silence the loggers of the project.
        config.config_file_name = None
        try:
            _in_a_thread(lambda: command.upgrade(config, "heads"))
        except CommandError as problem:
            raise self._refused(problem) from problem
        except (Exception, SystemExit) as problem:  # noqa: BLE001  # raised as what it is
            raise_as_own(f"migration with {self.ini.name}", problem)
        self._check(url)

    def _folders(self) -> list[Path]:
        """That of env.py, and those that ``version_locations`` adds; either may be a package's."""
        config = self._config()
        from alembic.script import ScriptDirectory
        from alembic.util import CommandError, coerce_resource_to_filename

        try:
            scripts = ScriptDirectory.from_config(config)
            return [Path(scripts.dir), *map(coerce_resource_to_filename, scripts.version_locations)]
        except (CommandError, ImportError) as problem:
            raise self._refused(problem) from problem

    def _refused(self, problem: Exception) -> SettingError:
        return SettingError(
            f"Alembic refuses to migrate with {self.ini}",
            why=str(problem),
            remedy="`alembic upgrade heads` has to work on an empty database.",
        )

    def _config(self) -> Config:
        try:
            from alembic.config import Config
        except ImportError as problem:
            raise EnvironmentProblem(
                f"The schema {self.ini.name} needs Alembic", why=str(problem), remedy="pip install alembic"
            ) from None
        if not self.ini.is_file():
            raise SettingError(
                f"The schema {str(self.ini)!r} is not a file",
                why="a schema that ends in .ini is the path of Alembic's configuration, from the project's folder",
                remedy='Write its path, as in schema = "alembic.ini".',
            )
        # Since version 1.16 a part of it may stand in pyproject.toml, which alembic itself takes from beside it.
        toml = self.ini.with_name("pyproject.toml")
        try:
            if hasattr(Config, "get_alembic_option"):
                config = Config(self.ini, toml_file=toml)
                folder = config.get_alembic_option("script_location") or ""
            else:
                config = Config(self.ini)
                folder = config.get_main_option("script_location") or ""
        except configparser.Error as problem:
            raise SettingError(
                f"{self.ini} is no configuration of Alembic's",
                why=" ".join(str(problem).split()),
                remedy="Name the file that `alembic -c <file> upgrade heads` works with.",
            ) from problem
        if not folder:
            raise SettingError(
                f"{self.ini} names no migrations",
                why="it has no script_location, nor has [tool.alembic] in pyproject.toml",
                remedy="Add script_location = <folder of env.py> to its section [alembic].",
            )
        # Relative paths count from where alembic is called: the ini's folder, by custom.
        if ":" not in folder:
            config.set_main_option("script_location", str(self.ini.parent / folder).replace("%", "%%"))
        return config

    def _check(self, url: str) -> None:
        with database.disposable(url) as engine, engine.connect() as connection:
            if connection.exec_driver_sql(REVISION).scalar():
                return
        raise SettingError(
            "The migrations did not reach the test database",
            why="env.py takes its URL from somewhere else than Alembic's configuration, and migrated that database",
            remedy='Have env.py read config.get_main_option("sqlalchemy.url") before it looks anywhere else.',
        )


def _in_a_thread(call: Callable[[], Any]) -> None:
    """Call it in a thread of its own, where no event loop runs: an async env.py starts one."""
    problems: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except (Exception, SystemExit) as problem:  # noqa: BLE001  # raised again by whoever waits
            problems.append(problem)

    thread = threading.Thread(target=run, name="realdb-ci-migrations")
    thread.start()
    thread.join()
    if problems:
        raise problems[0]
