"""The watch: what tests send to real databases is counted, timed, found on its line, and held against a budget."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from realdb_ci import results
from realdb_ci.results import Case, Repeat

MODELS = """
import pytest
from sqlalchemy import text
from sqlmodel import Field, SQLModel, select

class Member(SQLModel, table=True):
    id: int = Field(primary_key=True)
    name: str

def one_by_one(session, number):
    for id in range(number):
        session.exec(select(Member).where(Member.id == id)).all()
"""
LINE = MODELS.strip().splitlines().index("        session.exec(select(Member).where(Member.id == id)).all()") + 1
SELECT = "SELECT member.id, member.name FROM member WHERE member.id = %(id_1)s"
ARGUMENTS = ("-p", "no:cacheprovider", "--realdb-engine=embedded", "--realdb-events=events.jsonl", "-W", "error")
Run = Callable[..., dict[str, Case]]


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run tests beside the models; the cases by the tests' names."""

    def call(test: str, *arguments: str, settings: str = "") -> dict[str, Case]:
        pytester.makepyprojecttoml(f"[tool.realdb-ci]\n{settings}\n")
        pytester.makepyfile(models=MODELS, test_it=f"from models import *\n{test}")
        pytester.runpytest_subprocess(*ARGUMENTS, *arguments)
        cases = results.read(Path(pytester.path, "events.jsonl")).cases
        return {case.nodeid.partition("::")[2]: case for case in cases}

    return call


SENDERS = """
def test_none(db_session): pass

def test_two(db_session):
    db_session.add(Member(id=1, name="ann"))
    db_session.commit()
    db_session.exec(select(Member.name)).one()

@pytest.mark.realdb(commit=True)
def test_two_for_real(db_session):
    test_two(db_session)

def test_engine(postgres_engine):
    with postgres_engine.begin() as connection:
        connection.execute(text("SELECT 1"))

def test_documents(mongo_db):
    mongo_db.members.insert_one({"_id": 1})
    mongo_db.members.find_one({"_id": 1})
    assert mongo_db.members.count_documents({}) == 1

@pytest.fixture
def member(db_session):
    db_session.add(Member(id=1, name="ann"))
    db_session.flush()

def test_of_a_fixture(member): pass
"""


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["alone", "workers"])
def test_statements_of_tests_and_their_fixtures_are_counted_and_ours_are_not(
    run: Run, arguments: tuple[str, ...]
) -> None:
    """Savepoints, clones, empty databases and looks at connections are nobody's statements."""
    found = run(SENDERS, *arguments)
    assert {name: case.outcome for name, case in found.items()} == dict.fromkeys(found, "passed")
    assert {name: case.queries for name, case in found.items()} == {
        "test_none": 0,
        "test_two": 2,
        "test_two_for_real": 2,
        "test_engine": 1,
        "test_documents": 3,
        "test_of_a_fixture": 1,
    }
    for case in found.values():
        assert bool(case.query_seconds) == bool(case.queries)
        assert case.query_seconds < 5


ASYNC = """
pytestmark = pytest.mark.anyio

@pytest.fixture
def anyio_backend():
    return "asyncio"

async def names(session):
    for id in range(12):
        await session.get(Member, id)

async def test_rows(async_db_session):
    await names(async_db_session)

async def test_documents(async_mongo_db):
    for id in range(12):
        await async_mongo_db.members.find_one({"_id": id})
"""


def test_async_statements_are_found_on_their_lines(run: Run) -> None:
    """SQLAlchemy runs them on another stack, PyMongo in the task of the test."""
    found = run(ASYNC)
    lines = ["from models import *", *ASYNC.splitlines()]
    for name, line in (
        ("test_rows", "        await session.get(Member, id)"),
        ("test_documents", '        await async_mongo_db.members.find_one({"_id": id})'),
    ):
        (repeat,) = found[name].repeats
        assert (repeat.count, repeat.path, repeat.line) == (12, "test_it.py", lines.index(line) + 1)


def test_same_statement_from_one_line_is_a_finding(run: Run) -> None:
    """From ten times on; the line is the project's, not the library's that it went through."""
    nine, ten = (f"def test_{n}(db_session): one_by_one(db_session, {n})\n" for n in (9, 10))
    found = run(nine + ten)
    assert found["test_9"].repeats == ()
    (repeat,) = found["test_10"].repeats
    assert repeat == Repeat(SELECT, 10, repeat.seconds, "models.py", LINE)
    assert 0 < repeat.seconds <= found["test_10"].query_seconds


@pytest.mark.parametrize(("setting", "expected"), [("n-plus-one = 3", [3]), ("n-plus-one = 0", [])])
def test_how_often_is_too_often_is_the_projects_to_say(run: Run, setting: str, expected: list[int]) -> None:
    """Zero switches it off; the statements are counted all the same."""
    found = run("def test_three(db_session): one_by_one(db_session, 3)\n", settings=setting)
    assert [one.count for one in found["test_three"].repeats] == expected
    assert found["test_three"].queries == 3


BUDGETS = """
@pytest.mark.realdb(max_queries=3)
def test_within(db_session): one_by_one(db_session, 3)

@pytest.mark.realdb(max_queries=3, commit=True)
def test_over(db_session): one_by_one(db_session, 4)

@pytest.mark.realdb(max_queries="three")
def test_nonsense(db_session): pass

@pytest.mark.realdb(max_queries=0)
def test_fails_by_itself(db_session):
    one_by_one(db_session, 1)
    raise KeyError("its own")
"""


def test_budget_fails_the_test_that_exceeds_it(run: Run) -> None:
    """With the number, the limit and the line that sent most; a failure of the test's own comes first."""
    found = run(BUDGETS)
    assert found["test_within"].outcome == "passed"
    (over,) = found["test_over"].failures
    assert over.longrepr.splitlines() == [
        "4 statements, and realdb(max_queries=3) allows 3. Most often:",
        f"  4 times from models.py:{LINE}: {SELECT}",
    ]
    (nonsense,) = found["test_nonsense"].failures
    assert "max_queries='three'" in nonsense.longrepr
    assert "whole number" in nonsense.longrepr
    (own,) = found["test_fails_by_itself"].failures
    assert own.message == "KeyError: 'its own'"


def test_failure_shows_its_statements_and_no_values(run: Run, pytester: pytest.Pytester) -> None:
    """The latest ones; the values stay in the test process."""
    found = run(
        """
def test_fails(db_session):
    db_session.exec(text("SELECT * FROM member WHERE name = 'secret-literal'")).all()
    db_session.exec(select(Member).where(Member.name == "secret-parameter")).all()
    one_by_one(db_session, 30)
    raise KeyError
"""
    )
    (failed,) = found["test_fails"].failures
    shown = dict(failed.sections)["Statements, without their values"].splitlines()
    assert shown == ["... 12 before", *[SELECT] * 20]
    phases = [json.loads(line) for line in Path(pytester.path, "events.jsonl").read_text().splitlines()]
    told = [json.dumps([one["repeats"], one["sections"]]) for one in phases if one.get("queries")]
    assert told
    assert not any("secret" in text for text in told)


def test_test_without_a_database_says_nothing_about_one(run: Run, pytester: pytest.Pytester) -> None:
    """Neither in its events nor in its failure."""
    (failed,) = run("def test_plain(): assert 0\n")["test_plain"].failures
    assert not [name for name, _ in failed.sections]
    assert '"queries"' not in Path(pytester.path, "events.jsonl").read_text()


LISTENER = """
from sqlalchemy import Engine, event

def test_looks(db_session):
    seen = []
    event.listen(Engine, "do_execute", lambda cursor, text, values, context: seen.append(text))
    one_by_one(db_session, 3)
    assert len(seen) == 3
"""


def test_later_listener_of_the_project_is_heard_too(run: Run) -> None:
    """One that may stand in for the dialect, as the watch does, sees every statement, and all are counted."""
    (case,) = run(LISTENER).values()
    assert (case.outcome, case.queries) == ("passed", 3)
