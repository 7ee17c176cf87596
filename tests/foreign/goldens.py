"""The corpus: where its files are, and how they are read."""

from __future__ import annotations

from pathlib import Path

from realdb_ci import foreign, results
from realdb_ci.results import Results, Suite

FIXTURES = Path(__file__).parents[2] / "fixtures"
JUNIT = FIXTURES / "junit"
SAMPLES = JUNIT / "samples"
JUNIT_FILES = sorted(file for file in JUNIT.glob("*/*.xml") if file.parent != SAMPLES)
EVENTS = sorted((FIXTURES / "events").glob("*.jsonl"))
# Whose tests are another producer's sample.
SAMPLE_OF = {"unittest-xml-reporting": "unittest"}


def golden(file: Path) -> Path:
    """The file that says what is to be read of another one."""
    return file.with_suffix(".json")


def read_junit(file: Path) -> Suite:
    """A file of the corpus, read in the checkout that it was made in."""
    producer = file.parent.name
    sample = SAMPLES / SAMPLE_OF.get(producer, producer)
    return foreign.read(file, project=producer, root=sample if sample.is_dir() else file.parent)


def read_events(file: Path) -> Results:
    """An events file of the corpus."""
    return results.read(file)
