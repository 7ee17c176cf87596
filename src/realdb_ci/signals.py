"""Signals: what asks this process to end."""

from __future__ import annotations

import signal
import sys

ENDING = (signal.SIGINT, signal.SIGTERM)


def interrupt_once() -> None:
    """From now on turn the first signal into KeyboardInterrupt; the clean-up that follows is not interrupted."""
    for number in ENDING:
        signal.signal(number, _raise)


def hold() -> None:
    """Keep back what asks us to end while nobody could tell of it, because nothing is imported yet."""
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)


def release() -> None:
    """Let through what was kept back."""
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def break_interrupts() -> None:
    """On Windows, where a child of ours can be sent no Ctrl-C, take Ctrl-Break for one."""
    if sys.platform == "win32":
        signal.signal(signal.SIGBREAK, signal.default_int_handler)


def _raise(number: int, _frame: object) -> None:
    for other in ENDING:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt(number)
