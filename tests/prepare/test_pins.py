"""Which of the project's versions stands in the way, where a package that ours bring with them refuses it."""

from __future__ import annotations

from pathlib import Path

import pytest
from building import Make

from realdb_ci.errors import EnvironmentProblem


def test_pin_that_a_package_of_ours_cannot_have_is_named_with_its_line(make: Make, tmp_path: Path) -> None:
    """SQLModel needs SQLAlchemy 2; what else the project has is not in the way."""
    (tmp_path / "requirements.txt").write_text("# ours\nidna==3.7\nsqlalchemy==1.4.54\n")
    with pytest.raises(EnvironmentProblem) as caught:
        make(extras=("postgres",))
    assert caught.value.why == "the project has sqlalchemy 1.4.54 (requirements.txt line 3)"
    assert "Allow another version of sqlalchemy" in caught.value.remedy
    assert "sqlmodel" in caught.value.log
