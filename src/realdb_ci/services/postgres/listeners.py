"""Listeners: what a project has SQLAlchemy call for its engine's connections, called in tests as in production.

While a test is isolated, its engine has another pool than the one that the listeners were given to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Pool, PoolProxiedConnection

# In a connection's ``info``: how many listeners there were for new connections when it was made.
_HEARD = "realdb_ci_listeners"
CONNECT = "connect"
EACH_USE = ("checkout", "checkin")


def hand_on(given: Pool, taken: Pool, *events: str) -> bool:
    """Have what listens to one pool listen to another as well; whether any of it is new there.

    Both pools are SQLAlchemy's own for one dialect, so what they have in common comes first in each.
    """
    from sqlalchemy import event

    new = False
    for name in events:
        for listener in _of(given, name)[len(_of(taken, name)) :]:
            event.listen(taken, name, listener)
            new = True
    return new


def note(connection: PoolProxiedConnection, pool: Pool) -> bool:
    """Remember which listeners a connection was made with; False where others have come since."""
    now = len(_of(pool, CONNECT))
    return bool(connection.info.setdefault(_HEARD, now) == now)


def _of(pool: Any, name: str) -> list[Any]:
    return list(getattr(pool.dispatch, name))
