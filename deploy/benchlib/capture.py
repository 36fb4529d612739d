"""Row 6: what noting changes costs the program that makes them."""
import os
import sqlite3
import subprocess

from faultlib.chain import Skipped

from . import prices, shell
from .bench import Bench
from .figures import Figure, Samples, in_turn, seconds, times_as_long


class Recorder:
    """Runs an UPDATE on fresh copies of headquarters' file: with our triggers, without, and under a session."""

    def __init__(self, bench: Bench):
        self.bench = bench
        self.program = f"{bench.folder}/record"
        compile_recorder(self.program)
        self.with_triggers = f"{bench.template(bench.rows)}/hub/hq.db"
        self.without = f"{bench.folder}/hq-plain.db"
        self.copy = f"{bench.folder}/hq-copy.db"
        self.changesets = Samples()
        shell.copy_file(self.with_triggers, self.without)
        drop_triggers(self.without)

    def update(self, source: str, how: str) -> float:
        shell.copy_file(source, self.copy)
        done = subprocess.run(
            [self.program, self.copy, "prices", prices.update(10, self.bench.next_stamp()), how],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=3600)
        took, changeset = map(float, done.stdout.split())
        if how == "session":
            self.changesets.add(changeset)
        return took


def compile_recorder(program: str) -> None:
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "record.c")
    try:
        done = subprocess.run(
            ["cc", "-O2", "-o", program, source, "-lsqlite3"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except FileNotFoundError:
        raise Skipped("there is no C compiler (apt-get install gcc libc6-dev)") from None
    if done.returncode != 0:
        raise Skipped(f"SQLite's session extension is not in this library: {done.stderr.strip()[:300]}")


def drop_triggers(path: str) -> None:
    db = sqlite3.connect(path)
    try:
        with db:
            for event in ("insert", "update", "delete"):
                # Without IF EXISTS: a table that was not captured would be compared with itself.
                db.execute(f"DROP TRIGGER _waybill_prices_{event}")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        db.close()


def capture(bench: Bench) -> list[Figure]:
    recorder = Recorder(bench)
    took = in_turn(bench.runs, {
        "plain": lambda: recorder.update(recorder.without, "plain"),
        "triggers": lambda: recorder.update(recorder.with_triggers, "plain"),
        "session": lambda: recorder.update(recorder.without, "session"),
    })
    what = f"UPDATE of 10 % of {bench.count(bench.rows)} rows at HQ"
    plain, session, changesets = took["plain"], took["session"], recorder.changesets
    return [
        times_as_long(6, f"{what}, captured by triggers", took["triggers"], plain, "without", 1.6),
        Figure(0, f"{what}, recorded by SQLite's sessions", session.median, "s", session.median / plain.median, None,
               f"without: {seconds(plain.median)}", None,
               f"and {seconds(changesets.median)} to write the changeset; {session.spread}; for orientation"),
    ]
