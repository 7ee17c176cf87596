"""Rows for the running test's session, and for its async session."""

# factory_boy annotates part of what it offers.
# mypy: allow-untyped-calls
from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from factory.alchemy import (
    SESSION_PERSISTENCE_COMMIT,
    SESSION_PERSISTENCE_FLUSH,
    SQLAlchemyModelFactory,
    SQLAlchemyOptions,
)
from factory.base import Factory
from factory.enums import CREATE_STRATEGY

from realdb_ci.errors import SettingError
from realdb_ci.factories.sequences import RestartingOptions
from realdb_ci.services.active import active

T = TypeVar("T")
R = TypeVar("R")

# The session an awaited create() writes through. A context variable, as tasks of one test may create in turn;
# it is set only while SQLAlchemy's greenlet runs, which shares the context of the task that awaits it.
_awaited: ContextVar[Any] = ContextVar("realdb_ci_awaited_session", default=None)


class _SQLOptions(RestartingOptions, SQLAlchemyOptions):
    """SQLAlchemy's options, with sequences that restart in every test."""


class _RowFactory(SQLAlchemyModelFactory, Factory[T]):
    """What both kinds of row factories share: where a row goes, and when it is written."""

    _options_class = _SQLOptions
    _meta: Any

    class Meta:
        """A base, and the default way to write."""

        abstract = True
        # A flushed row has its id and its server's defaults, and stays part of the test's transaction.
        sqlalchemy_session_persistence = SESSION_PERSISTENCE_FLUSH

    if TYPE_CHECKING:  # the parent classes forget the model's type on the way

        @classmethod
        def build(cls, **kwargs: Any) -> T: ...
        @classmethod
        def build_batch(cls, size: int, **kwargs: Any) -> list[T]: ...

    @classmethod
    def _session(cls) -> Any:
        raise NotImplementedError

    @classmethod
    def _create(cls, model_class: type[T], *args: Any, **kwargs: Any) -> T:
        if cls._meta.sqlalchemy_session is not None or cls._meta.sqlalchemy_session_factory is not None:
            row: T = super()._create(model_class, *args, **kwargs)
            return row
        # Not kept in the options, as the parent class would: a session must not outlive its test.
        save = cls._get_or_create if cls._meta.sqlalchemy_get_or_create else cls._save
        return save(model_class, cls._session(), args, kwargs)

    @classmethod
    def _get_or_create(cls, model_class: type[T], session: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        """The row with these key fields, or a new one.

        Not the parent's way: that one rolls the whole test back when the insert meets a constraint, and reads by
        ``session.query``, which SQLModel deprecates.
        """
        from sqlalchemy.exc import IntegrityError

        missing = [name for name in cls._meta.sqlalchemy_get_or_create if name not in kwargs]
        if missing:
            raise SettingError(
                f"{cls.__name__} cannot look for an existing row",
                why=f"sqlalchemy_get_or_create names {', '.join(missing)}, which has no value",
                remedy="declare it in the factory, or pass it",
            )
        keys = {name: kwargs[name] for name in cls._meta.sqlalchemy_get_or_create}
        found = _find(session, model_class, keys)
        if found is not None:
            return found
        try:
            with session.begin_nested():
                session.add(row := model_class(*args, **kwargs))
        except IntegrityError:
            # Only part of the keys may have been asked for; the generated rest is then no reason to differ.
            asked = {name: value for name, value in (cls._original_params or {}).items() if name in keys}
            found = _find(session, model_class, asked) if asked else None
            if found is None:
                raise
            return found
        if cls._meta.sqlalchemy_session_persistence == SESSION_PERSISTENCE_COMMIT:
            session.commit()
        return row

    @classmethod
    def _after_postgeneration(cls, instance: T, create: bool, results: dict[str, Any] | None = None) -> None:
        """Write what hooks changed in the row, in the way the row itself was written."""
        from sqlalchemy.orm import object_session

        session = object_session(instance) if create and results else None
        if session is None:
            return
        if cls._meta.sqlalchemy_session_persistence == SESSION_PERSISTENCE_FLUSH:
            session.flush()
        elif cls._meta.sqlalchemy_session_persistence == SESSION_PERSISTENCE_COMMIT:
            session.commit()


def _find(session: Any, model: type[T], keys: dict[str, Any]) -> T | None:
    from sqlalchemy import select

    found: T | None = session.scalars(select(model).filter_by(**keys)).one_or_none()
    return found


class SQLModelFactory(_RowFactory[T]):
    """Rows of a SQLModel (or any SQLAlchemy) class, in the ``db_session`` of the running test, flushed.

    class UserFactory(SQLModelFactory[User]):
        class Meta:
            model = User
        name = factory.Sequence(lambda n: f"reader {n}")

    def test_it(db_session):
        assert UserFactory().id
    """

    class Meta:
        """A base: no model of its own."""

        abstract = True

    if TYPE_CHECKING:

        @classmethod
        def create(cls, **kwargs: Any) -> T:
            """A row, written."""

        @classmethod
        def create_batch(cls, size: int, **kwargs: Any) -> list[T]:
            """``size`` rows, written."""

    @classmethod
    def _session(cls) -> Any:
        return _awaited.get() or active.session(cls.__name__)


class AsyncSQLModelFactory(_RowFactory[T]):
    """Rows in the ``async_db_session`` of the running test: ``create`` and ``create_batch`` are awaited.

    Declarations are the ordinary ones, and a ``SubFactory`` may name a ``SQLModelFactory`` too: all of them write
    through the one async session. Like every use of an ``AsyncSession``, two creates must not run at once.

        async def test_it(async_db_session):
            user = await UserFactory.create(name="Ann")     # or: await UserFactory(name="Ann")
    """

    class Meta:
        """A base: no model of its own."""

        abstract = True

    @classmethod
    async def create(cls, **kwargs: Any) -> T:
        """A row; awaiting it writes it."""
        return await cls._written(lambda: cls._generate(CREATE_STRATEGY, kwargs))

    @classmethod
    async def create_batch(cls, size: int, **kwargs: Any) -> list[T]:  # type: ignore[override]
        """``size`` rows; awaiting them writes them."""
        return await cls._written(lambda: [cls._generate(CREATE_STRATEGY, dict(kwargs)) for _ in range(size)])

    @classmethod
    async def _written(cls, generate: Callable[[], R]) -> R:
        """What ``generate`` returns; it is plain blocking code, and SQLAlchemy's greenlet awaits for it."""

        def inside(session: Any) -> R:
            token = _awaited.set(session)
            try:
                return generate()
            finally:
                _awaited.reset(token)

        return await active.async_session(cls.__name__).run_sync(inside)

    @classmethod
    def _session(cls) -> Any:
        session = _awaited.get()
        if session is None:
            raise SettingError(
                f"{cls.__name__} was asked to create without an await",
                why="blocking code created the row: a SubFactory of a SQLModelFactory, or pytest-factoryboy",
                remedy="await its create(), or derive the factory from SQLModelFactory",
            )
        return session
