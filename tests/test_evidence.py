"""Evidence: a failing test has the lines its servers logged meanwhile, and nobody else's."""

import re
from pathlib import Path

import pytest

from realdb_ci import results

MODELS = """
import pytest
from sqlmodel import Field, SQLModel, text

class Member(SQLModel, table=True):
    id: int = Field(primary_key=True)
    email: str = Field(unique=True)

def twice(session, email):
    for id in (1, 2):
        session.add(Member(id=id, email=email))
    session.flush()
"""


@pytest.fixture(params=["embedded", pytest.param("docker", marks=pytest.mark.docker)])
def engine(request: pytest.FixtureRequest) -> str:
    """Both engines that start servers."""
    return str(request.param)


def failures(pytester: pytest.Pytester, engine: str, *arguments: str, test: str) -> dict[str, str]:
    """The log of PostgreSQL in the reports of the tests that failed, by the test's name."""
    pytester.makepyfile(models=MODELS, test_it=f"from models import *\n{test}")
    pytester.runpytest_subprocess(f"--realdb-engine={engine}", "--realdb-events=events.jsonl", *arguments)
    cases = results.read(Path(pytester.path, "events.jsonl")).cases
    assert cases
    return {
        case.nodeid.partition("::")[2]: dict(phase.sections).get("Log of postgres", "")
        for case in cases
        for phase in case.failures
    }


@pytest.mark.parametrize("mark", ["", "@pytest.mark.realdb(commit=True)"])
def test_failure_has_what_the_server_said_about_it(pytester: pytest.Pytester, engine: str, mark: str) -> None:
    """The error and the statement, without the values in it; in a clone as in a rolled-back test."""
    test = f"""
{mark}
def test_twice(db_session):
    twice(db_session, "ann@example.org")
"""
    (log,) = failures(pytester, engine, test=test).values()
    assert re.search(r"ERROR: +duplicate key value violates unique constraint", log)
    (statement,) = [line for line in log.splitlines() if "STATEMENT:" in line]
    assert "INSERT INTO member" in statement
    assert "ann@example.org" not in statement


def test_lines_of_other_tests_are_not_in_it(pytester: pytest.Pytester, engine: str) -> None:
    """Neither of one before it, nor of one that runs in another worker at the same time."""
    test = """
@pytest.mark.parametrize("n", range(4))
def test_complains(db_session, n):
    db_session.exec(text(f"DO $$ BEGIN RAISE WARNING 'complaint {n}'; END $$"))
    with pytest.raises(Exception):
        twice(db_session, f"{n}@example.org")
    assert n % 2
"""
    for arguments in ((), ("-n", "2")):
        found = failures(pytester, engine, *arguments, test=test)
        assert set(found) == {"test_complains[0]", "test_complains[2]"}
        for name, log in found.items():
            assert re.findall(r"complaint (\d)", log) == [name[-2]]
        Path(pytester.path, "events.jsonl").unlink()


def test_failure_the_server_says_nothing_about_has_no_such_section(pytester: pytest.Pytester, engine: str) -> None:
    """Nothing is shown where there is nothing to see."""
    test = "def test_fails(db_session): assert 0\ndef test_plain(): assert 0\n"
    assert failures(pytester, engine, test=test) == {"test_fails": "", "test_plain": ""}
