"""The imitations that the tests of the runner and of GitHub have."""

import sys
from pathlib import Path

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("runner", "github")]
