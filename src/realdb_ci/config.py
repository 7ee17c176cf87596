"""Config: every setting of a run, read once at the door and frozen.

Order, later wins: defaults, ``[tool.realdb-ci]`` in the project's pyproject.toml, ``REALDB_CI_*`` in the
environment, flags. Nothing else in the package reads flags, files of settings or the environment.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from realdb_ci.errors import SettingError

ENGINE_CHOICES = ("auto", "url", "docker", "embedded")
TABLE = "[tool.realdb-ci]"
BROKER_VARIABLE = "REALDB_CI_BROKER"


def _engine(value: Any) -> str:
    if value not in ENGINE_CHOICES:
        raise ValueError(f"it is one of {', '.join(ENGINE_CHOICES)}")
    return str(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("it is text in quotes")
    return value.strip()


def texts(value: Any) -> tuple[str, ...]:
    """A list of texts; one text may hold several, split at line ends, and at commas where there is no URL.

    Lines that begin with # are comments.

    Raises:
        TypeError: it is neither a text nor a list of texts.
    """
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given):
        raise TypeError('it is a list of texts, as in ["postgres:17", "mongo:7.0"]')
    lines = (line for one in given for line in one.splitlines() if not line.lstrip().startswith("#"))
    pieces = (piece.strip() for line in lines for piece in ([line] if "://" in line else line.split(",")))
    return tuple(piece for piece in pieces if piece)


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise ValueError("it is true or false")


def _redis(value: Any) -> str:
    if value not in ("fake", "real"):
        raise ValueError("it is fake or real")
    return str(value)


def _seconds(value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        raise ValueError("it is a number of seconds") from None
    if isinstance(value, bool) or not 0 < seconds <= 3600:  # noqa: PLR2004
        raise ValueError("it is a number of seconds between 0 and 3600")
    return seconds


def _count(value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise ValueError("it is a whole number") from None
    if isinstance(value, bool | float) or number < 0:
        raise ValueError("it is a whole number, 0 or more")
    return number


def check_folder(project: Path) -> None:
    """Raise SettingError where there is no such project."""
    if not project.is_dir():
        raise SettingError(
            f"The project {str(project)!r} is not a folder",
            why="it does not exist" if not project.exists() else "it is a file",
            remedy="Name the folder that holds the project's tests.",
        )


def settings_root(start: Path) -> Path:
    """The folder whose pyproject.toml holds the settings: the nearest from ``start`` up to its repository."""
    for folder in (start, *start.parents):
        if (folder / "pyproject.toml").is_file():
            return folder
        if (folder / ".git").exists():
            break
    return start


def repository_root(start: Path) -> Path:
    """The checkout that ``start`` lies in, or ``start`` itself outside one."""
    return next((folder for folder in (start, *start.parents) if (folder / ".git").exists()), start)


def project_name(root: Path) -> str:
    """What reports call the project in ``root``: its path in the repository, or its folder's name."""
    relative = root.relative_to(repository_root(root)).as_posix()
    return root.name if relative == "." else relative


def _cache(environ: Mapping[str, str]) -> Path | None:
    """Our part of the user's cache folder, by the XDG Base Directory Specification."""
    named, home = environ.get("XDG_CACHE_HOME", ""), environ.get("HOME", "")
    base = Path(named) if Path(named).is_absolute() else Path(home) / ".cache"
    return base / "realdb-ci" if base.is_absolute() else None


def _setting(default: Any, read: Callable[[Any], Any]) -> Any:
    return field(default=default, metadata={"read": read})


@dataclass(frozen=True)
class Config:
    """The settings of one run.

    Attributes:
        engine: how to get servers: auto, url, docker or embedded.
        services: one text a service: ``postgres``, ``postgres:17-alpine``, ``postgres=<image or url>``.
        schema: ``package.module:metadata``, ``package.module:function`` (called with a SQLAlchemy connection), or
            the path of an ``alembic.ini``; empty means ``SQLModel.metadata``.
        seed: ``package.module:function``, called once with a session when the schema is there.
        extensions: PostgreSQL extensions to create in each database before the schema.
        strict: never fall through to another engine or another major version.
        mirror: a registry that holds the images under the same names, such as ``localhost:5000``.
        redis: fake (fakeredis, in this process) or real (a server, like the other services).
        keep: whether the database of a failed test that is marked ``realdb(commit=True)`` stays to be looked into.
        n_plus_one: how often one line may send the same statement in a test before that is a warning; 0 for never.
        startup_timeout: seconds a server may take from its start to its first answer.
        snapshots: whether a server's data, with its finished schema, are kept for the next run.
        cache: our folder for what this user's runs keep, None where the environment names none; no setting.

    """

    engine: str = _setting("auto", _engine)
    services: tuple[str, ...] = _setting((), texts)
    schema: str = _setting("", _text)
    seed: str = _setting("", _text)
    extensions: tuple[str, ...] = _setting((), texts)
    strict: bool = _setting(default=False, read=_switch)
    mirror: str = _setting("", _text)
    redis: str = _setting("fake", _redis)
    keep: bool = _setting(default=False, read=_switch)
    n_plus_one: int = _setting(10, _count)
    startup_timeout: float = _setting(60.0, _seconds)
    snapshots: bool = _setting(default=True, read=_switch)
    cache: Path | None = field(default=None, compare=False)

    @classmethod
    def load(cls, root: Path, environ: Mapping[str, str], flags: Mapping[str, Any]) -> Config:
        """Read the settings of the project in ``root``.

        Args:
            root: the folder that holds the project's pyproject.toml, if it has one.
            environ: the environment, such as ``os.environ``.
            flags: values from a command line under the field names; ``None`` and ``()`` mean not given.

        Raises:
            SettingError: naming the key, where it was found, and what it may be.

        """
        values: dict[str, Any] = {}
        for source, found in (
            (f"{TABLE} of {root / 'pyproject.toml'}", _table(root / "pyproject.toml")),
            ("the environment", _from_environ(environ)),
            ("the command line", {k: v for k, v in flags.items() if v not in (None, ())}),
        ):
            read = _read(found, source)
            # Services add up, the latest word about one counts: a flag that names a service keeps
            # the image that pyproject.toml chose for it.
            urls = _urls(environ) if source == "the environment" else ()
            services = (*values.get("services", ()), *read.get("services", ()), *urls)
            values |= read | {"services": services}
        return cls(**values, cache=_cache(environ))


def _read(found: Mapping[str, Any], source: str) -> dict[str, Any]:
    readers = {one.name.replace("_", "-"): one for one in fields(Config) if one.metadata}
    values = {}
    for key, value in found.items():
        known = readers.get(key.replace("_", "-"))
        if known is None:
            near = difflib.get_close_matches(key, readers, n=1)
            raise SettingError(
                f"Unknown setting {key!r} in {source}",
                why="realdb-ci has no setting of this name",
                remedy=f"Did you mean {near[0]!r}?" if near else f"The settings are: {', '.join(readers)}.",
            )
        try:
            values[known.name] = known.metadata["read"](value)
        except (TypeError, ValueError) as problem:
            raise SettingError(
                f"The setting {key!r} in {source} cannot be {value!r}",
                why=str(problem),
                remedy=f"Change {key!r} in {source}.",
            ) from None
    return values


def _table(path: Path) -> dict[str, Any]:
    """The project's ``[tool.realdb-ci]``, empty where there is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as problem:
        raise SettingError(f"{path} cannot be read", why=str(problem), remedy="Mend the file.") from None
    try:
        found = tomllib.loads(text).get("tool", {}).get("realdb-ci", {})
    except tomllib.TOMLDecodeError as problem:
        raise SettingError(f"{path} is not valid TOML", why=str(problem), remedy="Mend that line.") from None
    if not isinstance(found, dict):
        raise SettingError(
            f"tool.realdb-ci in {path} is not a table",
            why=f"it is {found!r}",
            remedy=f"Write {TABLE} on a line of its own and the settings below it.",
        )
    return found


def _from_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """The settings that are set in the environment; an empty variable counts as not set."""
    names = {one.name: f"REALDB_CI_{one.name.upper()}" for one in fields(Config) if one.metadata}
    return {name: environ[variable] for name, variable in names.items() if environ.get(variable)}


def _urls(environ: Mapping[str, str]) -> tuple[str, ...]:
    """``REALDB_CI_POSTGRES_URL=...`` is ``postgres=...``: the shape in which most CI systems hand over a URL."""
    prefix, suffix = "REALDB_CI_", "_URL"
    return tuple(
        f"{name.removeprefix(prefix).removesuffix(suffix).lower()}={value}"
        for name, value in sorted(environ.items())
        if name.startswith(prefix) and name.endswith(suffix) and value
    )
