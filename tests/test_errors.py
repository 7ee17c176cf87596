"""The error tree: what a person reads, and which exit code it means."""

import pytest

from realdb_ci.errors import EnvironmentProblem, RealdbError, Refusal, ServerError, SettingError


def test_message_holds_cause_remedy_and_log_on_lines_of_their_own() -> None:
    """All four parts are shown, the log indented below the rest."""
    problem = RealdbError("It broke", why="it was old", remedy="buy a new one", log="first\nlast\n")
    assert str(problem).splitlines() == [
        "It broke",
        "  why: it was old",
        "  fix: buy a new one",
        "  last log lines:",
        "    first",
        "    last",
    ]


@pytest.mark.parametrize(
    ("kind", "code"), [(SettingError, 2), (ServerError, 3), (Refusal, 3), (EnvironmentProblem, 3)]
)
def test_every_kind_has_its_exit_code(kind: type[RealdbError], code: int) -> None:
    """Bad settings end with 2, servers and environments with 3; all are RealdbErrors."""
    assert kind("x").exit_code == code
    assert kind("x", why="y").to_dict() == {"what": "x", "why": "y", "remedy": "", "log": "", "exit_code": code}
