"""psycopg2: one module in two packages. Of these psycopg2 has to be built, psycopg2-binary has a wheel.

uv takes them for two things and would put one over the other.
"""

from __future__ import annotations

import re

from realdb_ci.errors import EnvironmentProblem

SOURCE, BINARY = "psycopg2", "psycopg2-binary"
_UNBUILT = re.compile(r"Failed to build `psycopg2==([^`]+)`")


def unbuilt(problem: EnvironmentProblem) -> str:
    """The version of psycopg2 that could not be built; empty where that is not the matter."""
    found = _UNBUILT.search(problem.why)
    return found[1] if found else ""


def is_in(installed: str) -> bool:
    """Whether a line, ``name==version``, is of one of the two packages."""
    return installed.partition("==")[0] in (SOURCE, BINARY)


def without(package: str) -> str:
    """A line of an overrides file after which nobody asks for that package any more."""
    return f"{package} ; python_version < '0'"
