"""What it costs to give each test a database of its own: a new clone, or the last one with its writes undone.

python benchmarks/recycling.py --image localhost:5000/postgres:18-alpine
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from projects import workshop
from recycling_ways import SECONDS, TABLES, Clone, Way, execute, on_a_clone, timed
from tables import circumstances, markdown

from realdb_ci.errors import RealdbError
from realdb_ci.services.postgres.connections import connect
from realdb_ci.services.postgres.database import url_of

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

TEMPLATE = "recycling_template"


def build(url: str) -> None:
    """Sixty empty tables with a sequence, two indexes and a foreign key each."""
    connection = connect(url, SECONDS)
    for number, name in enumerate(TABLES):
        parent = f"REFERENCES {TABLES[(number - 1) // 4]}" if number and name != "t50" else ""
        execute(
            connection,
            f"CREATE TABLE {name} (id bigserial PRIMARY KEY, label text NOT NULL, content jsonb,"
            f" at timestamptz DEFAULT now(), parent bigint {parent}); CREATE INDEX ON {name} (label)",
        )
    connection.close()


def greet(url: str) -> None:
    """Connect, and go."""
    connect(url, SECONDS).close()


def whole_clones(server: Connection, url: str, rounds: int) -> dict[str, list[float]]:
    """Making, greeting and dropping a database, by either strategy."""
    seconds: dict[str, list[float]] = {}
    for number in range(rounds):
        for strategy in ("FILE_COPY", "WAL_LOG"):
            name = f"recycling_{strategy}_{number}".lower()
            steps: dict[str, Callable[[], object]] = {
                "CREATE DATABASE": partial(
                    execute, server, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY {strategy}"
                ),
                "first connection": partial(greet, url_of(url, name)),
                "DROP DATABASE WITH (FORCE)": partial(execute, server, f"DROP DATABASE {name} WITH (FORCE)"),
            }
            for label, step in steps.items():
                seconds.setdefault(f"clone: {label}, {strategy}", []).append(timed(step))
    return seconds


def recycled(server: Connection, url: str, rounds: int) -> list[Way]:
    """Every way on a clone of its own, each once a round."""
    ways, clones = on_a_clone(), []
    for number, way in enumerate(ways):
        execute(server, f"CREATE DATABASE recycling_{number} TEMPLATE {TEMPLATE}")
        clones.append(Clone(url, f"recycling_{number}"))
        way.prepare(clones[-1])
    for _ in range(rounds):
        for way, clone in zip(ways, clones, strict=True):
            way.go(clone)
    return ways


def row(label: str, seconds: Sequence[float], right: str = "") -> Sequence[str]:
    """A line of the table; the last tenth of the rounds shows whether a clone grows slower with use."""
    tenths = statistics.quantiles(seconds, n=10)
    last = seconds[-max(1, len(seconds) // 10) :]
    numbers = (statistics.median(seconds), tenths[-1], statistics.median(last))
    return label, *(f"{1000 * number:.2f}" for number in numbers), right


def measure(url: str, rounds: int) -> str:
    """All of it, as a Markdown table."""
    server = connect(url, SECONDS)
    execute(server, f"CREATE DATABASE {TEMPLATE}")
    build(url_of(url, TEMPLATE))
    rows = [row(label, seconds) for label, seconds in whole_clones(server, url, rounds).items()]
    ways = recycled(server, url, rounds)
    rows += [row(way.label, way.seconds, f"{rounds - way.wrong} of {rounds}") for way in ways]
    by_label = {way.label: way for way in ways}
    rows += [
        row("test: its 12 INSERTs", by_label["find: EXISTS over all"].writes),
        row("test: the same with triggers", by_label["find: notes of statement triggers"].writes),
    ]
    return markdown(("what", "median ms", "90th percentile ms", "last tenth ms", "right"), rows)


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--image", default="postgres:17-alpine")
    parser.add_argument("--engine", choices=("docker", "embedded"), default="docker")
    options = parser.parse_args()
    try:
        with workshop(options.image, options.engine) as (_, server):
            table = measure(server.url, options.rounds)
    except RealdbError as problem:
        sys.exit(str(problem))
    print(f"{len(TABLES)} tables, {options.rounds} rounds, {server.version} ({server.engine}), {circumstances()}\n")
    print(table)


if __name__ == "__main__":
    main()
