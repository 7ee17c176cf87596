"""Any Results, for property tests: every outcome and ending, and texts that try to break out."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from realdb_ci.results import Anchor, Case, CollectError, Phase, Problem, Repeat, Results, Server, Span, Suite

# A machine that is busy with databases is no reason for a property to fail.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
HOSTILE = [
    "| a | b |",
    "</details>",
    "```\n# heading\n````",
    "<b>bold</b> *em* _em_ ~~no~~",
    "![x](http://example.org) [y](z)",
    "::error file=a::b",
    "line\r\n\r\n## heading\n\n| - |\n",
    "\x1b[31mred\x1b[0m \x00\ud800\u202e\uffff",
    "@somebody #1 $x$ `tick` \\| &lt; &#124;",
    "<!-- comment",
    "]]> <![CDATA[",
    "\U0001f4da é 漢字",
    "##[error]x",
    " \t::add-mask::x",
    "\u200b:\u00ad:stop-commands::x\n#\ufeff#[group]",
    "%0A::error::x%25",
    "</script><script>alert(1)</script><!--",
    "click a :0, 1\n%%{init: {}}%%",
    "../../etc/passwd",
]


class Long(str):
    """Text longer than any limit of a surface, which a failing property does not print."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{self[:3]}... of {len(self)}>"


LONG = [Long("x" * 70_000), Long("é\U0001f4da\n" * 12_000)]
TEXT = (
    st.sampled_from(HOSTILE)
    | st.text(st.characters(), max_size=40)
    | st.lists(st.sampled_from(HOSTILE)).map("\n".join)
    | st.sampled_from(LONG)
)
NUMBER = st.floats(0, 1e5)
TIME = st.sampled_from([0.0, 1.7e9, float("nan"), float("inf")]) | st.floats(1.7e9, 1.7e9 + 1000)
WORKER = st.sampled_from([None, "gw0", "gw1"]) | TEXT
ANCHOR = st.none() | st.builds(Anchor, TEXT, st.none() | st.integers(1, 10**6))
PHASE = st.builds(
    Phase,
    nodeid=TEXT,
    when=st.sampled_from(["setup", "call", "teardown", "collect", "???"]),
    outcome=st.sampled_from(["passed", "failed", "skipped", "rerun"]),
    attempt=st.integers(1, 3),
    wasxfail=st.none() | TEXT,
    strict_xpass=st.booleans(),
    duration=NUMBER,
    start=TIME,
    stop=TIME,
    worker=WORKER,
    anchor=ANCHOR,
    message=TEXT,
    longrepr=TEXT,
    sections=st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple),
    subtest=st.none() | TEXT,
    queries=st.integers(0, 1000),
    query_seconds=NUMBER,
    repeats=st.lists(
        st.builds(Repeat, TEXT, st.integers(2, 999), NUMBER, TEXT, st.none() | st.integers(1, 99)), max_size=2
    ).map(tuple),
)
CASE = st.builds(
    Case,
    nodeid=TEXT,
    path=TEXT,
    line=st.none() | st.integers(1, 10**6),
    phases=st.lists(PHASE, max_size=4).map(tuple),
    finished=st.booleans(),
)
SUITE = st.builds(
    Suite,
    project=TEXT,
    python=TEXT,
    start=st.floats(0, 4e9),
    duration=NUMBER,
    collected=st.lists(TEXT, max_size=3).map(tuple),
    cases=st.lists(CASE, max_size=4, unique_by=lambda case: case.nodeid).map(tuple),
    collect_errors=st.lists(
        st.builds(CollectError, TEXT, TEXT, st.none() | st.integers(1, 99), TEXT, TEXT), max_size=2
    ).map(tuple),
    spans=st.lists(st.builds(Span, TEXT, TEXT, TIME, TIME, WORKER), max_size=3).map(tuple),
    servers=st.lists(st.builds(Server, TEXT, TEXT, TEXT, TEXT, NUMBER, st.booleans()), max_size=2).map(tuple),
    problems=st.lists(st.builds(Problem, TEXT, TEXT, TEXT, TEXT, st.sampled_from([2, 3])), max_size=2).map(tuple),
    exitstatus=st.none() | st.integers(0, 6),
    returncode=st.none() | st.integers(-20, 255),
    interrupted=st.booleans(),
)
RESULTS = st.builds(Results, st.lists(SUITE, max_size=3).map(tuple))
