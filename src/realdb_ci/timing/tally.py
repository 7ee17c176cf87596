"""Tally: the statements of one phase of a test, counted and timed by text and line."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from realdb_ci.timing.shapes import shape

MOST_SHOWN = 20

Place = tuple[str, int] | None
"""A file of the project, from its root, and a line; None for a statement that no line of the project is behind."""


@dataclass
class Tally:
    """The statements of one phase.

    Attributes:
        groups: by text and line: how many, and seconds in the database.
        last: the texts of the latest.
    """

    groups: dict[tuple[str, Place], list[float]] = field(default_factory=dict)
    last: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_SHOWN))

    @property
    def count(self) -> int:
        """How many statements."""
        return int(sum(count for count, _ in self.groups.values()))

    @property
    def seconds(self) -> float:
        """The time in the database."""
        return sum(seconds for _, seconds in self.groups.values())

    def begin(self, text: str, place: Place) -> list[float]:
        """Count a statement.

        Returns:
            Its group, to whose seconds the caller adds what it took.
        """
        self.last.append(text)
        group = self.groups.get((text, place))
        if group is None:
            group = self.groups[text, place] = [0, 0.0]
        group[0] += 1
        return group

    def repeats(self, least: int) -> list[dict[str, Any]]:
        """What was sent at least so often from one line, most often first, as plain data."""
        sent: Counter[Place] = Counter()
        for (_, place), (count, _) in self.groups.items():
            sent[place] += int(count)
        merged: dict[tuple[str, Place], list[float]] = {}
        for (text, place), (count, seconds) in self.groups.items():
            if place is None or sent[place] < least:
                continue  # to take values out of texts is what takes time here
            group = merged.setdefault((shape(text), place), [0, 0.0])
            group[0] += count
            group[1] += seconds
        found = sorted(merged.items(), key=lambda item: -item[1][0])
        return [
            {"shape": text, "count": int(count), "seconds": seconds, "path": place[0], "line": place[1]}
            for (text, place), (count, seconds) in found
            if place is not None and count >= least
        ]

    def shown(self) -> str:
        """The latest statements, one a line, without their values."""
        earlier = [f"... {self.count - len(self.last)} before"] if self.count > len(self.last) else []
        return "\n".join([*earlier, *map(shape, self.last)])
