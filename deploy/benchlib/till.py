"""A till beside the agent: a program that only writes, or only reads, the store's database, and says how it fared.

usage: python3 -m benchlib.till write|read STORE.DB ITEMS FLAG
It goes on until the file named last has been removed, and prints one JSON object: of a writer how long it waited for
the lock, and how long the whole sale took with commit, sync and, every thousand pages, SQLite's own checkpoint.
"""
import json
import os
import random
import sqlite3
import sys
import time

from . import prices

WRITE_EVERY, READ_EVERY = 0.020, 0.001
# As cash registers are configured who would rather wait than lose a sale.
BUSY_SECONDS = 60

SALE_TABLE = """
    CREATE TABLE IF NOT EXISTS till_sale (
        id INTEGER PRIMARY KEY,
        item_id INTEGER NOT NULL,
        cents INTEGER NOT NULL,
        sold_at REAL NOT NULL
    )"""


def goes_on(flag: str) -> bool:
    return os.path.exists(flag)


def pace(every: float, body, flag: str) -> None:
    """Runs the body so often; a time that was missed is not made up for."""
    due = time.monotonic()
    body()
    # Whoever has started us waits for this line.
    print("open", flush=True)
    while goes_on(flag):
        body()
        due = max(due + every, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))


def write(path: str, items: int, flag: str) -> dict:
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    db.execute(SALE_TABLE)
    generator, waits, whole = random.Random(1), [], []

    def sell() -> None:
        item, begun = generator.randint(1, items), time.monotonic()
        db.execute("BEGIN IMMEDIATE")
        waits.append(time.monotonic() - begun)
        db.execute("INSERT INTO till_sale (item_id, cents, sold_at) VALUES (?, 100, ?)", (item, time.time()))
        db.execute("COMMIT")
        whole.append(time.monotonic() - begun)

    pace(WRITE_EVERY, sell, flag)
    db.close()
    return {"waits": waits, "whole": whole}


def read(path: str, items: int, flag: str) -> dict:
    """Never waits: a reader that meets a lock counts it."""
    db = sqlite3.connect(path, timeout=0, isolation_level=None)
    generator, took = random.Random(2), []
    counts = {"blocked": 0, "found": 0, "no_table": 0}

    def ask() -> None:
        begun = time.monotonic()
        try:
            row = db.execute(prices.look_up(prices.STORE_TABLE, generator.randint(1, items))).fetchone()
            counts["found"] += row is not None
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_ERROR and "no such table" in str(error):
                counts["no_table"] += 1
            else:
                counts["blocked"] += 1
        took.append(time.monotonic() - begun)

    pace(READ_EVERY, ask, flag)
    db.close()
    return {"took": took, **counts}


def main() -> None:
    role, path, items, flag = sys.argv[1:]
    print(json.dumps({"write": write, "read": read}[role](path, int(items), flag)))


if __name__ == "__main__":
    main()
