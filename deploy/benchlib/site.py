"""A hub and its stores as processes on this machine, made once and copied for each run that begins anew."""
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from types import SimpleNamespace

from faultlib.chain import HUB, Chain, eventually, expect

from . import prices
from .admin import Admin

STORE = "BENCH-1"

# Nothing runs but what is measured.
SETTINGS = "automatic_runs: false\nautomatic_verification: false\nlog_level: warning\n"


def copy_durably(source: str, target: str) -> None:
    """A copy that the disk has, so that nobody else pays for writing it."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.sock", "incoming"))
    for folder, _, names in os.walk(target):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                os.fsync(file.fileno())


def memory_peak(pid: int) -> float:
    """The most memory in MiB that a process has had resident (VmHWM)."""
    with open(f"/proc/{pid}/status") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


class Site(Chain):
    """A chain whose headquarters holds what the benchmark is about; `with` starts and ends its processes."""

    def __init__(self, bin: str, folder: str, stores: list[str]):
        super().__init__(SimpleNamespace(bin=bin, seed=1), stores=stores, home=folder)
        self.admin = Admin(self.hub)

    def begin(self) -> None:
        """Starts what lies in the folder already."""
        os.makedirs(f"{self.folder}/log", exist_ok=True)
        self.start(HUB)
        for store in self.stores:
            self.start(store)
        self.wait_online()

    def wait_online(self, since: str = "") -> None:
        """Times in ISO 8601, UTC, compare as texts."""
        self.admin.connect_anew()
        eventually("all stores are online", 60, lambda: all(
            store["online"] and store["last_seen"] >= since
            for store in self.admin.get("/v1/stores") if store["store"] in self.stores))
        # Greetings are over, and the processor is free for what is to be measured.
        time.sleep(0.3)

    def wait_for_hub(self, seconds: float = 60) -> None:
        def answers() -> bool:
            expect(self.processes[HUB].poll() is None, "the hub has ended by itself")
            try:
                self.admin.connect_anew()
                return bool(self.admin.get("/v1/status"))
            except (OSError, ValueError):
                return False
        eventually("the hub answers", seconds, answers)

    def close(self) -> None:
        self.admin.close()
        super().close()

    def make_hub(self) -> None:
        self.run("waybill-hub", "init", self.hub, "--listen", f"tcp://127.0.0.1:{self.port}")
        with open(f"{self.hub}/hub.yaml", "a") as yaml:
            yaml.write(SETTINGS)
        os.makedirs(f"{self.folder}/log", exist_ok=True)

    def enrol_stores(self) -> None:
        for store in self.stores:
            code = self.waybill("store", "add", store).strip()
            self.run("waybill-agent", "enrol", code, self.home(store))

    @contextmanager
    def settings(self, store: str, lines: str) -> Iterator[None]:
        """Runs the store's agent with other settings meanwhile."""
        path = f"{self.home(store)}/agent.yaml"
        with open(path) as file:
            usual = file.read()
        try:
            self.restart_with(store, path, usual + lines)
            yield
        finally:
            self.restart_with(store, path, usual)

    def restart_with(self, store: str, path: str, settings: str) -> None:
        self.end(store)
        with open(path, "w") as file:
            file.write(settings)
        begun = datetime.now(timezone.utc).isoformat()
        self.start(store)
        self.wait_online(since=begun)

    def memory(self) -> tuple[float, float]:
        """Peaks of the hub and of the first store's agent."""
        return memory_peak(self.processes[HUB].pid), memory_peak(self.processes[self.stores[0]].pid)

    def publish_applied(self, full: bool = False) -> tuple[float, dict]:
        """From asking for the job to Applied, folded: how long, and the session with the moments of its stages."""
        self.admin.connect_anew()
        begun = time.monotonic()
        session, = self.admin.publish([prices.JOB], full)
        summary = self.admin.wait_applied(session)
        return time.monotonic() - begun, {**summary, "begun": begun}

    def expect_same(self, store: str = STORE) -> None:
        """The store has what HQ has."""
        expect(
            prices.sqlite_contents(f"{self.hub}/hq.db", "prices")
            == prices.sqlite_contents(f"{self.home(store)}/store.db", prices.STORE_TABLE),
            f"store {store} has not what HQ has")


def add_stores(db: sqlite3.Connection, stores: list[str]) -> None:
    """The least that headquarters must know of stores."""
    db.execute("INSERT INTO legal_entity (legal_entity_id, currency) VALUES ('BENCH', 'EUR')")
    db.execute("INSERT INTO org_node (node_id) VALUES ('ALL')")
    db.executemany(
        "INSERT INTO store (store_id, node_id, channel, legal_entity_id, currency) "
        "VALUES (?, 'ALL', 'retail', 'BENCH', 'EUR')", [(store,) for store in stores])


def make_template(bin: str, folder: str, rows: int) -> str:
    """A hub that knows the price table and its job and has run nothing, with one store enrolled; all ended again."""
    os.makedirs(folder)
    site = Site(bin, folder, [STORE])
    try:
        site.make_hub()
        prices.write_job(site.hub)
        db = sqlite3.connect(f"{site.hub}/hq.db")
        try:
            with db:
                prices.fill_sqlite(db, rows)
                add_stores(db, [STORE])
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            db.close()
        site.start(HUB)
        site.enrol_stores()
        eventually("the job is known", 60, lambda: any(
            job["job"] == prices.JOB for job in site.admin.get("/v1/jobs")))
    finally:
        site.close()
    # Whoever copies the file alone shall have all of it, and a hub that ends may leave its newest pages in the log.
    db = sqlite3.connect(f"{folder}/hub/hq.db")
    try:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        db.close()
    return folder
