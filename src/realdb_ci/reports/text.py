"""Text: what a tested project printed or raised, made fit for people's eyes and for any file format."""

from __future__ import annotations

import re

# Colours and cursor movements; what they styled is worth keeping, they are not.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# What XML 1.0 forbids, a terminal obeys, or UTF-8 cannot hold; the marks that turn text around, which can make a
# line read as another one.
_UNFIT = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
# Comparing texts, .NET passes over characters that are not shown.
_UNSEEN = (
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff]*"
)
_COMMAND = re.compile(rf"^(?:\s|{_UNSEEN[:-1]})*:{_UNSEEN}:|#{_UNSEEN}#{_UNSEEN}\[")


def clean(text: str) -> str:
    """The text without terminal codes, with plain line ends, every unfit character as a visible escape."""
    if text.isprintable():  # most names are, and this takes no time
        return text
    text = _ANSI.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _UNFIT.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: str, limit: int = 300) -> str:
    """The cleaned text on one line of at most ``limit`` characters."""
    if len(text) <= limit and text.isprintable() and "  " not in text:
        return text.strip()
    line = " ".join(clean(text).split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


def excerpt(longrepr: str, path: str = "", line: int | None = None, lines: int = 12) -> str:
    """The part of a traceback to read first: the project's failing statement and what pytest says about it.

    Args:
        longrepr: the whole text.
        path: the file to take the statement from; empty for that of the deepest frame.
        line: the line in it.
        lines: how many lines at most.
    """
    whole = clean(longrepr).rstrip().splitlines()
    said = [number for number, text in enumerate(whole) if text.startswith("E ")]
    if not said:
        return "\n".join(whole[-lines:])
    # Exceptions that led to this one stand above it; what counts is the last block.
    first = next(number for number in reversed(said) if number - 1 not in said)
    # pytest ends the source of each frame with "path:line: ".
    frame = re.compile(rf"(?:^|/){re.escape(path.rpartition('/')[2])}:{line}:")
    frames = [number for number, text in enumerate(whole) if line is not None and frame.search(text)]
    end = frames[-1] if frames else first
    statement = [text for text in whole[:end] if text.startswith(">")][-1:]
    kept = statement + [text for text in whole[first:] if text.startswith("E ")]
    if len(kept) > lines:
        kept = [*kept[: lines - 1], f"... {len(kept) - lines + 1} more lines"]
    return "\n".join(kept)


def middle_cut(text: str, limit: int) -> str:
    """The cleaned text, with its middle left out where it has more than ``limit`` characters."""
    text = clean(text).strip("\n")
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"


def middle_fit(text: str, budget: int) -> str:
    """The cleaned text in at most ``budget`` bytes of UTF-8 (100 or more), without its middle if it must be."""
    whole = clean(text).strip("\n").encode()
    if len(whole) <= budget:
        return whole.decode()
    half = (budget - 100) // 2
    head, tail = whole[:half].decode(errors="ignore"), whole[-half:].decode(errors="ignore")
    return f"{head}\n[... {len(whole) - 2 * half} bytes left out ...]\n{tail}"


def inert(line: str) -> str:
    """The line with nothing in it that GitHub's runner would obey, were it printed to a log.

    The runner looks for ``::name`` where a line begins, and for ``##[name]`` anywhere in it: see ``TryParseV2`` and
    ``TryParse`` in its src/Runner.Common/ActionCommand.cs.
    """
    return _COMMAND.sub(lambda found: found[0][:-1] + " " + found[0][-1], line)


def encodable(text: str, encoding: str) -> str:
    """The text in characters that an encoding has; the others as escapes."""
    return text.encode(encoding, "backslashreplace").decode(encoding)


def seconds(value: float) -> str:
    """A duration as people read it: ``4 ms``, ``1.25 s``, ``3 min 20 s``."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{value:.2f} s"
    return f"{int(value) // 60} min {int(value) % 60:02d} s"
