"""A value for a column, from its type and a number: the same number gives the same value in every run."""

from __future__ import annotations

import datetime as dt
import string
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

# Where a column has no bound, values begin here.
_NOON = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
_DIGITS = string.digits + string.ascii_lowercase
_DOCUMENTS = {"JSON", "JSONB", "HSTORE"}


class NoValueError(Exception):
    """No value is known for this type, or none is left between its bounds."""


@dataclass(frozen=True)
class Wanted:
    """What an attribute asks of its values beyond their type.

    Attributes:
        name: its name, which texts begin with.
        unique: no two rows may have the same value.
        bounds: as pydantic names them: ge, gt, le, lt, multiple_of, min_length, max_length.
        members: the only values allowed, where the annotation lists them.
        is_list: of a JSON document: it is a list.
    """

    name: str
    unique: bool = False
    bounds: Mapping[str, Any] = field(default_factory=dict)
    members: tuple[Any, ...] = ()
    is_list: bool = False


def value(type_: Any, wanted: Wanted, number: int) -> Any:
    """The value of row ``number``, counted from 0, for a column of that SQLAlchemy type.

    Raises:
        NoValueError: the type is none that is known here, or its bounds leave no value.
    """
    members = wanted.members or tuple(getattr(type_, "enum_class", None) or getattr(type_, "enums", None) or ())
    if members:
        return members[number % len(members) if wanted.unique else 0]
    if hasattr(type_, "item_type"):
        return _array(type_, wanted, number)
    maker = _MAKERS.get(_python_type(type_))
    if maker is not None:
        return maker(type_, wanted, number)
    if type_.__visit_name__ in _DOCUMENTS:
        return [] if wanted.is_list else {}
    # A decorated type, as SQLModel's strings are, takes what the type under it takes.
    inner = getattr(type_, "impl_instance", None)
    if inner is None:
        raise NoValueError(f"no value is known for the type {type_!r}")
    return value(inner, wanted, number)


def _python_type(type_: Any) -> Any:
    try:
        return type_.python_type
    except NotImplementedError:
        return None


def _array(type_: Any, wanted: Wanted, number: int) -> Any:
    """One element, in as many lists as the array has dimensions."""
    nested = value(type_.item_type, Wanted(wanted.name), number)
    for _ in range(type_.dimensions or 1):
        nested = [nested]
    return nested


def _step(number: int, bounds: Mapping[str, Any], *, start: Any, step: Any, highest: Any = None) -> Any:
    """The number-th step up from the lowest value allowed, round and round where there is a highest one."""
    low, high = bounds.get("ge"), bounds.get("le", highest)
    low = bounds["gt"] + step if "gt" in bounds else low
    high = bounds["lt"] - step if "lt" in bounds else high
    if low is None:
        low = start if high is None or start <= high else high
    if high is None:
        return low + number * step
    steps = (high - low) // step + 1
    if steps < 1:
        raise NoValueError(f"no value lies between {low} and {high}")
    return low + (number % int(steps)) * step


def _exact(bounds: Mapping[str, Any]) -> dict[str, Decimal]:
    """Bounds one can calculate with: a float and a Decimal cannot be added."""
    return {name: Decimal(str(bound)) for name, bound in bounds.items()}


def _integer(_type: Any, wanted: Wanted, number: int) -> int:
    bounds = _exact(wanted.bounds)
    step = bounds.get("multiple_of", Decimal(1))
    for name in bounds.keys() & {"ge", "gt"}:
        bounds[name] = -(-bounds[name] // step) * step if name == "ge" else bounds[name] // step * step
    return int(_step(number, bounds, start=step, step=step))


def _decimal(type_: Any, wanted: Wanted, number: int) -> Decimal:
    scale = type_.scale or 0
    step = Decimal(1).scaleb(-scale)
    highest = Decimal(10) ** (type_.precision - scale) - step if type_.precision else None
    found: Decimal = _step(number, _exact(wanted.bounds), start=step, step=step, highest=highest)
    return found


def _float(_type: Any, wanted: Wanted, number: int) -> float:
    # Quarters, so that a bound a little above the other leaves room, and the value is exact in binary.
    return float(_step(number, _exact(wanted.bounds), start=Decimal(1), step=Decimal("0.25")))


def _text(type_: Any, wanted: Wanted, number: int) -> str:
    """``name-0``, ``name-1``, ...: where that is too long the name gives way, then the digits get denser."""
    tail = str(number)
    longest = wanted.bounds.get("max_length") or getattr(type_, "length", None)
    if longest is None:
        longest = len(wanted.name) + 1 + len(tail)
    if len(tail) > longest:
        tail = _dense(number, longest)
    room = longest - len(tail) - 1
    text = f"{wanted.name[:room]}-{tail}" if room > 0 else tail
    return text.ljust(wanted.bounds.get("min_length", 0), "x")


def _dense(number: int, length: int) -> str:
    """The last ``length`` digits to the base 36."""
    digits = ""
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits


def _datetime(type_: Any, wanted: Wanted, number: int) -> dt.datetime:
    start = _NOON if getattr(type_, "timezone", False) else _NOON.replace(tzinfo=None)
    found: dt.datetime = _step(number, wanted.bounds, start=start, step=dt.timedelta(minutes=1))
    return found


def _date(_type: Any, wanted: Wanted, number: int) -> dt.date:
    found: dt.date = _step(number, wanted.bounds, start=_NOON.date(), step=dt.timedelta(days=1))
    return found


def _time(type_: Any, _wanted: Wanted, number: int) -> dt.time:
    moment = _NOON + dt.timedelta(seconds=number)
    return moment.timetz() if getattr(type_, "timezone", False) else moment.time()


def _timedelta(_type: Any, wanted: Wanted, number: int) -> dt.timedelta:
    hour = dt.timedelta(hours=1)
    found: dt.timedelta = _step(number, wanted.bounds, start=hour, step=hour)
    return found


_MAKERS: dict[Any, Callable[[Any, Wanted, int], Any]] = {
    bool: lambda _type, wanted, number: wanted.unique and number % 2 == 1,
    bytes: lambda type_, wanted, number: _text(type_, wanted, number).encode(),
    dict: lambda _type, wanted, _number: [] if wanted.is_list else {},
    dt.date: _date,
    dt.datetime: _datetime,
    dt.time: _time,
    dt.timedelta: _timedelta,
    Decimal: _decimal,
    float: _float,
    int: _integer,
    str: _text,
    # Shaped like a random one, as a strict validator asks for.
    uuid.UUID: lambda _type, _wanted, number: uuid.UUID(int=number + 1, version=4),
}
