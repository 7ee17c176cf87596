"""Sources: what people name, and what each file is."""

from __future__ import annotations

from pathlib import Path

import pytest

from realdb_ci import sources
from realdb_ci.errors import SettingError
from realdb_ci.sources import Source

JUNIT = '<testsuite name="s"><testcase name="{}"/></testsuite>'
EVENTS = '{"event": "run", "at": 1.0, "project": "desk"}\n{"event": "end", "at": 2.0, "exitstatus": 0}\n'
OURS = '<?xml version="1.0"?>\n<testsuites name="realdb-ci"><testsuite/></testsuites>'


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what a job may have left, which is the folder we are in."""
    monkeypatch.chdir(tmp_path)
    for name, content in {
        "shards/1/events.jsonl": EVENTS,
        "shards/2/events.jsonl": EVENTS,
        "shards/2/junit.xml": OURS,
        "shards/3/junit.xml": OURS,
        "unit/a.xml": JUNIT.format("a"),
        "unit/deep/er/b.xml": JUNIT.format("b"),
        "unit/deep/coverage.xml": "<coverage/>",
        "unit/deep/notes.txt": "no",
        "unit/deep/log.jsonl": '{"level": "info"}\n',
        "unit/.hidden/c.xml": JUNIT.format("c"),
        "unit/node_modules/d.xml": JUNIT.format("d"),
        "odd[1].xml": JUNIT.format("odd"),
        "empty/readme.md": "",
        "out/junit.xml": OURS,
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    return tmp_path


def found(*words: str) -> list[str]:
    """The files that these words mean."""
    return [source.path.as_posix() for source in sources.find(words, Path("out"))]


@pytest.mark.parametrize(
    ("words", "files"),
    [
        (["unit/a.xml"], ["unit/a.xml"]),
        (["unit/a.xml", "./unit/../unit/a.xml", "unit/*.xml"], ["unit/a.xml"]),
        (["unit/**/*.xml"], ["unit/.hidden/c.xml", "unit/a.xml", "unit/deep/coverage.xml", "unit/deep/er/b.xml"]),
        (["unit/?.xml"], ["unit/a.xml"]),
        (["odd[1].xml"], ["odd[1].xml"]),
        (["unit/deep"], ["unit/deep/coverage.xml", "unit/deep/log.jsonl", "unit/deep/er/b.xml"]),
        (["shards"], ["shards/1/events.jsonl", "shards/2/events.jsonl", "shards/3/junit.xml"]),
        (
            ["shards/*/events.jsonl", "out/junit.xml"],
            ["shards/1/events.jsonl", "shards/2/events.jsonl", "out/junit.xml"],
        ),
    ],
)
def test_words_mean_files(tree: Path, words: list[str], files: list[str]) -> None:
    """Names, folders, patterns; each file once, none of other people's, none that only repeats events beside it."""
    assert found(*words) == files


@pytest.mark.parametrize("word", ["gone.xml", "unit/*.json", "empty", "gone/**", "out/*.xml"])
def test_word_that_means_nothing_is_refused(tree: Path, word: str) -> None:
    """A mistyped pattern is no green report; the earlier report in the output folder is no find."""
    with pytest.raises(SettingError, match="No file") as raised:
        found("unit/a.xml", word)
    assert raised.value.exit_code == 2
    assert word in raised.value.what


def read(path: str, content: bytes | None = None, *, named: bool = True) -> sources.Results | None:
    """What is read of a file."""
    if content is not None:
        Path(path).write_bytes(content)
    return sources.read(Source(Path(path), named), Path.cwd())


def test_files_are_read_for_what_they_are(tree: Path) -> None:
    """Whatever their names; the suite of a JUnit file is called after it, and knows its file."""
    events = read("renamed.txt", EVENTS.encode())
    junit = read("renamed.log", b"\xef\xbb\xbf \n" + JUNIT.format("x").encode())
    assert events is not None
    assert junit is not None
    assert [(suite.project, suite.sources) for suite in events.suites] == [("desk", ("renamed.txt",))]
    assert [(suite.project, suite.sources) for suite in junit.suites] == [("renamed.log", ("renamed.log",))]


def test_one_file_a_class_is_one_suite_a_folder(tree: Path) -> None:
    """Surefire, Gradle and others write hundreds of TEST-*.xml; nobody wants hundreds of suites."""
    (tree / "unit" / "TEST-a.xml").write_text(JUNIT.format("a"))
    (tree / "TEST-b.xml").write_text(JUNIT.format("b"))
    names = [part.suites[0].project for path in ("unit/TEST-a.xml", "TEST-b.xml") if (part := read(path))]
    assert names == ["unit", tree.name]


@pytest.mark.parametrize(
    ("content", "what", "why"),
    [
        (b"", "cannot be read", "it is empty"),
        (b"\x00\xff\x10", "cannot be read", "neither events nor XML"),
        (b'{"level": "info"}\n', "cannot be read", "neither events nor XML"),
        (b"<coverage/>", "is no JUnit file", "a coverage report"),
        (b"<testsuite><testcase/>", "could not be read to its end", "ends in the middle"),
    ],
)
def test_broken_file_becomes_a_problem(tree: Path, content: bytes, what: str, why: str) -> None:
    """It never hides the others: it tells only of itself, and the verdict is red."""
    told = read("broken.xml", content)
    assert told is not None
    [suite] = told.suites
    [problem] = suite.problems
    assert problem.what == f"broken.xml {what}"
    assert why in problem.why
    assert told.exit_code == 1


def test_file_that_cannot_be_opened_becomes_a_problem(tree: Path) -> None:
    """Whoever may not read it learns so."""
    told = read("gone.xml")
    assert told is not None
    assert told.suites[0].problems[0].why == "No such file or directory"


@pytest.mark.parametrize("name", ["unit/deep/coverage.xml", "unit/deep/log.jsonl", "unit/deep/notes.txt"])
def test_other_files_that_were_found_are_passed_over(tree: Path, name: str) -> None:
    """A folder holds many things; only a name that somebody wrote is a promise."""
    assert read(name, named=False) is None
    assert read(name) is not None


def test_broken_file_that_was_found_is_told(tree: Path) -> None:
    """An empty junit.xml in a folder is most likely a job's that died."""
    for name in ("x.xml", "x.jsonl"):
        told = read(name, b"", named=False)
        assert told is not None
        assert told.exit_code == 1
