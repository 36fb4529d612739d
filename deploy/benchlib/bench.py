"""What the rows of the table share: options, folders, and things that are made once and used by several."""
import argparse
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable

from faultlib.chain import Skipped

from . import prices
from .figures import Figure
from .postgres import Replication
from .site import Site, copy_durably, make_template

MILLION = 1_000_000


class Bench:
    """Made by `with`; what it has made and started is gone after it."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.bin: str = options.bin
        self.rows: int = options.rows
        self.runs: int = options.runs
        self.quick: bool = options.quick
        self.random = random.Random(1)
        self.folder = tempfile.mkdtemp(prefix="waybill-bench-", dir=options.folder)
        self.figures: list[Figure] = []
        self.stages: list[tuple[str, list[tuple[str, float]]]] = []
        self.stamp = 1767225600
        self.open_sites: dict[int, Site] = {}
        self.open_replication: Replication | None = None
        self.replication_is_missing: str | None = None
        self.postgres_version: str | None = None

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        shutil.rmtree(self.folder, ignore_errors=True)

    def release(self) -> None:
        """Ends what runs; it is made anew when somebody asks for it."""
        for rows in list(self.open_sites):
            self.end_loaded_site(rows)
        if self.open_replication is not None:
            self.open_replication.close()
            self.open_replication = None

    def say(self, words: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)

    def next_stamp(self) -> int:
        """The time of a change: never the same twice, so that its arrival shows."""
        self.stamp += 1
        return self.stamp

    def count(self, rows: int) -> str:
        """A number of rows in words."""
        return f"{rows // MILLION} M" if rows % MILLION == 0 else f"{rows:,}"

    # ---- headquarters and stores

    def template(self, rows: int) -> str:
        folder = f"{self.folder}/template-{rows}"
        if not os.path.isdir(folder):
            self.say(f"making a hub with {self.count(rows)} rows")
            make_template(self.bin, folder, rows)
        return folder

    def fresh_site(self, rows: int) -> Site:
        """A hub that has run nothing yet and a store without rows, not started yet. Whoever asks ends it."""
        # Copies of one hub have its ports.
        self.end_loaded_site(rows)
        folder = f"{self.folder}/fresh"
        shutil.rmtree(folder, ignore_errors=True)
        copy_durably(self.template(rows), folder)
        return Site(self.bin, folder, ["BENCH-1"])

    def loaded_site(self, rows: int) -> Site:
        """A hub and a store that has everything; the same for all who ask."""
        if rows not in self.open_sites:
            folder = f"{self.folder}/loaded-{rows}"
            copy_durably(self.template(rows), folder)
            self.say(f"loading a store with {self.count(rows)} rows")
            site = Site(self.bin, folder, ["BENCH-1"])
            self.open_sites[rows] = site
            site.begin()
            site.publish_applied()
        return self.open_sites[rows]

    def end_loaded_site(self, rows: int) -> None:
        """Gives back its disk and processes."""
        site = self.open_sites.pop(rows, None)
        if site is not None:
            site.close()
            shutil.rmtree(site.folder, ignore_errors=True)

    def change(self, site: Site, statements: list[str]) -> float:
        """From before the first statement at headquarters to Applied, folded."""
        db = sqlite3.connect(f"{site.hub}/hq.db", timeout=60, isolation_level=None)
        try:
            site.admin.connect_anew()
            begun = time.monotonic()
            db.execute("BEGIN IMMEDIATE")
            for statement in statements:
                db.execute(statement)
            db.execute("COMMIT")
            updated = time.monotonic()
            session, = site.admin.publish([prices.JOB])
            summary = site.admin.wait_applied(session)
            took = time.monotonic() - begun
        finally:
            db.close()
        self.last_stages = stages({**summary, "begun": updated}, [("UPDATE at HQ", updated - begun)])
        return took

    # ---- the peer

    def replication(self) -> Replication:
        if self.replication_is_missing is not None:
            raise Skipped(self.replication_is_missing)
        if self.open_replication is None:
            self.say(f"making two PostgreSQL clusters with {self.count(self.rows)} rows")
            try:
                self.open_replication = Replication(self.rows)
                self.postgres_version = self.open_replication.version()
            except Skipped as reason:
                self.replication_is_missing = str(reason)
                raise
        return self.open_replication

    def with_postgres(self, ways: dict[str, Callable[[], float]]) -> dict[str, Callable[[], float]]:
        """The ways without PostgreSQL's where it is missing: ours are shown all the same."""
        try:
            self.replication()
            return ways
        except Skipped as reason:
            self.say(f"without PostgreSQL: {reason}")
            return {name: way for name, way in ways.items() if name != "postgres"}


def stages(summary: dict, before: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """A session's way in stages, as far as looking at it from outside shows them."""
    seen, last = summary["seen"], summary["begun"]
    found = list(before)
    for name, marks in (
        ("planned, packed and offered", ("Available", "Requested", "Downloaded", "Applied")),
        ("fetched", ("Downloaded", "Applied")),
        ("applied and folded", ("Applied",)),
    ):
        moment = min((seen[mark] for mark in marks if mark in seen), default=last)
        found.append((name, moment - last))
        last = moment
    return found
