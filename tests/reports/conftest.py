"""A GitHub to report to; it lives beside the tests of the door to it."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "github"))

from fake_github import fake

__all__ = ["fake"]
