"""Make the events files in fixtures/events again, by running the sample projects with the plugin.

    python tests/foreign/corpus/make_events.py --work FOLDER

The servers are the embedded ones. Folders of the machine are taken out; nothing else is changed.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

FIXTURES = Path(__file__).parents[3] / "fixtures"
EVENTS = FIXTURES / "events"
# Where the files say that they were made.
HOME = "/home/ci"
SECONDS = 120
RUNS: dict[str, tuple[str, tuple[str, ...]]] = {
    "broken": ("broken", ()),
    "broken-xdist": ("broken", ("-n2",)),
    "shard-1": ("broken", ("tests/test_assertions.py", "tests/test_marks.py", "tests/test_retries.py")),
    "shard-2": ("broken", ("tests/test_constraints.py", "tests/test_passing.py", "tests/test_retries.py")),
    "crash": ("crash", ()),
    "crash-xdist": ("crash", ("-n1", "--deselect=tests/test_crash.py::test_hangs")),
    "interrupted": ("crash", ("-k", "passes or hangs")),
    "empty": ("crash", ("-k", "nothing")),
}


def record(name: str, work: Path) -> None:
    """Run a sample with these arguments of pytest and keep what it recorded."""
    sample, arguments = RUNS[name]
    project, out = work / sample, work / "out"
    for folder in (project, out):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(FIXTURES / sample, project, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    flags = ("--engine=embedded", f"--out={out}", "--", *arguments)
    child = subprocess.Popen(
        [sys.executable, "-m", "realdb_ci", "run", project, *flags], cwd=work, stdout=subprocess.DEVNULL
    )
    if name == "interrupted":
        wait_for('"event": "start", "at": [^{}]*test_hangs', out / "events.jsonl")
        child.send_signal(signal.SIGINT)
    child.wait(SECONDS)
    text = (out / "events.jsonl").read_text(encoding="utf-8")
    text = text.replace(str(work), HOME).replace(sys.prefix, f"{HOME}/.venv").replace(sys.base_prefix, "/usr")
    (EVENTS / f"{name}.jsonl").write_text(text, encoding="utf-8")
    sys.stdout.write(f"{name}.jsonl: exit code {child.returncode}\n")


def wait_for(pattern: str, file: Path) -> None:
    """Until the file holds it."""
    until = time.monotonic() + SECONDS
    while not (file.exists() and re.search(pattern, file.read_text(encoding="utf-8"))):
        if time.monotonic() > until:
            raise TimeoutError(pattern)
        time.sleep(0.05)


def main() -> None:
    """Read the command line and run the samples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(RUNS))
    parser.add_argument("--work", type=Path, required=True)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    EVENTS.mkdir(exist_ok=True)
    for name in options.names or RUNS:
        record(name, options.work.resolve())


if __name__ == "__main__":
    main()
