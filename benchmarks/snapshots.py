"""What snapshots save, as ratios within one run of this program.

    python benchmarks/snapshots.py [--image postgres:15-alpine] [--rounds 5]

A PostgreSQL server from a snapshot against the same image started plain and by testcontainers; and whole runs of a
project with many migrations, the second time, against a project with none. Rounds alternate; figures are medians.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from projects import Project, alternated
from tables import circumstances, markdown, verdict

from realdb_ci import services
from realdb_ci.config import Config
from realdb_ci.engines.snapshots import Snapshots
from realdb_ci.servers import Servers

MIGRATIONS = 200
# A second run against that of a project without any migration.
TARGET = 1.2
NONE, SECOND = "no migrations, second run", f"{MIGRATIONS} migrations, second run"
Samples = dict[str, list[float]]
MIRROR = os.environ.get("REALDB_CI_MIRROR", "localhost:5000")
ENV = """
from alembic import context
from sqlalchemy import create_engine

engine = create_engine(context.config.get_main_option("sqlalchemy.url"))
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
"""
MIGRATION = """
from alembic import op
import sqlalchemy as sa

revision, down_revision = "{number:04}", {before}


def upgrade():
    op.create_table("t{number}", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String))
    op.create_index("i{number}", "t{number}", ["name"])
"""
TEST = """
from sqlalchemy import text


def test_it(db_session):
    assert db_session.execute(text("SELECT 1")).scalar() == 1
"""


def project(folder: Path, migrations: int, image: str) -> Project:
    """A project with one test and that many migrations, or with an empty schema."""
    folder.mkdir()
    (folder / "test_it.py").write_text(TEST, encoding="utf-8")
    (folder / "pyproject.toml").write_text(
        f'[tool.realdb-ci]\nengine = "docker"\nmirror = "{MIRROR}"\nservices = ["{image}"]\n'
        + ('schema = "alembic.ini"\n' if migrations else ""),
        encoding="utf-8",
    )
    if migrations:
        (folder / "alembic.ini").write_text("[alembic]\nscript_location = migrations\n", encoding="utf-8")
        versions = folder / "migrations" / "versions"
        versions.mkdir(parents=True)
        (folder / "migrations" / "env.py").write_text(ENV, encoding="utf-8")
        for number in range(1, migrations + 1):
            before = f'"{number - 1:04}"' if number > 1 else None
            text = MIGRATION.format(number=number, before=before)
            (versions / f"{number:04}.py").write_text(text, encoding="utf-8")
    return Project(folder, 1, variables={"XDG_CACHE_HOME": str(folder.parent / "cache")})


def servers(image: str, rounds: int, home: Path) -> Samples:
    """Seconds until a server is ready, by the way it starts."""
    from testcontainers.community.postgres import PostgresContainer

    wish = services.wishes(Config(engine="docker", mirror=MIRROR, services=(image,)))["postgres"]
    kept = Snapshots(home, "benchmark")
    with Servers(snapshots=kept) as first:
        first.get(wish)
        first.built(wish)

    def ours(snapshots: Snapshots | None) -> float:
        with Servers(snapshots=snapshots) as started:
            server = started.get(wish)
            assert bool(server.snapshot) == bool(snapshots), server.snapshot
            return server.seconds

    def theirs() -> float:
        began = time.perf_counter()
        with PostgresContainer(f"{MIRROR}/{image}"):
            return time.perf_counter() - began

    ways: dict[str, Callable[[], float]] = {
        "testcontainers' PostgresContainer": theirs,
        "realdb-ci, no snapshot": lambda: ours(None),
        "realdb-ci, from a snapshot": lambda: ours(kept),
    }
    return measured(ways, rounds)


def runs(image: str, rounds: int, home: Path) -> Samples:
    """Seconds of whole runs."""
    many, none = project(home / "many", MIGRATIONS, image), project(home / "none", 0, image)
    for one in (many, none):
        one.run()

    def first() -> float:
        shutil.rmtree(home / "cache")
        took = many.run()
        none.run()
        return took

    ways: dict[str, Callable[[], float]] = {
        NONE: none.run,
        SECOND: many.run,
        f"{MIGRATIONS} migrations, first run": first,
        f"{MIGRATIONS} migrations, snapshots = false": lambda: many.run(REALDB_CI_SNAPSHOTS="false"),
        "no migrations, snapshots = false": lambda: none.run(REALDB_CI_SNAPSHOTS="false"),
    }
    return measured(ways, rounds)


def measured(ways: dict[str, Callable[[], float]], rounds: int) -> Samples:
    """Seconds of each way, in an order that shifts from round to round."""
    took: Samples = {name: [] for name in ways}
    for _, name in alternated(list(ways), rounds):
        took[name].append(ways[name]())
    return took


def table(title: str, took: Samples, targets: dict[str, float]) -> str:
    """Medians, ranges and ratios to the first way."""
    base = statistics.median(next(iter(took.values())))
    rows = []
    for way, seconds in took.items():
        ratio = statistics.median(seconds) / base
        target = targets.get(way)
        told = f"at most {target:.2f}: {verdict(met=ratio <= target)}" if target else ""
        spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
        rows.append((way, f"{statistics.median(seconds):.2f}", spread, f"{ratio:.2f}", told))
    return markdown((title, "median s", "range s", "against the first", "target"), rows)


def main() -> None:
    """Measure, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", default="postgres:15-alpine")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
    with tempfile.TemporaryDirectory(prefix="realdb-ci-bench-") as name:
        home = Path(name)
        print(f"{options.image}, {options.rounds} rounds, {circumstances()}\n")
        print(table("PostgreSQL is ready", servers(options.image, options.rounds, home / "snapshots"), {}), "\n")
        print(table("a whole run", runs(options.image, options.rounds, home), {SECOND: TARGET}))


if __name__ == "__main__":
    main()
