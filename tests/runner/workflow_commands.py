"""What GitHub's runner makes of a step's log: commands, annotations, groups, masks.

Written from the behaviour of ``ActionCommandManager.cs`` and ``ExecutionContext.cs``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from runner_log import COMMANDS, ends, obeyed

ISSUES_OF_A_KIND = 10
MESSAGE_LIMIT = 4096


@dataclass(frozen=True)
class Issue:
    """An annotation as the runner would send it on."""

    kind: str
    message: str
    properties: dict[str, str]


@dataclass
class StepLog:
    """The state of one step's log, fed line by line; both streams go through one of these."""

    issues: list[Issue] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    masks: set[str] = field(default_factory=set)
    groups: list[str] = field(default_factory=list)
    open_groups: int = 0
    failed: list[str] = field(default_factory=list)
    dropped: int = 0
    _token: str = ""

    def feed(self, text: str) -> None:
        """Take the output of the step."""
        for line in text.split("\n"):
            self._line(line.rstrip("\r"))

    @property
    def stopped(self) -> bool:
        """Whether commands are still stopped."""
        return bool(self._token)

    def of(self, kind: str) -> list[Issue]:
        """The annotations of one kind."""
        return [issue for issue in self.issues if issue.kind == kind]

    def _line(self, line: str) -> None:
        if self._token:
            if ends(line, self._token):
                self._token = ""
            else:
                self._show(line)
            return
        found = obeyed(line)
        if found is None:
            self._show(line)
        else:
            self._obey(found.name, found.properties, found.data)

    def _obey(self, name: str, properties: dict[str, str], data: str) -> None:
        match name:
            case "stop-commands":
                if not data or data.lower() in COMMANDS or data.lower() == "pause-logging":
                    self.failed.append(f"invalid stop-commands token {data!r}")
                else:
                    self._token = data
                    if len(data) > 6:
                        self.masks.add(data)
            case "add-mask":
                self.masks |= {data, *data.split("\n")} - {""}
            case "group":
                self.groups.append(data)
                self.open_groups += 1
                self._show(f"##[group]{data}")
            case "endgroup":
                self.open_groups = max(0, self.open_groups - 1)
            case "error" | "warning" | "notice":
                self._issue(name, properties, data)
            case "set-env" | "add-path":
                self.failed.append(f"{name} is disabled")
            case _:
                pass

    def _issue(self, kind: str, properties: dict[str, str], data: str) -> None:
        message = self.masked(data)[:MESSAGE_LIMIT]
        self._show(f"##[{kind}]{message}")
        if len(self.of(kind)) < ISSUES_OF_A_KIND:
            self.issues.append(Issue(kind, message, properties))
        else:
            self.dropped += 1

    def _show(self, line: str) -> None:
        self.shown.append(self.masked(line))

    def masked(self, text: str) -> str:
        """The text as the log would show it."""
        for mask in sorted(self.masks, key=len, reverse=True):
            text = text.replace(mask, "***")
        return text
