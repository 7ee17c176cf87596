"""Which requirements files are taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from realdb_ci.prepare import lists


def _of(project: Path, **texts: str) -> list[str]:
    for name, text in texts.items():
        path = project / f"{name.replace('__', '/').replace('_', '-')}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return [path.relative_to(project).as_posix() for path in lists.of(project)]


def test_lists_for_tests_and_the_plain_one_are_taken(tmp_path: Path) -> None:
    """Those of other tools are not, as they may contradict these."""
    others = dict.fromkeys(["requirements_docs", "requirements_lint", "requirements__production"], "")
    assert _of(tmp_path, requirements="", requirements_dev="", **others) == [
        "requirements-dev.txt",
        "requirements.txt",
    ]


@pytest.mark.parametrize(
    "name", ["dev_requirements", "tests__requirements", "requirements__ci", "requirements_testing"]
)
def test_list_for_tests_is_known_by_a_word_of_its_name(name: str, tmp_path: Path) -> None:
    """Wherever it lies of the places that are usual."""
    found = _of(tmp_path, **{name: "", "requirements__base": "", "requirements_latest": ""})
    assert set(found) == {"requirements/base.txt", f"{name.replace('__', '/').replace('_', '-')}.txt"}


def test_all_lists_are_taken_where_none_is_for_tests(tmp_path: Path) -> None:
    """Which of them tests need nobody says then."""
    assert _of(tmp_path, requirements="", requirements_docs="") == ["requirements-docs.txt", "requirements.txt"]


def test_constraints_of_another_list_are_none(tmp_path: Path) -> None:
    """To install all that they bound would be another environment; they still decide what is installed."""
    found = _of(
        tmp_path,
        requirements="-r requirements/more.txt\n-c requirements/bounds.txt\nclick\n",
        requirements__more="idna\n",
        requirements__bounds="click<9\n",
    )
    assert found == ["requirements/more.txt", "requirements.txt"]
    included = lists.included([tmp_path / "requirements.txt"])
    assert tmp_path / "requirements" / "bounds.txt" in included
