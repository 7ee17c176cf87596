"""What the doubles share: their libraries are extras, and a missing one is one clear error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from realdb_ci.errors import EnvironmentProblem
from realdb_ci.services.access import access


@contextlib.contextmanager
def needs(pytestconfig: pytest.Config, fixture: str, extra: str) -> Iterator[None]:
    """Around the imports and the start of a double: fail the test with the remedy where a library is missing.

    Args:
        pytestconfig: pytest's configuration, which leads to the plugin.
        fixture: the fixture the test asked for.
        extra: the extra of ours that installs what is imported inside.
    """
    with access(pytestconfig).step("double", fixture):
        try:
            yield
        except ImportError as problem:
            raise EnvironmentProblem(
                f"The fixture {fixture} needs a library that is not installed",
                why=str(problem),
                remedy=f"pip install 'realdb-ci[{extra}]'",
            ) from None
