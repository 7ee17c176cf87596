"""The examples in the documents are files of projects that run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

DOCS = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))
SETTINGS = """
[tool.pytest.ini_options]
pythonpath = ["."]
filterwarnings = ["error"]
addopts = ["-p", "no:cacheprovider", "--strict-markers"]
"""


def _files(document: Path) -> dict[str, str]:
    """The Python blocks of a document by the file name in their first line."""
    tokens = MarkdownIt().parse(document.read_text(encoding="utf-8"))
    blocks = [token.content for token in tokens if token.type == "fence" and token.info == "python"]
    files = {}
    for block in blocks:
        named = re.match(r"# (\w+\.py)\n", block)
        assert named, f"{document.name}: a Python block does not begin with its file's name:\n{block}"
        assert named[1] not in files, f"{document.name}: two blocks are {named[1]}"
        files[named[1]] = block
    return files


@pytest.mark.parametrize("engine", ["embedded", pytest.param("docker", marks=pytest.mark.docker)])
@pytest.mark.parametrize("document", DOCS, ids=lambda path: path.name)
def test_every_example_runs(document: Path, engine: str, tmp_path: Path) -> None:
    """All tests of the page pass, and each of its test files has some."""
    files = _files(document)
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(SETTINGS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", f"--realdb-engine={engine}"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.findall(r"^(test_\w+\.py)::\S+ PASSED", done.stdout, re.MULTILINE)
    assert set(passed) == {name for name in files if name.startswith("test_")}
