"""Row 11: what a till notices of a full load."""
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable

from faultlib.chain import expect

from . import prices, shell
from .bench import Bench
from .figures import Figure, Samples

ROLES = ("write", "read")


class Tills:
    """One that writes and one that reads, each a process of its own, for as long as `with` lasts."""

    def __init__(self, folder: str, store: str, items: int):
        self.flag, self.store, self.items = f"{folder}/tills-are-open", store, items
        self.processes: list[subprocess.Popen] = []
        self.writer: dict = {}
        self.reader: dict = {}

    def __enter__(self) -> "Tills":
        with open(self.flag, "w"):
            pass
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-m", "benchlib.till", role, self.store, str(self.items), self.flag],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
            for role in ROLES]
        for process in self.processes:
            expect(process.stdout.readline() == "open\n", "a till cannot use the store's database")
        return self

    def __exit__(self, *_: object) -> None:
        os.remove(self.flag)
        said = []
        for process in self.processes:
            try:
                said.append(process.communicate(timeout=90)[0])
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                raise
        expect(all(process.returncode == 0 for process in self.processes), "a till has ended with an error")
        self.writer, self.reader = map(json.loads, said)


class Waits:
    """What tills noticed during several loads of one kind."""

    def __init__(self) -> None:
        self.writes, self.sales, self.reads = Samples(), Samples(), Samples()
        self.longest: list[float] = []
        self.blocked = 0
        self.locks: list[int] = []

    def add(self, tills: Tills) -> None:
        self.writes.values += tills.writer["waits"]
        self.sales.values += tills.writer["whole"]
        self.reads.values += tills.reader["took"]
        self.longest.append(max(tills.writer["waits"]))
        self.blocked += tills.reader["blocked"]

    def note(self) -> str:
        said = (f"p99 {milliseconds(self.writes.percentile(99))} of {len(self.writes.values)} writes; "
                f"longest of each run {', '.join(milliseconds(wait) for wait in self.longest)}; "
                f"with its own commit p99 {milliseconds(self.sales.percentile(99))}, longest "
                f"{milliseconds(max(self.sales.values))}; "
                f"reads: {len(self.reads.values)}, {self.blocked} blocked, p99 "
                f"{milliseconds(self.reads.percentile(99))}, longest {milliseconds(max(self.reads.values))}")
        return said + (f"; longest lock that the agent reports {max(self.locks)} ms" if self.locks else "")


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def make_store(path: str) -> None:
    """An empty store as it is before the first load, with a table of the till's own."""
    shell.remove(path)
    db = sqlite3.connect(path)
    try:
        db.execute("PRAGMA journal_mode = WAL")
    finally:
        db.close()


def in_one_transaction(bench: Bench, first: Waits, over: Waits) -> None:
    """The floor: the shell fills the store, and then writes every row again."""
    hq, store = f"{bench.folder}/hq-plain.db", f"{bench.folder}/floor.db"
    shell.copy_file(f"{bench.template(bench.rows)}/hub/hq.db", hq)
    make_store(store)
    with Tills(bench.folder, store, prices.items(bench.rows)) as tills:
        shell.fill_in_one_go(hq, store)
    first.add(tills)
    raise_all(bench, hq)
    with Tills(bench.folder, store, prices.items(bench.rows)) as tills:
        shell.upsert_in_one_go(hq, store)
    over.add(tills)


def by_the_agent(bench: Bench, first: Waits, over: Waits) -> None:
    site = bench.fresh_site(bench.rows)
    store = f"{site.home('BENCH-1')}/store.db"
    with site:
        def load(waits: Waits, publish: Callable[[], tuple[float, dict]]) -> None:
            with Tills(bench.folder, store, prices.items(bench.rows)) as tills:
                _, session = publish()
            waits.add(tills)
            waits.locks.append(site.admin.delivery(session["id"])["longest_lock_ms"])
            site.expect_same()

        load(first, site.publish_applied)
        raise_all(bench, f"{site.hub}/hq.db")
        load(over, lambda: site.publish_applied(full=True))
    shutil.rmtree(site.folder)


def raise_all(bench: Bench, hq: str) -> None:
    db = sqlite3.connect(hq, timeout=60)
    try:
        with db:
            db.execute(prices.update(1, bench.next_stamp()))
    finally:
        db.close()


def tills(bench: Bench) -> list[Figure]:
    """A till that writes every 20 ms and one that reads a thousand times a second."""
    ours, floor = (Waits(), Waits()), (Waits(), Waits())
    for _ in range(bench.runs):
        in_one_transaction(bench, *floor)
        by_the_agent(bench, *ours)
    figures = []
    for index, what in enumerate(("first load", "full load over rows that all differ")):
        longest, theirs = max(ours[index].longest), max(floor[index].longest)
        figures.append(Figure(
            11, f"longest wait of a till that writes, {what} of {bench.count(bench.rows)} rows", longest * 1000, "ms",
            longest / theirs, "≤ 50 ms, no read blocked", f"one transaction: {theirs * 1000:.0f} ms",
            longest <= 0.05 and ours[index].blocked == 0, ours[index].note()))
        figures.append(Figure(
            0, f"the same, applied in one transaction ({what})", theirs * 1000, "ms", None, None, None, None,
            floor[index].note()))
    return figures
