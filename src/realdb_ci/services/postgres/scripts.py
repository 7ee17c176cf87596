"""Scripts: SQL texts of several statements, and where each of them ends.

Lexical rules: https://www.postgresql.org/docs/current/sql-syntax-lexical.html. That a semicolon within a rule's
parentheses or a function's ``BEGIN ATOMIC ... END`` ends nothing is as psql has it.
"""

from __future__ import annotations

import re

_SEVERAL = re.compile(r";\s*[^\s;]")
_TOKEN = re.compile(
    r"""
      --[^\n]*                              # a comment
    | (?P<comment>/\*)
    | \b[eE]'(?:[^'\\]|\\.|'')*'            # a string with escapes
    | '[^']*' | "[^"]*"                     # doubled quotes make two of these
    | (?P<dollars>\$(?:[^\W\d]\w*)?\$).*?(?P=dollars)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<mark>[();])
    """,
    re.VERBOSE | re.DOTALL,
)
_NOTHING = re.compile(r"\s+|--[^\n]*|(?P<comment>/\*)")
_COMMENT_MARK = re.compile(r"/\*|\*/")


def split(text: str) -> tuple[str, ...]:
    """The statements of a text, in order, without what separates them."""
    if not _SEVERAL.search(text):
        return (text,)
    found, start, depth = [], 0, _Depth()
    at = 0
    while token := _TOKEN.search(text, at):
        at = _comment_end(text, token.start()) if token["comment"] else token.end()
        if token["mark"] == ";" and not depth:
            found.append(text[start : token.start()])
            start, depth = at, _Depth()
        elif token["word"] or token["mark"]:
            depth.pass_by(token[0].lower())
    return tuple(part for part in (*found, text[start:]) if _says_something(part))


class _Depth:
    """How deep in parentheses and blocks a place in a statement is."""

    def __init__(self) -> None:
        self._first = self._last = ""
        self._parentheses = self._blocks = 0

    def __bool__(self) -> bool:
        return self._parentheses > 0 or self._blocks > 0

    def pass_by(self, word: str) -> None:
        """Take one word or parenthesis into account."""
        self._first = self._first or word
        if word in "()":
            self._parentheses += 1 if word == "(" else -1
        elif self._first == "create":
            begins = word == "atomic" and self._last == "begin"
            if begins or (self._blocks and word == "case"):
                self._blocks += 1
            elif self._blocks and word == "end":
                self._blocks -= 1
        self._last = word


def _comment_end(text: str, start: int) -> int:
    """Where a comment ends, with those within it."""
    depth = 0
    for mark in _COMMENT_MARK.finditer(text, start):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)


def _says_something(part: str) -> bool:
    at = 0
    while token := _NOTHING.match(part, at):
        at = _comment_end(part, at) if token["comment"] else token.end()
    return at < len(part)
