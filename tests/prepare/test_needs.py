"""What a suite will ask for, guessed from the sources of the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from realdb_ci.prepare import needs


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("support_db.py", "import pytest\n@pytest.fixture\ndef shelf(db_session): ...\n"),
        ("tests.py", "def test_shelf(db_session): ...\n"),
        ("library/helpers/rows.py", "from pytest import fixture\n@fixture\ndef shelf(db_session): ...\n"),
    ],
)
def test_fixture_counts_in_whatever_module_it_is_used(name: str, text: str, tmp_path: Path) -> None:
    """``pytest_plugins`` names helpers of any name, Django's tests are in tests.py; their drivers are needed."""
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    (tmp_path / "app.py").write_text("def serve(redis_client, responses): ...\n")
    assert needs.of(needs.words(tmp_path)) == (("postgres",), ("postgres",))


def test_modules_named_as_tests_are_read_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the limit does not end the search before them."""
    monkeypatch.setattr(needs, "FILES_LIMIT", 1)
    (tmp_path / "app.py").write_text("import pytest\n")
    (tmp_path / "test_shelf.py").write_text("def test_shelf(mongo_db): ...\n")
    assert needs.of(needs.words(tmp_path)) == (("mongodb",), ("mongo",))
