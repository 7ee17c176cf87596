"""The doubles: in-process stand-ins for what is no database. A new one is a module here and its name in MODULES."""

from __future__ import annotations

MODULES = ("clock", "http", "redis", "s3")
