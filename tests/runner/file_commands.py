"""What GitHub's runner reads from the files of a step; from the behaviour of ``FileCommandManager.cs``."""

from __future__ import annotations

SUMMARY_LIMIT = 1024 * 1024


class BadFile(Exception):
    """The runner fails the step over this file; what was read before stays applied."""

    def __init__(self, why: str, pairs: dict[str, str]) -> None:
        super().__init__(why)
        self.pairs = pairs


def pairs(text: str) -> dict[str, str]:
    """The pairs of an output, environment or state file; only LF ends a line, the last write counts.

    Raises:
        BadFile: a line has neither form, a delimiter is missing, or a name is empty.
    """
    found: dict[str, str] = {}
    text = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    position = 0
    while position < len(text):
        line, position = _next(text, position)
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if equals >= 0 and (heredoc < 0 or equals < heredoc):
            name, _, value = line.partition("=")
        elif heredoc >= 0:
            name, _, delimiter = line.partition("<<")
            if not name or not delimiter:
                raise BadFile(f"Invalid format '{line}'", found)
            value, position = _heredoc(text, position, delimiter, found)
        else:
            raise BadFile(f"Invalid format '{line}'", found)
        if not name:
            raise BadFile("a name is empty", found)
        found[name] = value
    return found


def summary_problem(data: bytes) -> str:
    """Why the runner would not upload this summary, or nothing."""
    return f"{len(data)} bytes are over the limit" if len(data) > SUMMARY_LIMIT else ""


def _next(text: str, position: int) -> tuple[str, int]:
    end = text.find("\n", position)
    return (text[position:], len(text)) if end < 0 else (text[position:end], end + 1)


def _heredoc(text: str, position: int, delimiter: str, found: dict[str, str]) -> tuple[str, int]:
    lines = []
    while position < len(text):
        line, after = _next(text, position)
        if line == delimiter:
            return "\n".join(lines), after
        if text[after - 1] != "\n":
            raise BadFile(f"no newline before the delimiter '{delimiter}'", found)
        lines.append(line)
        position = after
    raise BadFile(f"Matching delimiter not found '{delimiter}'", found)
