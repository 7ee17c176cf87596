"""Factories derived from models: ``factory_for(Book)`` fills what the database would refuse to leave empty."""

# factory_boy annotates part of what it offers.
# mypy: allow-untyped-calls
from __future__ import annotations

import difflib
from typing import Any, TypeVar, overload

from factory.declarations import SKIP, BaseDeclaration, Parameter, Sequence, SubFactory
from factory.enums import BuilderPhase, get_builder_phase

from realdb_ci.errors import SettingError
from realdb_ci.factories import columns
from realdb_ci.factories.columns import Parent
from realdb_ci.factories.sql import AsyncSQLModelFactory, SQLModelFactory
from realdb_ci.factories.values import NoValueError, Wanted, value

T = TypeVar("T")
_Base = type[SQLModelFactory[Any]] | type[AsyncSQLModelFactory[Any]]

_derived: dict[tuple[type[Any], _Base, frozenset[str]], Any] = {}


@overload
def factory_for(model: type[T], /, **overrides: Any) -> type[SQLModelFactory[T]]: ...
@overload
def factory_for(
    model: type[T], base: type[AsyncSQLModelFactory[Any]], /, **overrides: Any
) -> type[AsyncSQLModelFactory[T]]: ...
@overload
def factory_for(
    model: type[T], base: type[SQLModelFactory[Any]], /, **overrides: Any
) -> type[SQLModelFactory[T]]: ...
def factory_for(model: type[Any], base: _Base = SQLModelFactory, /, **overrides: Any) -> Any:
    """A factory for a model, made from its columns; one and the same class for the same model.

    Required columns get values of their type and within their limits, the same in every run; columns that may be
    empty or have a default are left alone; a required foreign key becomes a ``SubFactory`` of its target, under the
    relationship's name where the model has one.

    Args:
        model: a SQLModel class with a table.
        base: what the factory derives from: ``SQLModelFactory``, ``AsyncSQLModelFactory`` or a child of theirs.
        overrides: declarations or values instead of the derived ones; traits and hooks too.

    Raises:
        SettingError: the model has no table, a column's type is unknown here, required foreign keys form a circle,
            or an override is for no attribute of the model.
    """
    mapper = columns.mapper_of(model)
    own = {name: one for name, one in overrides.items() if not isinstance(one, Parameter)}
    for name, declared in own.items():
        if get_builder_phase(declared) is not BuilderPhase.POST_INSTANTIATION:
            _check(mapper, name.partition("__")[0])
    derived = _derive(model, base, frozenset(name for name in own if "__" not in name), ())
    if not overrides:
        return derived
    traits = {name: one for name, one in overrides.items() if name not in own}
    return _new(derived, model, {**own, "Params": type("Params", (), traits)})


def _check(mapper: Any, name: str) -> None:
    known = list(mapper.attrs.keys())
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        model = mapper.class_.__name__
        raise SettingError(
            f"{model} has no attribute {name!r} for a factory to fill",
            why=f"its attributes are {', '.join(known)}",
            remedy=f"Did you mean {near[0]!r}?" if near else f"name one of them in factory_for({model}, ...)",
        )


def _new(base: Any, model: type[Any], attributes: dict[str, Any]) -> Any:
    meta = type("Meta", (), {"model": model})
    return type(base)(
        f"{model.__name__}Factory", (base,), {"__module__": model.__module__, "Meta": meta, **attributes}
    )


def _derive(model: type[Any], base: _Base, given: frozenset[str], path: tuple[type[Any], ...]) -> Any:
    """The factory without the attributes in ``given``; ``path`` leads here, child by child."""
    if (model, base, given) not in _derived:
        declarations = _declarations(model, base, given, (*path, model))
        _derived[model, base, given] = _new(base, model, declarations)
    return _derived[model, base, given]


def _declarations(
    model: type[Any], base: _Base, given: frozenset[str], path: tuple[type[Any], ...]
) -> dict[str, Any]:
    mapper = columns.mapper_of(model)
    declarations: dict[str, Any] = {}
    linked = set(given)
    for parent in columns.parents(mapper):
        names = {*parent.keys, parent.relationship} - {""}
        if not names & given:
            _check_parent(model, parent, linked, path)
            target = _derive(parent.model, base, frozenset(), path)
            declarations |= _links(parent, target)
        linked |= names
    for key, column in columns.needed(mapper).items():
        if key not in linked:
            declarations[key] = _sequence(model, key, column)
    return declarations


def _check_parent(model: type[Any], parent: Parent, linked: set[str], path: tuple[type[Any], ...]) -> None:
    keys = ", ".join(parent.keys)
    remedy = f"say where the value comes from: factory_for({model.__name__}, {next(iter(parent.keys))}=...)"
    if parent.model in path:
        circle = " needs ".join(one.__name__ for one in (*path[path.index(parent.model) :], parent.model))
        raise SettingError(f"No factory can be derived for {model.__name__}.{keys}", why=circle, remedy=remedy)
    if linked & parent.keys.keys():
        raise SettingError(
            f"No factory can be derived for {model.__name__}.{keys}",
            why="another foreign key shares a column with it, and both must point to rows that fit",
            remedy=remedy,
        )


def _links(parent: Parent, target: Any) -> dict[str, Any]:
    if parent.relationship:
        return {parent.relationship: _ParentFactory(target, tuple(parent.keys))}
    shared = object()
    return {key: _ParentKey(target, referred, shared) for key, referred in parent.keys.items()}


def _sequence(model: type[Any], key: str, column: Any) -> Sequence:
    wanted = columns.wanted(model, key, column)
    _try(model, column.type, wanted)
    return Sequence(lambda number: value(column.type, wanted, number))


def _try(model: type[Any], type_: Any, wanted: Wanted) -> None:
    """Hear of a column without a value when the factory is made, not when it is used."""
    try:
        value(type_, wanted, 0)
    except NoValueError as problem:
        raise SettingError(
            f"No value can be derived for {model.__name__}.{wanted.name}",
            why=str(problem),
            remedy=f"give one: factory_for({model.__name__}, {wanted.name}=...)",
        ) from None


class _ParentFactory(SubFactory):
    """The parent for a relationship, unless the caller gives the foreign key itself."""

    def __init__(self, target: Any, keys: tuple[str, ...]) -> None:
        super().__init__(target)
        self._keys = keys

    def evaluate(self, instance: Any, step: Any, extra: dict[str, Any]) -> Any:
        if any(getattr(instance, key, None) is not None for key in self._keys):
            return SKIP
        return super().evaluate(instance, step, extra)


class _ParentKey(BaseDeclaration):
    """A foreign key without a relationship: the key of a parent that is made when it is asked for.

    No ``SubFactory`` by class, since libraries take one for the parent itself.
    """

    UNROLL_CONTEXT_BEFORE_EVALUATION = False

    def __init__(self, target: Any, referred: str, shared: object) -> None:
        super().__init__()
        self._target = target
        self._referred = referred
        self._shared = shared

    def evaluate(self, instance: Any, step: Any, extra: dict[str, Any]) -> Any:  # noqa: ARG002 - factory_boy's own
        # The keys of one foreign key belong to one parent.
        made = vars(step).setdefault("realdb_ci_parents", {})
        if self._shared not in made:
            made[self._shared] = step.recurse(self._target, extra)
        return getattr(made[self._shared], self._referred)
