"""factory_boy bases that write to the running test's database by themselves.

    from realdb_ci.factories import SQLModelFactory, MongoFactory, factory_for

    class UserFactory(SQLModelFactory):
        class Meta:
            model = User
        name = factory.Sequence(lambda n: f"reader {n}")

    BookFactory = factory_for(Book)            # every required column filled from the model itself

    def test_it(db_session):
        user = UserFactory()                   # in db_session, flushed: user.id is there
        BookFactory.create_batch(3, author=user)

Rows are flushed and not committed (``class Meta: sqlalchemy_session_persistence = "commit"`` commits).
Sequences start anew in every test. A base needs the extra of its own database alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from realdb_ci.errors import EnvironmentProblem
from realdb_ci.services.active import active

if TYPE_CHECKING:
    from realdb_ci.factories.derive import factory_for
    from realdb_ci.factories.mongo import MongoFactory
    from realdb_ci.factories.sql import AsyncSQLModelFactory, SQLModelFactory

__all__ = ["AsyncSQLModelFactory", "MongoFactory", "SQLModelFactory", "active", "factory_for"]

_HOMES = {
    "AsyncSQLModelFactory": "sql",
    "MongoFactory": "mongo",
    "SQLModelFactory": "sql",
    "factory_for": "derive",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for, so that a project without SQLAlchemy can have its ``MongoFactory``.

    Raises:
        EnvironmentProblem: the library under it is not installed.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as problem:
        raise EnvironmentProblem(
            f"{name} needs a library that is not installed",
            why=str(problem),
            remedy=f"pip install 'realdb-ci[{'mongo' if name == 'MongoFactory' else 'postgres'}]'",
        ) from None
