"""Needs: which servers the collected tests will want, known before the first of them runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

import pytest

from realdb_ci.errors import SettingError
from realdb_ci.services.access import COMMIT

# Where one of these is given, some collected tests will not run: only the end of collection shows the need.
_DESELECTING = ("keyword", "markexpr", "deselect", "lf", "failedfirst", "stepwise")
# Where one of these is given, none will run.
_LOOKING = ("collectonly", "showfixtures", "show_fixtures_per_test", "setupplan")
_WORDS = (COMMIT,)
_MARK = (COMMIT, "max_queries")


class Needs:
    """What the tests of one pytest process need.

    Args:
        known: the names of the services.
        option: pytest's options.
    """

    def __init__(self, known: Collection[str], option: Any) -> None:
        self._known = known
        self._marked: Counter[str] = Counter()
        self.services: dict[str, None] = {}
        """Names of the services that a test needs, in the order they were met."""
        self.nothing_runs = any(getattr(option, one, None) for one in _LOOKING)
        """Whether pytest only looks at the tests."""
        self.early = not self.nothing_runs and not any(getattr(option, one, None) for one in _DESELECTING)
        """Whether a test that was collected will run, too."""

    def add(self, item: pytest.Item) -> Iterable[str]:
        """Look at a test; return the services that no test before it needed."""
        new = [name for name in self.of(item) if name not in self.services]
        self.services.update(dict.fromkeys(new))
        return new

    def of(self, item: pytest.Item) -> Iterable[str]:
        """The services that a test needs."""
        fixtures = [name for name in getattr(item, "fixturenames", ()) if name.endswith("_server")]
        names = [name.removesuffix("_server") for name in fixtures]
        return [name for name in names if name in self._known]

    def count(self, item: pytest.Item) -> None:
        """Count a test that was selected, by its marks."""
        self._marked.update(word for word in _WORDS if is_marked(item, word))

    def marked(self, word: str) -> int:
        """How many of the selected tests carry ``@pytest.mark.realdb(<word>=True)``."""
        return self._marked[word]


def check_marks(item: pytest.Item) -> None:
    """Raise SettingError where a mark of the test says what we do not know."""
    for mark in item.iter_markers("realdb"):
        unknown = [*map(repr, mark.args), *(word for word in mark.kwargs if word not in _MARK)]
        commit = mark.kwargs.get(COMMIT, False)
        if unknown or not isinstance(commit, bool):
            raise SettingError(
                f"The mark realdb of {item.name} cannot be used",
                why=f"it says {', '.join(unknown)}" if unknown else f"commit is {commit!r}",
                remedy="Write @pytest.mark.realdb(commit=True) or @pytest.mark.realdb(max_queries=20).",
            )


def is_marked(item: pytest.Item, word: str) -> bool:
    """Whether the test carries ``@pytest.mark.realdb(<word>=True)``; the nearest mark decides."""
    words = (mark.kwargs[word] for mark in item.iter_markers("realdb") if word in mark.kwargs)
    return bool(next(words, False))
