"""Everything that can go wrong, as one tree.

RealdbError                   exit code
├── SettingError              2   a setting, flag or path that cannot be used
├── ServerError               3   a server that could not be had, started or reached
│   └── Refusal               3   one engine cannot serve here; the next one may
├── EnvironmentProblem        3   the machine or the tested project lacks something we need
└── IsolationError            3   a test does what its kind of isolation cannot undo or show

Every error carries three sentences: what happened, why, and what to do about it.
"""

from __future__ import annotations

from typing import ClassVar


class RealdbError(Exception):
    """The root: catch this to catch everything realdb-ci raises on purpose.

    Args:
        what: what happened, naming the thing (a full sentence without its full stop).
        why: the cause, as precisely as it is known.
        remedy: the next step for the reader.
        log: the last lines a server wrote, where there is a server to blame.

    """

    exit_code: ClassVar[int] = 3

    def __init__(self, what: str, *, why: str = "", remedy: str = "", log: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.remedy = remedy
        self.log = log.strip()

    def __str__(self) -> str:
        parts = [self.what]
        if self.why:
            parts.append(f"  why: {self.why}")
        if self.remedy:
            parts.append(f"  fix: {self.remedy}")
        if self.log:
            parts.append("  last log lines:\n" + "\n".join(f"    {line}" for line in self.log.splitlines()))
        return "\n".join(parts)

    def to_dict(self) -> dict[str, str | int]:
        """Plain data, for the events file and for other processes."""
        return {
            "what": self.what,
            "why": self.why,
            "remedy": self.remedy,
            "log": self.log,
            "exit_code": self.exit_code,
        }


class SettingError(RealdbError):
    """A setting, flag, path or value that cannot be used."""

    exit_code = 2


class ServerError(RealdbError):
    """A database server that could not be had, started or reached."""


class EnvironmentProblem(RealdbError):
    """The machine or the tested project lacks something realdb-ci needs."""


class Refusal(ServerError):
    """One engine cannot serve here; under ``engine = auto`` the next one is asked."""


class IsolationError(RealdbError):
    """A test does what savepoints cannot undo, or cannot show; it needs a database of its own."""


class IsolationWarning(UserWarning):
    """A test does what savepoints show differently than production, or leaves something behind."""
