"""What a test pays for a MongoDB database of its own: isolation, seeds, connections, and the server's settings.

python benchmarks/mongo_isolation.py --engine embedded
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from pymongo import AsyncMongoClient, MongoClient
from pymongo.database import Database
from tables import circumstances, markdown

from realdb_ci import services
from realdb_ci.config import Config
from realdb_ci.errors import RealdbError
from realdb_ci.servers import Servers
from realdb_ci.services.contract import Server
from realdb_ci.services.mongodb.databases import Databases

Db = Database[dict[str, Any]]
Times = dict[str, list[float]]

COLLECTIONS = tuple(f"part_{number}" for number in range(5))
WRITTEN = 10
TESTS = 8
NAMES = (f"bench_{number}" for number in itertools.count())
# writeConcernMajorityJournalDefault and journalCommitInterval in ms.
SETTINGS = {
    "MongoDB's defaults": (True, 100),
    "journal every 2 ms": (True, 2),
    "no wait for the journal (realdb-ci)": (False, 100),
    "both": (False, 2),
}
OURS = "no wait for the journal (realdb-ci)"


def nothing() -> None:
    """What most ways have to do at the end."""


@dataclass(frozen=True)
class Turn:
    """Some tests by one way.

    Attributes:
        test: one test with all it pays for isolation.
        finish: what the tests left for later; the clock runs.
        clean: what the way leaves behind on purpose; the clock has stopped.
    """

    test: Callable[[], object]
    finish: Callable[[], object] = nothing
    clean: Callable[[], object] = nothing


class Bench:
    """A server of ours.

    Args:
        server: the server.
        rounds: how often each way has its turn.
    """

    def __init__(self, server: Server, rounds: int) -> None:
        self.server = server
        self.rounds = rounds
        self.client: MongoClient[dict[str, Any]] = MongoClient(server.url)

    def fresh(self) -> Db:
        """An empty database nobody has had."""
        return self.client[next(NAMES)]

    def configure(self, name: str) -> None:
        """Set what SETTINGS has under that name; both can be set while the server runs."""
        journal, interval = SETTINGS[name]
        self.client.admin.command("setParameter", 1, journalCommitInterval=interval)
        config = self.client.admin.command("replSetGetConfig")["config"]
        config["writeConcernMajorityJournalDefault"] = journal
        config["version"] += 1
        self.client.admin.command("replSetReconfig", config)

    def compare(self, ways: Mapping[str, Way], settings: Iterable[str] = (OURS,)) -> dict[str, Times]:
        """Milliseconds of one test by each way under each of the settings, one value a round.

        Settings and ways take turns, and a first round does not count.
        """
        times: dict[str, Times] = {name: defaultdict(list) for name in settings}
        for number in range(self.rounds + 1):
            for setting, columns in times.items():
                self.configure(setting)
                for name, way in ways.items():
                    took = self._clock(way(self))
                    if number:
                        columns[name].append(took)
        return times

    def _clock(self, turn: Turn) -> float:
        began = time.perf_counter()
        for _ in range(TESTS):
            turn.test()
        turn.finish()
        took = time.perf_counter() - began
        turn.clean()
        return took * 1000 / TESTS


Way = Callable[[Bench], Turn]


# Isolation: five collections, made by every test with an index each, as an application makes them when it starts.


def use(db: Db) -> None:
    """The test."""
    for name in COLLECTIONS:
        db[name].create_index("number", unique=True)
        db[name].insert_many({"number": number, "text": "lorem"} for number in range(WRITTEN))
    assert db[COLLECTIONS[0]].find_one({"number": 7})


def never_dropped(bench: Bench) -> Turn:
    """A fresh database each, dropped when the clock has stopped."""
    used: list[Db] = []

    def test() -> None:
        used.append(bench.fresh())
        use(used[-1])

    return Turn(test, clean=lambda: [bench.client.drop_database(db.name) for db in used])


def dropped_inline(bench: Bench) -> Turn:
    """A fresh database each, dropped before the next test."""

    def test() -> None:
        db = bench.fresh()
        use(db)
        bench.client.drop_database(db.name)

    return Turn(test)


def dropped_behind(bench: Bench) -> Turn:
    """A fresh database each, dropped by a thread; its last drop is waited for."""
    thread = ThreadPoolExecutor(1)

    def test() -> None:
        db = bench.fresh()
        use(db)
        thread.submit(bench.client.drop_database, db.name)

    return Turn(test, finish=thread.shutdown)


def collections_dropped(bench: Bench) -> Turn:
    """One database, whose collections are dropped one by one."""
    db = bench.client.bench_reused

    def test() -> None:
        use(db)
        for name in db.list_collection_names():
            db.drop_collection(name)

    return Turn(test)


def documents_deleted(bench: Bench) -> Turn:
    """One database, whose collections are emptied: indexes, options and the collections themselves stay."""
    db = bench.client.bench_emptied

    def test() -> None:
        use(db)
        for name in db.list_collection_names():
            db[name].delete_many({})

    return Turn(test)


ISOLATION = {
    "a fresh database, never dropped (floor)": never_dropped,
    "a fresh database, dropped inline": dropped_inline,
    "a fresh database, dropped in the background (realdb-ci)": dropped_behind,
    "one database, each collection dropped": collections_dropped,
    "one database, delete_many in each (its indexes stay)": documents_deleted,
}


def isolation(bench: Bench) -> str:
    """The ways to isolate, on a replica set as it comes and on ours."""
    return table("way", bench.compare(ISOLATION, ("MongoDB's defaults", OURS)))


# Settings: single operations.


def operations(bench: Bench) -> dict[str, Callable[[Bench], Turn]]:
    """What a test does, one by one."""
    used: list[Db] = [bench.fresh()]

    def create(_: Bench) -> Turn:
        used[0] = bench.fresh()
        names = (f"part_{number}" for number in itertools.count())
        return Turn(lambda: used[0][next(names)].create_index("number", unique=True))

    def drop(_: Bench) -> Turn:
        dbs = [bench.fresh() for _ in range(TESTS)]
        for db in dbs:
            db.part.insert_one({})
        names = [db.name for db in dbs]
        return Turn(lambda: bench.client.drop_database(names.pop()))

    def transaction() -> None:
        with bench.client.start_session() as session, session.start_transaction():
            used[0].plain.insert_one({}, session=session)

    return {
        "create_index, which makes the collection": create,
        "insert_one": lambda _: Turn(lambda: used[0].plain.insert_one({})),
        "transaction with one insert": lambda _: Turn(transaction),
        "drop_database of one collection": drop,
    }


def settings(bench: Bench) -> str:
    """The same operations under each of the settings."""
    return table("operation", bench.compare(operations(bench), SETTINGS))


# Seeds: the same five collections, there before the test, which reads one and writes to two.


def sow(db: Db, count: int) -> None:
    """Fill a database."""
    for name in COLLECTIONS:
        db[name].create_index("number", unique=True)
        db[name].insert_many({"number": number, "text": "lorem"} for number in range(count))


def use_seed(db: Db) -> None:
    """The test."""
    assert db[COLLECTIONS[0]].find_one({"number": 7})
    db[COLLECTIONS[0]].update_one({"number": 7}, {"$set": {"text": "ipsum"}})
    db[COLLECTIONS[1]].insert_one({"number": -1})


def seeded(bench: Bench, fill: Callable[[Db], object]) -> Turn:
    """A fresh database, filled for each test, dropped inline."""

    def test() -> None:
        db = bench.fresh()
        fill(db)
        use_seed(db)
        bench.client.drop_database(db.name)

    return Turn(test)


def copy(template: Db, db: Db, stage: str) -> None:
    """Copy inside the server, by a pipeline for each collection."""
    for name in COLLECTIONS:
        there = {"db": db.name, "coll": name}
        db[name].create_index("number", unique=True)
        template[name].aggregate([{"$out": there} if stage == "$out" else {"$merge": {"into": there}}])


def mended(bench: Bench, databases: Databases, fill: Callable[[Db], object]) -> Turn:
    """What realdb-ci does; the mending of the last test's database is waited for."""

    def test() -> None:
        db = databases.take(fill)
        use_seed(db)
        databases.give_back(db)

    def finish() -> None:
        # The two databases take turns: the second one to come is the last test's.
        for db in (databases.take(fill), databases.take(fill)):
            databases.give_back(db)

    assert bench.server.owned
    return Turn(test, finish)


def seeds(bench: Bench) -> str:
    """Filled databases of three sizes."""
    columns: dict[str, Times] = {}
    for count in (20, 200, 2000):
        template, fill = bench.fresh(), partial(sow, count=count)
        fill(template)
        databases = Databases(bench.client, lambda _: next(NAMES), owned=True)
        ways = {
            "create_index and insert_many": partial(seeded, fill=fill),
            "create_index and $out": partial(seeded, fill=partial(copy, template, stage="$out")),
            "create_index and $merge": partial(seeded, fill=partial(copy, template, stage="$merge")),
            "mongo_seed: undo what was written (realdb-ci)": partial(mended, databases=databases, fill=fill),
        }
        columns[f"{count} documents in each"] = bench.compare(ways)[OURS]
        databases.close()
    return table("way", columns)


# Connections: what an async test pays for a client in its own event loop.


async def ping(url: str) -> None:
    """Connect, ask, close."""
    client: AsyncMongoClient[dict[str, Any]]
    async with AsyncMongoClient(url) as client:
        await client.admin.command("ping")


def connections(bench: Bench) -> str:
    """A new client under either count of password hashes, and one that is there."""
    parts = urlsplit(bench.server.url)
    urls = {}
    for count in (15000, 5000):
        bench.client.admin.command("setParameter", 1, scramSHA256IterationCount=count)
        bench.client.admin.command("createUser", f"bench{count}", pwd=parts.password, roles=["root"])
        urls[count] = bench.server.url.replace(f"//{parts.username}:", f"//bench{count}:")
    ways = {
        "a new client, scramSHA256IterationCount 15000 (MongoDB's default)": partial(connected, url=urls[15000]),
        "a new client, scramSHA256IterationCount 5000 (realdb-ci)": partial(connected, url=urls[5000]),
        "a client that is there": lambda bench: Turn(lambda: bench.client.admin.command("ping")),
    }
    return table("way", {"connect, ping, close": bench.compare(ways)[OURS]})


def connected(bench: Bench, url: str) -> Turn:
    """A loop and a client for each test, as with loops of function scope."""
    assert bench.server.owned
    return Turn(lambda: asyncio.run(ping(url)))


def table(what: str, columns: Mapping[str, Times]) -> str:
    """Medians in milliseconds with their ranges, a row a way."""
    header = [what, *(cell for name in columns for cell in (f"{name}: ms", "range"))]
    names = list(next(iter(columns.values())))
    return markdown(header, ([name, *_cells(columns, name)] for name in names))


def _cells(columns: Mapping[str, Times], name: str) -> Iterable[str]:
    for times in columns.values():
        found = times[name]
        yield f"{statistics.median(found):.1f}"
        yield f"{min(found):.1f} to {max(found):.1f}"


PARTS = {"isolation": isolation, "settings": settings, "seeds": seeds, "connections": connections}


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--image", default="mongo:7.0")
    parser.add_argument("--mirror", default="", help="registry to pull the image from")
    parser.add_argument("--engine", choices=("docker", "embedded"), default="docker")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    options = parser.parse_args()
    config = Config(engine=options.engine, services=(f"mongodb={options.image}",), mirror=options.mirror)
    try:
        with Servers() as servers:
            server = servers.get(services.wishes(config)["mongodb"])
            bench = Bench(server, options.rounds)
            print(
                f"{options.rounds} rounds of {TESTS} tests, {server.version} ({server.engine}), {circumstances()}"
            )
            for part in options.only:
                print(f"\n{PARTS[part](bench)}")
    except RealdbError as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main()
