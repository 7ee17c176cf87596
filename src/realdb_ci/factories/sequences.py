"""Sequences that start anew in every test, so that a test's values do not depend on the tests before it."""

# factory_boy annotates part of what it offers.
# mypy: allow-untyped-calls
from __future__ import annotations

from typing import cast

from factory.base import FactoryOptions

from realdb_ci.services.active import active


class RestartingOptions(FactoryOptions):
    """Options of a factory whose counter belongs to one test.

    The counter is asked for here, and not in ``create``: a ``SubFactory`` takes its number from the options
    without passing the factory's own methods.
    """

    #: The test the counter belongs to.
    turn = -1

    def next_sequence(self) -> int:
        """The next number in this test, from ``_setup_next_sequence`` on."""
        if not self._is_current():
            self.reset_sequence(force=True)
        return int(super().next_sequence())

    def reset_sequence(self, value: int | None = None, force: bool = False) -> None:
        """Continue with ``value``; the next test starts from the beginning all the same."""
        super().reset_sequence(value, force=force)
        cast("RestartingOptions", self.counter_reference).turn = active.turn

    def _is_current(self) -> bool:
        # A counter shared with a factory of another base is that factory's to restart.
        return getattr(self.counter_reference, "turn", active.turn) == active.turn
