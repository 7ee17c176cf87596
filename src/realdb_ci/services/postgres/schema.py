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
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from realdb_ci import __version__
from realdb_ci.errors import SettingError
from realdb_ci.services import code
from realdb_ci.services.contract import Server
from realdb_ci.services.postgres import database

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData

    from realdb_ci.config import Config

# SQLSTATEs of what a server has not, and another image or an extension would bring: unknown types, collations and
# functions, features that were not compiled in, files of extensions.
_LACKING = ("42704", "42883", "0A000", "58P01")
_LIBRARIES = re.compile(r"[/\\](site-packages|dist-packages|realdb_ci|lib[/\\]python3\.\d+)[/\\]|^<")


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
        with database.disposable(url) as engine, engine.begin() as connection:
            try:
                self.call(connection)
            except (Exception, SystemExit) as problem:  # noqa: BLE001  # raised as what it is
                raise_as_own(f"schema function {self.name!r}", problem)


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
        _refuse_asynchronous("schema", name, found)
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
    except (Exception, SystemExit) as problem:
        inside = _place(problem)
        raise SettingError(
            f"The {setting} {name!r} cannot be imported",
            why=f"{_told(problem)}{inside}",
            remedy="Importing it has to work where the tests run: mend what it does, or set what it asks for."
            if inside
            else f"{setting} is package.module:name, importable from the project's folder.",
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
    _refuse_asynchronous(setting, name, found)
    return found  # type: ignore[no-any-return]


def _sow(seed: Callable[..., Any], url: str) -> None:
    from sqlmodel import Session

    with database.disposable(url) as engine, Session(engine) as session:
        try:
            seed(session)
            session.commit()
        except (Exception, SystemExit) as problem:  # noqa: BLE001  # raised as what it is
            raise_as_own(f"seed {getattr(seed, '__qualname__', seed)!r}", problem)


def _refuse_asynchronous(setting: str, name: str, found: Any) -> None:
    if inspect.iscoroutinefunction(found):
        raise SettingError(
            f"The {setting} {name!r} is asynchronous",
            why="it runs before any event loop does, once for all tests",
            remedy="Name a plain function.",
        )


def raise_as_own(what: str, problem: BaseException) -> NoReturn:
    """Raise what a part of the project's raised, with the line of the project's where it did.

    Raises:
        SettingError: the part failed.
        sqlalchemy.exc.DBAPIError: the server refused it, and may lack what it needs.
    """
    original = getattr(problem, "orig", None)
    if (getattr(original, "pgcode", None) or getattr(original, "sqlstate", None)) in _LACKING:
        raise problem
    raise SettingError(
        f"The {what} failed",
        why=f"{_told(problem)}{_place(problem)}",
        remedy="It has to work on an empty database: mend it, or the setting that names it.",
    ) from problem


def _told(problem: BaseException) -> str:
    """What it says on one line; of SQLAlchemy's errors the driver's words, without the statement and its values."""
    original = getattr(problem, "orig", None) or problem
    return f"{type(original).__name__}: {' '.join(str(original).split())}"


def _place(problem: BaseException) -> str:
    """The last line of the project's that it came by, in brackets; of a syntax error, the line that has it."""
    if isinstance(problem, SyntaxError) and problem.filename:
        return f" ({problem.filename}:{problem.lineno})"
    frames = traceback.extract_tb(problem.__traceback__)
    places = [f" ({one.filename}:{one.lineno})" for one in frames if not _LIBRARIES.search(one.filename)]
    return places[-1] if places else ""
