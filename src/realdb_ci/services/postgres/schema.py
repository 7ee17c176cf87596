"""Schema: what a project's database holds before any test: its tables, made in one of three ways, and its seed."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from realdb_ci import __version__
from realdb_ci.errors import SettingError
from realdb_ci.services import code
from realdb_ci.services.contract import Server
from realdb_ci.services.postgres import database

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData

    from realdb_ci.config import Config

_LIBRARIES = re.compile(r"[/\\](site-packages|dist-packages|realdb_ci)[/\\]|^<")


class Source(Protocol):
    """One way to come by tables."""

    def fingerprint(self) -> str:
        """Another text whenever it would make another schema."""

    def make(self, url: str) -> None:
        """Make the tables in the empty database at ``url``.

        Raises:
            sqlalchemy.exc.DBAPIError: the server cannot hold them.
            SettingError: the project's own part in it fails.
        """


@dataclass(frozen=True)
class Schema:
    """What every database of the project starts with.

    Attributes:
        source: where its tables come from, None for none.
        seed: called with a session once the tables are there, or None.
        extensions: created before the tables.
    """

    source: Source | None
    seed: Callable[..., Any] | None
    extensions: tuple[str, ...]

    @classmethod
    def of(cls, config: Config, root: Path) -> Schema:
        """What the settings name.

        Args:
            config: ``schema``, ``seed`` and ``extensions`` count.
            root: the folder that a path to an ``alembic.ini`` starts from.

        Raises:
            SettingError: a name does not import, or what it names cannot make a schema.
        """
        seed = _called("seed", config.seed) if config.seed else None
        return cls(_source(config.schema, root), seed, config.extensions)

    def fingerprint(self, server: Server) -> str:
        """The same for two processes, and two runs, that would build the same on this server."""
        parts = (
            __version__,
            server.version,
            repr(self.extensions),
            self.source.fingerprint() if self.source else "",
            f"{getattr(self.seed, '__qualname__', '')} {code.digest(self.seed)}" if self.seed else "",
        )
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def build(self, url: str, server: Server) -> None:
        """Make the tables and the seed in the empty database at ``url``.

        Raises:
            ServerError: the server cannot hold the schema; the message says what this server lacks.
            SettingError: the project's migrations, function or seed failed.
        """
        from sqlalchemy.exc import DBAPIError

        try:
            if self.source is not None:
                self.source.make(url)
            if self.seed is not None:
                _sow(self.seed, url)
        except DBAPIError as problem:
            raise database.lacking(server, url, str(problem.orig)) from problem


@dataclass(frozen=True)
class Tables:
    """The tables of a SQLAlchemy MetaData, SQLModel's too."""

    metadata: MetaData

    def fingerprint(self) -> str:
        """The statements that would create them."""
        from sqlalchemy import create_mock_engine

        statements: list[str] = []

        def note(statement: Any, *_: Any, **__: Any) -> None:
            statements.append(str(statement.compile(dialect=engine.dialect)))

        engine: Any = create_mock_engine(f"{database.DRIVER}://", note)
        self.metadata.create_all(engine, checkfirst=False)
        return "\n".join(statements)

    def make(self, url: str) -> None:
        """Create them all."""
        with database.disposable(url) as engine:
            self.metadata.create_all(engine)


@dataclass(frozen=True)
class Function:
    """A function of the project's that makes the tables through a SQLAlchemy connection."""

    name: str
    call: Callable[[Connection], Any]

    def fingerprint(self) -> str:
        """Its name, its code, and the project's that it imports."""
        return f"{self.name} {code.digest(self.call)}"

    def make(self, url: str) -> None:
        """Call it, and commit."""
        from sqlalchemy.exc import DBAPIError

        with database.disposable(url) as engine, engine.begin() as connection:
            try:
                self.call(connection)
            except DBAPIError:
                raise
            except Exception as problem:
                raise own_code_failed(f"schema function {self.name!r}", problem) from problem


def _source(name: str, root: Path) -> Source | None:
    if name.endswith(".ini"):
        from realdb_ci.services.postgres.migrations import Migrations

        return Migrations(root / name)
    if not name:
        sqlmodel = sys.modules.get("sqlmodel")
        return Tables(sqlmodel.SQLModel.metadata) if sqlmodel else None
    from sqlalchemy import MetaData

    found = _imported("schema", name)
    tables = getattr(found, "metadata", found)
    if isinstance(tables, MetaData):
        return Tables(tables)
    if callable(found) and not inspect.isclass(found):
        return Function(name, found)
    raise SettingError(
        f"The schema {name!r} is neither a SQLAlchemy MetaData nor a function",
        why=f"it is {type(found).__name__}",
        remedy='Name a MetaData, as in schema = "shop.models:Base.metadata", a function that takes a connection, '
        "or an alembic.ini.",
    )


def _imported(setting: str, name: str) -> Any:
    module_name, _, attributes = name.partition(":")
    try:
        found = importlib.import_module(module_name)
        for attribute in filter(None, attributes.split(".")):
            found = getattr(found, attribute)
    except (ImportError, AttributeError, ValueError) as problem:
        raise SettingError(
            f"The {setting} {name!r} cannot be imported",
            why=f"{type(problem).__name__}: {problem}",
            remedy=f"{setting} is package.module:name, importable from the project's folder.",
        ) from problem
    return found


def _called(setting: str, name: str) -> Callable[..., Any]:
    found = _imported(setting, name)
    if not callable(found):
        raise SettingError(
            f"The {setting} {name!r} is not a function",
            why=f"it is {type(found).__name__}",
            remedy=f'Name a function that takes a session, as in {setting} = "shop.seeds:fill".',
        )
    return found  # type: ignore[no-any-return]


def _sow(seed: Callable[..., Any], url: str) -> None:
    from sqlalchemy.exc import DBAPIError
    from sqlmodel import Session

    with database.disposable(url) as engine, Session(engine) as session:
        try:
            seed(session)
        except DBAPIError:
            raise
        except Exception as problem:
            raise own_code_failed(f"seed {seed.__qualname__!r}", problem) from problem
        session.commit()


def own_code_failed(what: str, problem: Exception) -> SettingError:
    """The error for a part of the project's that raised, with the line of the project's where it did."""
    frames = traceback.extract_tb(problem.__traceback__)
    places = [f" ({one.filename}:{one.lineno})" for one in frames if not _LIBRARIES.search(one.filename)]
    return SettingError(
        f"The {what} failed",
        why=f"{type(problem).__name__}: {problem}{places[-1] if places else ''}",
        remedy="It has to work on an empty database: mend it, or the setting that names it.",
    )
