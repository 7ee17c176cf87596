"""Write the goldens: what is read of each file in fixtures/junit and fixtures/events, as JSON beside it.

    python tests/foreign/corpus/golden.py

Whoever runs it reads the difference: a golden is a statement by a person, not by the reader.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from goldens import EVENTS, JUNIT_FILES, golden, read_events, read_junit
from telling import told


def main() -> None:
    """Write them all."""
    for file in JUNIT_FILES:
        write(golden(file), told(read_junit(file)))
    for file in EVENTS:
        write(golden(file), [told(suite) for suite in read_events(file).suites])


def write(path: Path, plain: object) -> None:
    """Write one, as a person likes to read it."""
    path.write_text(json.dumps(plain, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
