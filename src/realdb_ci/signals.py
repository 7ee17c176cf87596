"""Signals: what asks this process to end."""

from __future__ import annotations

import signal
import sys

ENDING = (signal.SIGINT, signal.SIGTERM)


def interrupt_once() -> None:
    """From now on turn the first signal into KeyboardInterrupt; the clean-up that follows is not interrupted."""
    for number in ENDING:
        signal.signal(number, _raise)


def break_interrupts() -> None:
    """On Windows, where a child of ours can be sent no Ctrl-C, take Ctrl-Break for one."""
    if sys.platform == "win32":
        signal.signal(signal.SIGBREAK, signal.default_int_handler)


def _raise(number: int, _frame: object) -> None:
    for other in ENDING:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt(number)
