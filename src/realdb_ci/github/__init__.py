"""GitHub: the one door to it. What a job knows of itself, and the few endpoints that reports are sent to."""

from realdb_ci.github.client import Client, Unreachable, Unsure
from realdb_ci.github.context import MATRIX, GitHub, read

__all__ = ["MATRIX", "Client", "GitHub", "Unreachable", "Unsure", "read"]
