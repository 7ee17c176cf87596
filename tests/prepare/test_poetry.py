"""Poetry's own words for versions, as any installer reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
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
