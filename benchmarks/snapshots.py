"""What snapshots save, as ratios within one run of this program.

    python benchmarks/snapshots.py [--image postgres:15-alpine] [--mongo-image mongo:7.0] [--rounds 5]
                                   [--only postgres|mongodb]

A server from a snapshot against the same image started plain and by testcontainers; and whole runs of a project
with many migrations, or a large seed, the second time, against a project with none. Rounds alternate; figures are
medians.
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
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from projects import Project, alternated
from tables import circumstances, markdown, verdict

from realdb_ci import services
from realdb_ci.config import Config
from realdb_ci.engines.snapshots import Snapshots
from realdb_ci.servers import Servers
from realdb_ci.services.contract import Wish

MIGRATIONS = 200
# Of the seed of MongoDB, each with an index and a thousand documents.
COLLECTIONS = 40
# A server from a snapshot against the same image plain by testcontainers; a second run against that of a project
# without any migration. A seed has none: each test gets a copy of it.
READY = {"postgres": 0.4}
AGAIN = {"postgres": 1.2}
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
SEED_TEST = """
import pytest


def fill(db):
    for number in range({collections}):
        db["c%d" % number].create_index("name")
        for document in range(1000):
            db["c%d" % number].insert_one({{"name": str(document)}})


@pytest.fixture(scope="session")
def mongo_seed():
    return fill


def test_it(mongo_db):
    assert len(mongo_db.list_collection_names()) == {collections}
"""
EMPTY_TEST = """
def test_it(mongo_db):
    assert mongo_db.list_collection_names() == []
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


def servers(service: str, image: str, rounds: int, home: Path) -> Samples:
    """Seconds until a server is ready, by the way it starts."""
    from testcontainers.community.mongodb import MongoDbContainer
    from testcontainers.community.postgres import PostgresContainer

    peer: Any = {"postgres": PostgresContainer, "mongodb": MongoDbContainer}[service]

    def theirs() -> float:
        began = time.perf_counter()
        with peer(f"{MIRROR}/{image}"):
            return time.perf_counter() - began

    ways: dict[str, Callable[[], float]] = {f"testcontainers' {peer.__name__}": theirs}
    for engine in ("docker", "embedded"):
        wish = services.wishes(Config(engine=engine, mirror=MIRROR, services=(f"{service}={image}",)))[service]
        kept = Snapshots(home, f"benchmark {engine}")
        with Servers(snapshots=kept) as first:
            first.get(wish)
            first.built(wish)
        ways[f"{engine}, no snapshot"] = partial(ready, wish, None)
        ways[f"{engine}, from a snapshot"] = partial(ready, wish, kept)
    return measured(ways, rounds)


def ready(wish: Wish, snapshots: Snapshots | None) -> float:
    """Seconds until a server of ours is ready; a MongoDB takes writes then."""
    with Servers(snapshots=snapshots) as started:
        server = started.get(wish)
        assert bool(server.snapshot) == bool(snapshots), server.snapshot
        return server.seconds


def seeded(folder: Path, collections: int, image: str) -> Project:
    """A project with one test on MongoDB, and a seed of that many collections or none."""
    folder.mkdir()
    body = SEED_TEST.format(collections=collections) if collections else EMPTY_TEST
    (folder / "test_it.py").write_text(body, encoding="utf-8")
    (folder / "pyproject.toml").write_text(
        f'[tool.realdb-ci]\nengine = "docker"\nmirror = "{MIRROR}"\nservices = ["{image}"]\n', encoding="utf-8"
    )
    return Project(folder, 1, variables={"XDG_CACHE_HOME": str(folder.parent / "cache")})


def runs(many: Project, none: Project, what: str, rounds: int) -> Samples:
    """Seconds of whole runs of two projects."""
    for one in (many, none):
        one.run()

    def first() -> float:
        shutil.rmtree(many.variables["XDG_CACHE_HOME"])
        took = many.run()
        none.run()
        return took

    ways: dict[str, Callable[[], float]] = {
        f"no {what}, second run": none.run,
        f"{what}, second run": many.run,
        f"{what}, first run": first,
        f"{what}, snapshots = false": lambda: many.run(REALDB_CI_SNAPSHOTS="false"),
        f"no {what}, snapshots = false": lambda: none.run(REALDB_CI_SNAPSHOTS="false"),
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
    parser.add_argument("--mongo-image", default="mongo:7.0")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("postgres", "mongodb"))
    options = parser.parse_args()
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
    for service, image in (("postgres", options.image), ("mongodb", options.mongo_image)):
        if options.only in (None, service):
            with tempfile.TemporaryDirectory(prefix="realdb-ci-bench-") as name:
                compare(service, image, options.rounds, Path(name))


def compare(service: str, image: str, rounds: int, home: Path) -> None:
    """Measure one service, and print its tables."""
    print(f"{image}, {rounds} rounds, {circumstances()}\n")
    title = services.get(service).title
    targets = {"docker, from a snapshot": READY[service]} if service in READY else {}
    print(table(f"{title} is ready", servers(service, image, rounds, home / "snapshots"), targets), "\n")
    make, size, what = {
        "postgres": (project, MIGRATIONS, "migrations"),
        "mongodb": (seeded, COLLECTIONS, "collections"),
    }[service]
    several = f"{size} {what}"
    took = runs(make(home / "many", size, image), make(home / "none", 0, image), several, rounds)
    targets = {f"{several}, second run": AGAIN[service]} if service in AGAIN else {}
    print(table("a whole run", took, targets), "\n")


if __name__ == "__main__":
    main()
