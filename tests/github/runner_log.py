"""How GitHub's runner reads a line of a log: what it would obey, and how it understands it.

Facts from src/Runner.Common/ActionCommand.cs and src/Runner.Worker/ActionCommandManager.cs of actions/runner.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

COMMANDS = {
    *("error", "warning", "notice", "debug", "group", "endgroup", "add-mask", "add-matcher", "remove-matcher"),
    *("echo", "stop-commands", "set-output", "save-state", "set-env", "add-path"),
}


@dataclass(frozen=True)
class Command:
    """A command as the runner understands it."""

    name: str
    properties: dict[str, str]
    data: str


def obeyed(line: str) -> Command | None:
    """The command in a line, or None for plain text."""
    return _with_colons(line) or _with_brackets(line)


def ends(line: str, token: str) -> bool:
    """Whether the line ends a stretch of the log in which no command is obeyed."""
    text = _compared(line).strip()
    return text.lower() == f"::{token}::".lower()


def _with_colons(line: str) -> Command | None:
    text = _compared(line).lstrip()
    info, colons, data = text[2:].partition("::")
    name, _, rest = info.partition(" ")
    if not text.startswith("::") or not colons or name.lower() not in COMMANDS:
        return None
    if line.lstrip().startswith("::") and line.count("::") > 1:
        info, data = line.lstrip()[2:].split("::", 1)  # as it stands
        rest = info.partition(" ")[2]
    pairs = (pair.split("=", 1) for pair in rest.split(",") if pair)
    properties = {pair[0]: _decoded(pair[1], ("%3A", ":"), ("%2C", ",")) for pair in pairs if len(pair) == 2}
    return Command(name.lower(), properties, _decoded(data))


def _with_brackets(line: str) -> Command | None:
    """The older form, which is looked for anywhere in a line."""
    _, found, rest = _compared(line).partition("##[")
    info, bracket, data = rest.partition("]")
    name, _, told = info.partition(" ")
    pairs = (pair.split("=", 1) for pair in told.split(";") if "=" in pair)
    known = bool(found and bracket) and name.lower() in COMMANDS
    return Command(name.lower(), dict(pairs), data) if known else None


def _compared(line: str) -> str:
    """Comparing texts, .NET passes over characters that only format; this leaves them out altogether."""
    return "".join(sign for sign in line if unicodedata.category(sign) != "Cf")


def _decoded(text: str, *more: tuple[str, str]) -> str:
    for code, sign in (("%0D", "\r"), ("%0A", "\n"), *more, ("%25", "%")):
        text = text.replace(code, sign)
    return text
