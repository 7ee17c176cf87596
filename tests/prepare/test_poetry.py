"""Poetry's own words for versions, as any installer reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from realdb_ci.prepare import poetry


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("*", ""),
        ("^1.2.3", ">=1.2.3,<2"),
        ("^1", ">=1,<2"),
        ("^0.2.3", ">=0.2.3,<0.3"),
        ("^0.0.3", ">=0.0.3,<0.0.4"),
        ("^0.0", ">=0.0,<0.1"),
        ("^0", ">=0,<1"),
        ("^2.0b1", ">=2.0b1,<3"),
        ("~1.2.3", ">=1.2.3,<1.3"),
        ("~1.2", ">=1.2,<1.3"),
        ("~1", ">=1,<2"),
        ("1.2.3", "==1.2.3"),
        ("1.2.*", "==1.2.*"),
        (">=1.2, <2", ">=1.2,<2"),
        (">=1.2 <2", ">=1.2,<2"),
        ("~= 1.2", "~=1.2"),
        ("^1.2, !=1.3", ">=1.2,<2,!=1.3"),
        ("^1 || ^2", ""),
    ],
)
def test_constraint_is_what_poetrys_documentation_says(text: str, plain: str) -> None:
    """And Python's own tools can read it."""
    assert poetry.specifier(text) == plain
    SpecifierSet(poetry.specifier(text))


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ({"git": "https://example.org/a.git", "tag": "v1"}, "a @ git+https://example.org/a.git@v1"),
        ({"git": "https://example.org/a.git"}, "a @ git+https://example.org/a.git"),
        ({"url": "https://example.org/a.whl", "extras": ["b"]}, "a[b] @ https://example.org/a.whl"),
        ({"git": "git@example.org:o/a.git", "rev": "1"}, "a @ git+ssh://git@example.org/o/a.git@1"),
        ({"git": "https://example.org/a", "subdirectory": "b"}, "a @ git+https://example.org/a#subdirectory=b"),
        ([{"version": "^1", "markers": "os_name == 'nt'"}, {"version": "2"}], "a>=1,<2 ; os_name == 'nt'|a==2"),
    ],
)
def test_package_from_elsewhere_is_asked_for_there(told: object, line: str, tmp_path: Path) -> None:
    """A repository, an address, and one package with several constraints."""
    metadata = {"tool": {"poetry": {"group": {"dev": {"dependencies": {"a": told}}}}}}
    found = poetry.requirements(metadata, ["dev"], tmp_path, main=False)
    assert "|".join(found) == line


def test_path_starts_from_the_project(tmp_path: Path) -> None:
    """Wherever the installer runs."""
    metadata = {"tool": {"poetry": {"dev-dependencies": {"near": {"path": "../near"}}}}}
    found = poetry.requirements(metadata, [], tmp_path / "project", main=False)
    assert found == (f"near @ {(tmp_path / 'near').as_uri()}",)


@pytest.mark.parametrize(
    ("told", "marker"),
    [
        ({"platform": "win32"}, "sys_platform == 'win32'"),
        ({"platform": "linux || darwin"}, "sys_platform == 'linux' or sys_platform == 'darwin'"),
        ({"platform": "!=win32"}, "sys_platform != 'win32'"),
        ({"python": "^3.8"}, "python_version >= '3.8' and python_version < '4'"),
        ({"python": "~3.8.1"}, "python_full_version >= '3.8.1' and python_version < '3.9'"),
        ({"python": "3.11"}, "python_version == '3.11'"),
        ({"python": "<3.9 || >=3.12"}, "python_version < '3.9' or python_version >= '3.12'"),
        (
            {"python": "<3.9", "platform": "win32", "markers": "extra == 'x'"},
            "(extra == 'x') and (sys_platform == 'win32') and (python_version < '3.9')",
        ),
    ],
)
def test_where_a_package_is_wanted_becomes_a_marker(told: dict[str, str], marker: str, tmp_path: Path) -> None:
    """Poetry has keys of its own for platforms and Pythons; in a list of tables each has its own."""
    table = {"a": [{"version": "1", **told}, {"version": "2", "python": "*"}]}
    metadata = {"tool": {"poetry": {"dev-dependencies": table}}}
    first, second = poetry.requirements(metadata, [], tmp_path, main=False)
    assert str(Requirement(first).marker) == str(Marker(marker))
    assert first == f"a==1 ; {marker}"
    assert second == "a==2 ; python_version >= '3'"
