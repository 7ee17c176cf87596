"""Take the endpoints that we use out of GitHub's published OpenAPI description, into openapi.json beside this file.

    npm pack @octokit/openapi && tar xzf octokit-openapi-*.tgz
    python tests/github/extract_openapi.py package

The description is MIT-licensed; its licence is kept in the file. What describes is left out, what constrains is
kept, and OpenAPI 3.0's ``nullable`` becomes a JSON Schema type, so that any validator reads it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

REPO = "/repos/{owner}/{repo}"
ENDPOINTS = (
    ("post", f"{REPO}/check-runs"),
    ("get", f"{REPO}/check-runs/{{check_run_id}}"),
    ("patch", f"{REPO}/check-runs/{{check_run_id}}"),
    ("get", f"{REPO}/commits/{{ref}}/check-runs"),
    ("get", f"{REPO}/commits/{{commit_sha}}/pulls"),
    ("get", f"{REPO}/compare/{{basehead}}"),
    ("get", f"{REPO}/actions/artifacts"),
    ("get", f"{REPO}/actions/artifacts/{{artifact_id}}/{{archive_format}}"),
    ("get", f"{REPO}/actions/runs/{{run_id}}"),
    ("get", f"{REPO}/issues/{{issue_number}}/comments"),
    ("post", f"{REPO}/issues/{{issue_number}}/comments"),
    ("patch", f"{REPO}/issues/comments/{{comment_id}}"),
)
# What constrains a value; everything else in a schema is for people or for generators.
KEPT = {
    *("type", "enum", "properties", "required", "items", "additionalProperties", "format"),
    *("maxItems", "minItems", "maxLength", "minLength", "maximum", "minimum", "pattern"),
    *("oneOf", "anyOf", "allOf", "$ref"),
}


def extract(package: Path) -> dict[str, Any]:
    """The subset, as plain data."""
    whole = json.loads((package / "generated" / "api.github.com.json").read_text(encoding="utf-8"))
    manifest = json.loads((package / "package.json").read_text(encoding="utf-8"))
    endpoints = [_endpoint(whole, method, path) for method, path in ENDPOINTS]
    schemas: dict[str, Any] = {}
    waiting = _named(endpoints)
    while waiting:
        name = waiting.pop()
        if name not in schemas:
            schemas[name] = _bare(whole["components"]["schemas"][name])
            waiting |= _named(schemas[name])
    return {
        "source": f"{manifest['name']} {manifest['version']}, generated/api.github.com.json",
        "licence": (package / "LICENSE").read_text(encoding="utf-8"),
        "endpoints": endpoints,
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


def _endpoint(whole: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    told = whole["paths"][path][method]
    parameters = [_resolved(whole, one) for one in told.get("parameters", ())]
    body = told.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    answers = {}
    for status, answer in told["responses"].items():
        schema = _resolved(whole, answer).get("content", {}).get("application/json", {}).get("schema")
        if status.startswith("2") and schema:
            answers[status] = _bare(schema)
    return {
        "method": method.upper(),
        "path": path,
        "query": {one["name"]: _bare(one["schema"]) for one in parameters if one["in"] == "query"},
        "body": _bare(body) if body else None,
        "answers": answers,
    }


def _resolved(whole: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """The thing itself, where only a reference to it is told."""
    for name in told.get("$ref", "#").split("/")[1:]:
        whole = whole[name]
    return whole if "$ref" in told else told


def _bare(schema: Any) -> Any:
    """A schema with nothing in it but constraints."""
    if not isinstance(schema, dict):
        return schema
    bare: dict[str, Any] = {name: schema[name] for name in schema if name in KEPT}
    for name in ("items", "additionalProperties"):
        if name in bare:
            bare[name] = _bare(bare[name])
    for name in ("oneOf", "anyOf", "allOf"):
        if name in bare:
            bare[name] = [_bare(one) for one in bare[name]]
    if "properties" in bare:
        bare["properties"] = {name: _bare(one) for name, one in bare["properties"].items()}
    if schema.get("nullable"):
        bare = {"anyOf": [bare, {"type": "null"}]}
    return bare


def _named(plain: Any) -> set[str]:
    """The component schemas that are referred to."""
    if isinstance(plain, dict):
        own = {plain["$ref"].rpartition("/")[2]} if isinstance(plain.get("$ref"), str) else set()
        return own.union(*map(_named, plain.values()))
    return set().union(*map(_named, plain)) if isinstance(plain, list) else set()


if __name__ == "__main__":
    target = Path(__file__).with_name("openapi.json")
    target.write_text(json.dumps(extract(Path(sys.argv[1])), indent=1) + "\n", encoding="utf-8")
