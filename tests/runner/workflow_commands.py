"""What GitHub's runner makes of a step's log: commands, annotations, groups, masks.

Written from the behaviour of ``ActionCommand.cs``, ``ActionCommandManager.cs`` and ``ExecutionContext.cs``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

KNOWN = {
    *("error", "warning", "notice", "debug", "group", "endgroup", "add-mask", "add-matcher", "remove-matcher"),
    *("echo", "stop-commands", "set-output", "save-state", "set-env", "add-path"),
}
ISSUES = ("error", "warning", "notice")
ISSUES_OF_A_KIND = 10
MESSAGE_LIMIT = 4096
_NEW = re.compile(r"^\s*::(?P<name>[^\s:]+)(?:\s(?P<properties>.*?))?::(?P<data>.*)$")
_OLD = re.compile(r"##\[(?P<name>[\w-]+)(?:\s(?P<properties>[^\]]*))?\](?P<data>.*)$")
_ESCAPES = (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%3B", ";"), ("%5D", "]"))


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
        found = _NEW.match(line) or _OLD.search(line)
        name = found["name"].lower() if found else ""
        if self._token:
            if name == self._token.lower():
                self._token = ""
            else:
                self._show(line)
            return
        if found is None or name not in KNOWN:
            self._show(line)
            return
        properties = {}
        for pair in (found["properties"] or "").split(";" if line.find("##[") == found.start() else ","):
            key, equals, value = pair.partition("=")
            if equals and value:
                properties[key.strip().lower()] = _decoded(value)
        self._obey(name, properties, _decoded(found["data"], data=True))

    def _obey(self, name: str, properties: dict[str, str], data: str) -> None:
        match name:
            case "stop-commands":
                if not data or data.lower() in KNOWN or data.lower() == "pause-logging":
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


def _decoded(text: str, *, data: bool = False) -> str:
    for code, character in _ESCAPES[:2] if data else _ESCAPES:
        text = text.replace(code, character)
    return text.replace("%25", "%")
