"""What a model's columns need from a factory: which have no default, and who their parents are."""

from __future__ import annotations

import enum
import typing
from dataclasses import dataclass
from typing import Any

from realdb_ci.errors import SettingError
from realdb_ci.factories.values import Wanted


@dataclass(frozen=True)
class Parent:
    """A row that must be there first.

    Attributes:
        model: its class.
        keys: attribute of the child -> the parent's attribute it refers to.
        relationship: the child's attribute that holds the parent itself, empty where it has none.
    """

    model: type[Any]
    keys: dict[str, str]
    relationship: str


def mapper_of(model: type[Any]) -> Any:
    """SQLAlchemy's picture of a model.

    Raises:
        SettingError: it has none.
    """
    from sqlalchemy import inspect

    mapper = inspect(model, raiseerr=False)
    if mapper is None or not hasattr(mapper, "column_attrs"):
        raise SettingError(
            f"No factory can be derived for {getattr(model, '__name__', model)!r}",
            why="it is not a model with a table",
            remedy="give a SQLModel class with table=True",
        )
    return mapper


def needed(mapper: Any) -> dict[str, Any]:
    """The columns that stay empty unless somebody gives them a value, by attribute."""
    # Of a key that a joined table repeats, the last one is the root's, which decides.
    columns = {one.key: one.columns[-1] for one in mapper.column_attrs if hasattr(one.columns[-1], "nullable")}
    own = (mapper.polymorphic_on if mapper.polymorphic_identity is not None else None, mapper.version_id_col)
    return {
        key: column
        for key, column in columns.items()
        if not (column.nullable or any(column is one for one in own) or _filled(mapper.class_, key, column))
    }


def _filled(model: type[Any], key: str, column: Any) -> bool:
    """Whether the database, SQLAlchemy or pydantic fills it in."""
    if column.server_default is not None or column.table.autoincrement_column is column:
        return True
    field = getattr(model, "model_fields", {}).get(key)
    made = column.default is not None and not column.default.is_scalar
    if made or (field is not None and field.default_factory is not None):
        return True
    optional = field is not None and not field.is_required() and field.default is not None
    # One and the same value cannot fill two rows of a unique column.
    return (optional or column.default is not None) and not is_unique(column)


def is_unique(column: Any) -> bool:
    """Whether a constraint or an index on it alone forbids a value twice."""
    from sqlalchemy import PrimaryKeyConstraint, UniqueConstraint

    constraints = [
        one for one in column.table.constraints if isinstance(one, PrimaryKeyConstraint | UniqueConstraint)
    ]
    indexes = [one for one in column.table.indexes if one.unique]
    return bool(column.unique) or any(list(one.columns) == [column] for one in [*constraints, *indexes])


def wanted(model: type[Any], key: str, column: Any) -> Wanted:
    """What the column and its field ask of a value."""
    field = getattr(model, "model_fields", {}).get(key)
    if field is None:
        return Wanted(key, is_unique(column))
    annotation = _plain(field.annotation)
    origin = typing.get_origin(annotation)
    members: tuple[Any, ...] = ()
    if origin is typing.Literal:
        members = typing.get_args(annotation)
    elif isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        members = tuple(annotation)
    names = ("ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length")
    asked = {name: getattr(one, name, None) for one in field.metadata for name in names if hasattr(one, name)}
    bounds = {name: bound for name, bound in asked.items() if bound is not None}
    return Wanted(key, is_unique(column), bounds, members, is_list=(origin or annotation) is list)


def _plain(annotation: Any) -> Any:
    """The annotation without ``None`` and without what ``Annotated`` adds."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _plain(typing.get_args(annotation)[0])
    options = [one for one in typing.get_args(annotation) if one is not type(None)]
    if (
        len(options) == 1
        and typing.get_origin(annotation) is not list
        and type(None) in typing.get_args(annotation)
    ):
        return _plain(options[0])
    return annotation


def parents(mapper: Any) -> list[Parent]:
    """The rows that must be there before one of this model can be.

    Raises:
        SettingError: no model is mapped to a table that a required foreign key points to.
    """
    keys = {column: one.key for one in mapper.column_attrs for column in one.columns}
    required = needed(mapper)
    # In joined inheritance the key into the table above is SQLAlchemy's own to fill.
    above = {one.local_table for one in mapper.iterate_to_root() if one is not mapper}
    found = []
    for constraint in sorted(_constraints(mapper), key=lambda one: one.column_keys):
        columns = list(constraint.columns)
        names = [keys.get(column, "") for column in columns]
        filled = not any(name in required for name in names)
        # With one column empty, PostgreSQL asks for no parent at all.
        free = "" in names or any(column.nullable for column in columns)
        if filled or free or constraint.referred_table in above:
            continue
        target = _mapper_of_table(mapper, constraint.referred_table, names[0])
        referred = [target.get_property_by_column(element.column).key for element in constraint.elements]
        pairs = dict(zip(names, referred, strict=True))
        found.append(Parent(target.class_, pairs, _relationship(mapper, columns, target)))
    return found


def _constraints(mapper: Any) -> list[Any]:
    return [one for table in mapper.tables for one in table.foreign_key_constraints]


def _relationship(mapper: Any, columns: list[Any], target: Any) -> str:
    for one in mapper.relationships:
        to_parent = one.direction.name == "MANYTOONE" and not one.viewonly
        if to_parent and one.mapper.common_parent(target) and one.local_columns == set(columns):
            return str(one.key)
    return ""


def _mapper_of_table(mapper: Any, table: Any, key: str) -> Any:
    for one in sorted(mapper.registry.mappers, key=lambda one: len(list(one.iterate_to_root()))):
        if one.local_table is table:
            return one
    model = mapper.class_.__name__
    raise SettingError(
        f"No factory can be derived for {model}.{key}",
        why=f"it refers to the table {table.name}, which no model is mapped to",
        remedy=f"say where the value comes from: factory_for({model}, {key}=...)",
    )
