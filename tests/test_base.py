"""Where a history is left and found that the cache does not have: on GitHub's own servers, by the job's token."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The stand-in for GitHub lives beside the tests of the door to it.
sys.path.append(str(Path(__file__).parent / "github"))

from fake_github import serving

from realdb_ci import base
from realdb_ci.github import GitHub, Unreachable

RUNNER = {"ACTIONS_RESULTS_URL": "https://r/", "ACTIONS_RUNTIME_TOKEN": "t"}


def job(root: Path, **more: str) -> GitHub:
    """A job without a token, unless one is given."""
    return GitHub("ann/desk", "c" * 40, root, branch="main", **more)


@pytest.mark.parametrize(
    "change", [{"GITHUB_SERVER_URL": "https://github.example.org"}, {"ACTIONS_RESULTS_URL": ""}]
)
def test_where_no_run_can_leave_artifacts_none_is_looked_for(tmp_path: Path, change: dict[str, str]) -> None:
    """Enterprise Server has none of this kind; nor has what does not run on GitHub."""
    assert base.fallback({**RUNNER, **change}, job(tmp_path, token="t"), print) is None
    assert base.fallback(RUNNER, None, print) is None


def test_history_is_found_by_the_branch_of_the_job(tmp_path: Path) -> None:
    """With the job's token, in a hurry."""
    with serving() as fake:
        fake.storage.add("a-name", b"zip", run={"head_branch": "next"})
        fake.storage.add("a-name", b"other")
        found = base.fallback(RUNNER, fake.job(tmp_path, branch="next"), print)
        assert found is not None
        assert found.find("a-name") == b"zip"
        assert fake.complaints == []


def test_without_a_token_nothing_is_asked(tmp_path: Path) -> None:
    """It is the one that may read."""
    found = base.fallback(RUNNER, job(tmp_path, api="http://127.0.0.1:9"), print)
    assert found is not None
    with pytest.raises(Unreachable, match="not asked"):
        found.find("a-name")
