"""What we write, read as GitHub's runner reads it."""

from __future__ import annotations

import io
import os
from pathlib import Path

import file_commands
import pytest
from hypothesis import given
from hypothesis import strategies as st
from workflow_commands import ISSUES_OF_A_KIND, StepLog

from realdb_ci import runner
from realdb_ci.reports import outputs

NAMES = st.from_regex(r"[a-z][a-z-]*", fullmatch=True)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def _read(stream: io.StringIO) -> StepLog:
    log = StepLog()
    log.feed(stream.getvalue())
    return log


@given(title=TEXT.filter(lambda text: text.strip() == text), message=TEXT)
def test_annotations_arrive_as_they_were_meant(title: str, message: str) -> None:
    """Line ends, percent signs, colons and commas survive; only the limit cuts."""
    stream = io.StringIO()
    runner.Log(stream).problem("error", title, message)
    (issue,) = _read(stream).issues
    assert issue.message == message[: runner.MESSAGE_LIMIT]
    assert issue.properties.get("title", "") == title


HOSTILE = [
    "::error::taken over",
    "text ##[error]taken over",
    "::add-mask::e",
    "::stop-commands::",
    "::set-env name=PATH::/evil",
    "::stop-commands::mine\n::mine::\n::error::taken over",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_output_of_others_issues_no_command(text: str) -> None:
    """What the suite prints is shown and not obeyed, even without a line end; then we are heard again."""
    stream = io.StringIO()
    log = runner.Log(stream)
    with log.deaf():
        log.write(text)
        log.problem("warning", "ours", "in between")
        log.write(text)
    log.problem("notice", "ours", "after it")
    read = _read(stream)
    assert [issue.message for issue in read.issues] == ["in between", "after it"]
    assert not read.failed
    assert not read.stopped
    assert "taken over" in "".join(read.shown) or "taken over" not in text


def test_tokens_are_never_used_twice() -> None:
    """A token that was seen in the log cannot be printed by the suite to be heard."""
    stream = io.StringIO()
    log = runner.Log(stream)
    for _ in range(2):
        with log.deaf():
            log.line("text")
    tokens = [line for line in stream.getvalue().splitlines() if line.startswith("::stop-commands::")]
    assert len(set(tokens)) == 2


def test_log_outside_of_github_has_no_commands() -> None:
    """Where nobody obeys, people read plain lines."""
    stream = io.StringIO()
    log = runner.Log(stream, obeys=False)
    log.mask("secret")
    with log.deaf(), log.group("Title"):
        log.problem("error", "t", "what")
    assert stream.getvalue() == "Title\nerror: what\n"


@given(values=st.dictionaries(NAMES, TEXT.map(lambda t: t.replace("\r", ""))))
def test_outputs_hold_any_text(values: dict[str, str]) -> None:
    """Line ends, equals signs and look-alikes of delimiters do not break the file."""
    assert file_commands.pairs(outputs.render(values)) == values


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_of_root_go_back_to_the_owner_of_the_workspace(tmp_path: Path) -> None:
    """Links themselves change hands, never what they point to; what others own stays theirs."""
    outside = tmp_path / "outside"
    outside.touch()
    workspace = tmp_path / "workspace"
    (workspace / "deep").mkdir(parents=True)
    (workspace / "deep" / "file").touch()
    (workspace / "link").symlink_to(outside)
    (workspace / "theirs").touch()
    os.chown(workspace / "theirs", 1002, 1002)
    os.chown(workspace, 1001, 118)
    assert runner.give_back(workspace) == 3
    owners = {path.name: path.lstat().st_uid for path in workspace.rglob("*")}
    assert owners == {"deep": 1001, "file": 1001, "link": 1001, "theirs": 1002}
    assert outside.stat().st_uid == 0


def test_imitation_keeps_the_runners_limits() -> None:
    """Ten annotations of a kind, and old commands anywhere in a line: what the real runner does."""
    log = StepLog()
    log.feed("".join(f"::warning::{number}\n" for number in range(12)) + "text ##[error title=t]found\n")
    assert len(log.of("warning")) == ISSUES_OF_A_KIND
    assert log.dropped == 2
    assert [(issue.message, issue.properties) for issue in log.of("error")] == [("found", {"title": "t"})]


@pytest.mark.parametrize("text", ["nothing\n", "a<<\nb\n", "a<<E\nb\n", "a<<E\nb", "=x\n"])
def test_imitation_refuses_bad_files(text: str) -> None:
    """A file the real runner fails a step for, fails it here; what came before stays."""
    with pytest.raises(file_commands.BadFile) as caught:
        file_commands.pairs("first=1\n" + text)
    assert caught.value.pairs == {"first": "1"}
