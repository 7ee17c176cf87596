"""What GitHub accepts and answers: its published description, and the rules that the description does not hold."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

DESCRIPTION = json.loads(Path(__file__).with_name("openapi.json").read_text(encoding="utf-8"))
KIBIBYTE = 1024


@dataclass(frozen=True)
class Endpoint:
    """One endpoint of the description."""

    method: str
    path: str
    query: dict[str, Any]
    body: dict[str, Any] | None
    answers: dict[str, Any]

    @functools.cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches the paths it serves, with their parameters by name."""
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path) + "$")

    def complaints(self, query: dict[str, str], body: Any) -> list[str]:
        """Why GitHub would refuse a request; empty where it would not."""
        found = [f"unknown query parameter {name}" for name in query.keys() - self.query.keys()]
        for name in query.keys() & self.query.keys():
            number = self.query[name].get("type") == "integer"
            found += _invalid(self.query[name], int(query[name]) if number else query[name])
        if int(query.get("per_page", 1)) > 100:
            found.append("per_page is more than 100")
        if self.body is not None:
            found += _invalid(_strict(self.body), body) or list(_broken_rules(body))
        return found

    def misfits(self, status: int, answer: Any) -> list[str]:
        """Where an answer of the fake is not of the shape that GitHub's has; it may tell less than GitHub does."""
        return _invalid(_lenient(self.answers[str(status)]), answer)


ENDPOINTS = tuple(Endpoint(**one) for one in DESCRIPTION["endpoints"])


def _invalid(schema: dict[str, Any], value: Any) -> list[str]:
    errors = Draft202012Validator({**schema, "components": COMPONENTS}).iter_errors(value)
    return [f"{one.json_path}: {one.message[-200:]}" for one in errors]


def _strict(schema: Any) -> Any:
    """The schema without room for fields that GitHub does not know: it ignores them, and they are our mistakes."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {"additionalProperties": False} if isinstance(schema.get("properties"), dict) else {}
    return {**closed, **{name: _strict(one) for name, one in schema.items()}}


def _lenient(schema: Any) -> Any:
    """The schema without required fields."""
    if isinstance(schema, list):
        return [_lenient(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: _lenient(one) for name, one in schema.items() if name != "required" or isinstance(one, dict)}


# Only answers refer to them.
COMPONENTS = _lenient(DESCRIPTION["components"])


def _broken_rules(body: dict[str, Any]) -> Iterator[str]:
    """What the documentation, or GitHub's answers to others, say beyond the description."""
    if body.get("status") == "completed" and "conclusion" not in body:
        yield "a completed check run needs a conclusion"
    if body.get("conclusion") == "stale":
        yield "only GitHub sets the conclusion stale"
    if "head_sha" in body and not re.fullmatch("[0-9a-f]{40}", body["head_sha"]):
        yield "No commit found for SHA"
    output = body.get("output", {})
    for name in ("summary", "text"):
        if len(output.get(name, "").encode()) > 65_535:
            yield f"Only 65535 characters are allowed in output.{name}"
    for annotation in output.get("annotations", ()):
        yield from _broken_annotation(annotation)
    if "body" in body and not body["body"].strip():
        yield "Body can't be blank"
    if len(body.get("body", "")) > 65_536:
        yield "body is too long (maximum is 65536 characters)"


def _broken_annotation(told: dict[str, Any]) -> Iterator[str]:
    if not 1 <= told["start_line"] <= told["end_line"]:
        yield "the lines of an annotation are counted from 1, and the last is not before the first"
    columns = {"start_column", "end_column"} & told.keys()
    if columns and told["start_line"] != told["end_line"]:
        yield "columns are for annotations of a single line"
    if not told["message"].strip():
        yield "an annotation needs a message"
    if len(told.get("title", "")) > 255:
        yield "title is too long (maximum is 255 characters)"
    for name in ("message", "raw_details"):
        if len(told.get(name, "").encode()) > 64 * KIBIBYTE:
            yield f"{name} is too long (maximum is 64 KB)"
    if re.match(r"\.?/", told["path"]) or ".." in told["path"].split("/") or not told["path"]:
        yield "path is not relative to the root of the repository"
    texts = "".join(told.get(name, "") for name in ("path", "title", "message", "raw_details"))
    if re.search(r"[\x00\U00010000-\U0010ffff]", texts):
        yield "Unicode 4 byte characters are not allowed"
