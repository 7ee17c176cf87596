"""Texts of any length, held within bounds while they are read."""

from __future__ import annotations

# Characters kept of one text: enough for a person.
LIMIT = 50_000
# Characters kept in one file at that limit; what comes after it is kept much shorter.
PLENTY = 50_000_000
SHORT_LIMIT = 2_000
# How runners name a file that belongs to a test, in its output.
MARK = "[[ATTACHMENT|"


class Budget:
    """What one file may still fill memory with."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = PLENTY

    def text(self) -> Text:
        """An empty text with the limit that is right by now."""
        return Text(LIMIT if self._left > 0 else SHORT_LIMIT)

    def spend(self, characters: int) -> None:
        """Count characters that are kept."""
        self._left -= characters


class Text:
    """A text that comes in pieces; its beginning and its end are kept.

    Args:
        limit: how many characters to keep.
    """

    __slots__ = ("_half", "_head", "_length", "_room", "_tail", "_waiting")

    def __init__(self, limit: int) -> None:
        self._half = self._room = limit // 2
        self._head: list[str] = []
        self._tail: list[str] = []
        self._waiting = 0
        self._length = 0

    def take(self, piece: str) -> None:
        """Take the next piece."""
        self._length += len(piece)
        if self._room:
            self._head.append(piece[: self._room])
            piece = piece[self._room :]
            self._room -= len(self._head[-1])
        if piece:
            self._tail.append(piece[-self._half :])
            self._waiting += len(self._tail[-1])
            if self._waiting > 4 * self._half:
                self._tail = [self._end()]
                self._waiting = len(self._tail[0])

    @property
    def marked(self) -> bool:
        """Whether there is a mark in it that names a file."""
        return any(MARK in piece for piece in (*self._head, *self._tail))

    @property
    def kept(self) -> int:
        """How many characters are kept."""
        return min(self._length, 2 * self._half)

    def whole(self) -> str:
        """What was kept, without the blanks around it."""
        head, end = "".join(self._head), self._end()
        missing = self._length - len(head) - len(end)
        if missing:
            return f"{head.lstrip()}\n[... {missing} characters left out ...]\n{end.rstrip()}"
        return (head + end).strip()

    def _end(self) -> str:
        return "".join(self._tail)[-self._half :]
