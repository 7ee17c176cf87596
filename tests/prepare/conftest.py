"""The imitations that the runner's own tests have."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "runner"))
