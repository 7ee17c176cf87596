"""The house: imports point one way, and drivers are imported only where they are used."""

import ast
from collections import Counter
from pathlib import Path

import pytest

import realdb_ci

SOURCE = Path(realdb_ci.__file__).parent
# What each room or module may import of ours, beside itself.
LEAVES = {"errors", "results"}
SERVICES = LEAVES | {"config", "services", "processes"}
ENGINES = LEAVES | {"archive", "services", "engines", "processes"}
ALLOWED = {
    "__init__": set(),
    "errors": set(),
    "results": set(),
    "config": {"errors"},
    "services": SERVICES,
    "engines": ENGINES,
    "recorder": {"errors", "anchors", "timing"},
    "timing": LEAVES | {"hub", "suite", "processes"},
    "anchors": set(),
    "doubles": {"errors", "services"},
    "factories": {"errors", "services"},
    "reports": {"results", "errors", "github", "runner"},
    "github": {"errors"},
    "foreign": {"results"},
    "sources": {"errors", "results", "foreign"},
    "report": {"errors", "config", "results", "sources", "reports", "github", "timing"},
    "servers": {"errors", "services", "engines"},
    "broker": {"errors", "services", "servers"},
    "archive": {"measured"},
    "measured": set(),
    "kept": set(),
    "needs": {"errors", "services"},
    "hub": {"errors", "config", "kept", "needs", "engines", "services", "servers", "broker", "recorder"},
    "evidence": {"errors", "hub"},
    "progress": {"engines"},
    "suite": {"errors", "processes"},
    "signals": set(),
    "processes": set(),
    "doctor": {"errors", "config", "services", "engines"},
    "run": {
        "errors",
        "config",
        "results",
        "services",
        "engines",
        "servers",
        "broker",
        "progress",
        "suite",
        "reports",
        "github",
        "timing",
    },
    "inputs": {"errors", "config"},
    "runner": set(),
    "prepare": LEAVES
    | {"archive", "measured", "processes", "config", "inputs", "services", "doubles", "engines", "timing"},
    "base": {"results", "github", "prepare", "timing"},
    "step": LEAVES | {"inputs", "reports", "run", "runner", "github"},
    "action": LEAVES
    | {"config", "inputs", "services", "engines", "servers", "broker", "suite", "run", "runner", "prepare", "step"}
    | {"github", "timing", "signals", "base"},
    "only": set(),
    "share": set(),
    "plugin": {
        "only",
        "share",
        "signals",
        "errors",
        "config",
        "services",
        "doubles",
        "hub",
        "evidence",
        "timing",
        "recorder",
        "anchors",
    },
    "cli": {"errors", "config", "run", "report", "doctor", "signals"},
    "__main__": {"cli"},
}
# What only an extra brings, or what takes long to import.
DRIVERS = {
    *("psycopg2", "sqlalchemy", "sqlmodel", "pymongo", "redis", "docker", "testcontainers", "urllib3"),
    *("fakeredis", "moto", "boto3", "botocore", "flask", "werkzeug"),
    *("freezegun", "requests", "responses", "httpx"),
}
MODULES = sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.py"))


def _imports(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "realdb_ci":
            names |= {f"realdb_ci.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_module_imports_only_what_the_house_allows(module: Path) -> None:
    """Data flows one way, so imports do: no module reaches up or across."""
    room = module.parts[0].removesuffix(".py")
    tree = ast.parse((SOURCE / module).read_text(encoding="utf-8"))
    ours = {name.split(".")[1] for name in _imports(tree) if name.startswith("realdb_ci.")}
    assert ours - {room, "__version__"} <= ALLOWED[room]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_drivers_are_imported_inside_functions(module: Path) -> None:
    """Importing us costs no driver: a missing extra is a clear error, an unused service costs nothing."""
    tree = ast.parse((SOURCE / module).read_text(encoding="utf-8"))
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not {name.split(".")[0] for node in top for name in _imports(node)} & DRIVERS


def test_every_module_of_the_tests_has_a_name_of_its_own() -> None:
    """They are imported by their bare names: of two with one name, a process sees whichever it met first."""
    names = Counter(file.name for file in Path(__file__).parent.rglob("*.py") if file.name != "conftest.py")
    assert [name for name, count in names.items() if count > 1] == []
