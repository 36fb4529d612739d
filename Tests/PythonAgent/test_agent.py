"""The Python agent against a fake hub: what PROTOCOL.md promises, seen from outside.

Run with a FOLDER made by `prepare`:

    PYTHONPATH=FOLDER/generated FOLDER/venv/bin/python -m unittest discover -s Tests/PythonAgent
"""

import pathlib
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

import nacl.signing

import agent
import waybill_pb2 as wire
from fakehub import BuiltPackage, FakeHub, table

HERE = pathlib.Path(__file__).parent
PRICE = table("price", "product_id TEXT, unit TEXT, amount REAL NULL, note BLOB", "product_id unit")
GROUP = table("price_group", "group_id INTEGER", "group_id")


def price_rows(count, seed=1):
    """Rows that hardly compress: 200 bytes of noise each."""
    noise = random.Random(seed)
    return [(f"P{i:05}", "ea", i / 4, noise.randbytes(200)) for i in range(count)]


def full(number=10, count=5000, session="1-00000000000a", **more):
    return BuiltPackage(
        session, "prices", number, [PRICE, GROUP], {"price": price_rows(count), "price_group": [(1,), (2,)]}, **more
    )


class AgentTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = pathlib.Path(folder.name) / "home"
        self.hub = FakeHub()
        self.addCleanup(self.hub.stop)
        self.processes = []
        self.addCleanup(self.end_processes)

    def end_processes(self):
        for p in self.processes:
            p.kill()
            p.wait()

    def command(self, *words):
        return [sys.executable, str(HERE / "agent.py"), words[0], *map(str, words[1:])]

    def enrol(self, home=None):
        return subprocess.run(self.command("enrol", self.hub.code, home or self.home), capture_output=True, text=True)

    def start(self):
        if not self.home.exists():
            self.assertEqual(self.enrol().returncode, 0)
        log = open(self.home / "log", "a")
        self.addCleanup(log.close)
        p = subprocess.Popen(self.command("run", self.home, "--faster", 20), stderr=log)
        self.processes.append(p)
        return p

    def run_until_applied(self, *jobs):
        if not self.home.exists():
            self.assertEqual(self.enrol().returncode, 0)
        done = subprocess.run(
            self.command("run", self.home, "--faster", 20, "--until-applied", *jobs, "--seconds", 20),
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, 0, done.stderr)

    def wait(self, what, condition, seconds=15):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                log = self.home / "log"
                self.fail(
                    f"never happened: {what}; outcomes {self.hub.outcomes()}\n{log.read_text() if log.exists() else ''}"
                )
            time.sleep(0.01)

    def rows(self, sql):
        db = sqlite3.connect(self.home / "store.db")
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()

    def has_table(self, name):
        return (self.home / "store.db").exists() and bool(
            self.rows(f"SELECT 1 FROM sqlite_schema WHERE name = '{name}'")
        )

    # ------------------------------------------------------------ enrolment

    def test_the_same_code_serves_one_key_only(self):
        self.assertEqual(self.enrol().returncode, 0)
        self.assertEqual(self.enrol().returncode, 0, "asking again with the same key is a lost reply")
        other = self.enrol(self.home.with_name("other"))
        self.assertNotEqual(other.returncode, 0)
        self.assertIn("another key", other.stderr)

    def test_the_values_in_the_protocol_page_hold(self):
        page = (HERE / "../../protocol/PROTOCOL.md").read_text()
        code = agent.parse_code(re.search(r"^    (waybill1\.\S+)$", page, re.M)[1])
        self.assertEqual((code.store, code.secret), ("S001", b"\1" * 16))
        self.assertEqual(code.hub_signing_key, bytes(nacl.signing.SigningKey(b"\3" * 32).verify_key))
        signature = bytes.fromhex(re.search(r"^    ([0-9a-f]{128})$", page, re.M)[1])
        nacl.signing.VerifyKey(code.hub_signing_key).verify(
            b"waybill-manifest-v1\0" + bytes.fromhex("08011200"), signature
        )

    # ------------------------------------------------------------ rows

    def test_a_full_package_and_the_delta_over_it_arrive(self):
        first = full()
        self.assertGreater(len(first.chunks), 4, "the test needs several chunks")
        self.hub.offer(first)
        self.run_until_applied("prices")
        self.assertEqual(self.rows("SELECT * FROM price ORDER BY product_id"), price_rows(5000))
        self.assertEqual(self.rows("SELECT * FROM price_group"), [(1,), (2,)])
        self.assertEqual(self.hub.outcomes(), ["DOWNLOADED", "APPLIED"])
        applied = self.hub.reports[-1]
        self.assertEqual((applied.watermark, applied.rows_changed, applied.attempt), (first.watermark, 5002, 1))

        agent_process = self.start()
        self.wait("hello", lambda: any(h.watermarks for h in self.hub.bodies("hello")))
        self.hub.offer(
            BuiltPackage(
                "2-00000000000b",
                "prices",
                11,
                [PRICE, GROUP],
                {"price": [("P00001", "ea", None, b"\0x"), ("Q", "kg", 1.5, b"")]},
                removed={"price": [("P00000", "ea")], "price_group": [(2,)]},
                bases=[first.watermark],
            )
        )
        time.sleep(0.2)  # a SUB needs a moment to subscribe; PUB drops what comes before
        self.hub.announce()
        self.wait("delta", lambda: self.hub.outcomes()[2:] == ["DOWNLOADED", "APPLIED"])
        agent_process.kill()
        self.assertEqual(self.rows("SELECT count(*) FROM price"), [(5000,)])
        self.assertEqual(
            self.rows("SELECT * FROM price WHERE product_id IN ('P00000', 'P00001', 'Q') ORDER BY 1"),
            [("P00001", "ea", None, b"\0x"), ("Q", "kg", 1.5, b"")],
        )
        self.assertEqual(self.rows("SELECT * FROM price_group"), [(1,)])

    def test_a_full_package_takes_away_what_it_does_not_hold(self):
        self.hub.offer(full(count=20))
        self.run_until_applied("prices")
        self.hub.offer(full(number=12, count=3, session="3-00000000000c"))
        self.run_until_applied("prices")
        self.assertEqual(self.rows("SELECT product_id FROM price"), [("P00000",), ("P00001",), ("P00002",)])
        self.assertEqual(self.hub.reports[-1].rows_changed, 17, "rows that stay as they are do not count")

    # ------------------------------------------------------------ tables that travel in other ways

    def send(self, number, tables, rows, **more):
        package = BuiltPackage(f"{number}-{number:012x}", "units", number, tables, rows, **more)
        self.hub.offer(package)
        self.run_until_applied("units")
        return package.watermark

    def till(self, sql):
        db = sqlite3.connect(self.home / "store.db")
        db.executescript(sql)
        db.close()

    def test_a_whole_table_in_a_delta_puts_right_what_somebody_changed(self):
        base = self.send(1, [table("unit", "id TEXT, name TEXT NULL", "id"), GROUP], {"unit": [("kg", "k"), ("l", "l")]})
        self.till("UPDATE unit SET name = 'wrong'; INSERT INTO unit VALUES ('mine', 'm'); INSERT INTO price_group VALUES (7)")
        whole = table("unit", "id TEXT, name TEXT NULL", "id", whole=True)
        self.send(2, [whole, GROUP], {"unit": [("kg", "k"), ("g", "g")]}, bases=[base])
        self.assertEqual(self.rows("SELECT * FROM unit ORDER BY id"), [("g", "g"), ("kg", "k")])
        self.assertEqual(self.rows("SELECT * FROM price_group"), [(7,)], "the other table is sent as a delta")

    def test_a_table_that_keeps_loses_no_row(self):
        unit = table("unit", "id TEXT, name TEXT NULL", "id", keeps=True)
        self.send(1, [unit], {"unit": [("kg", "k"), ("l", "l")]})
        base = self.send(2, [unit], {"unit": [("kg", "kilo")]})
        self.assertEqual(self.rows("SELECT * FROM unit ORDER BY id"), [("kg", "kilo"), ("l", "l")])
        whole = table("unit", "id TEXT, name TEXT NULL", "id", keeps=True, whole=True)
        self.send(3, [whole], {"unit": [("g", "g")]}, bases=[base])
        self.assertEqual(self.rows("SELECT * FROM unit ORDER BY id"), [("g", "g"), ("kg", "kilo"), ("l", "l")])

    def test_columns_change_under_what_tills_have_made(self):
        self.send(1, [table("unit", "id TEXT, name TEXT NULL, old TEXT NULL", "id")], {"unit": [("kg", "k", "x")]})
        self.till(
            "CREATE INDEX by_name ON unit (name); CREATE INDEX by_old ON unit (old); "
            "CREATE VIEW names AS SELECT name FROM unit; "
            "CREATE TRIGGER t AFTER INSERT ON unit BEGIN SELECT NEW.old; END; INSERT INTO unit VALUES ('l', 'liter', NULL)"
        )
        unit = table("unit", "id TEXT, title TEXT NULL, digits INTEGER", "id", former={"title": "name"}, keeps=True)
        self.send(2, [unit], {"unit": [("kg", "kilo", 3)]})
        self.assertEqual(self.rows("SELECT * FROM unit ORDER BY id"), [("kg", "kilo", 3), ("l", "liter", 0)])
        self.assertEqual(self.rows("SELECT * FROM names ORDER BY 1"), [("kilo",), ("liter",)])
        self.assertEqual(self.rows("SELECT name FROM pragma_index_info('by_name')"), [("title",)])
        self.assertEqual(self.rows("SELECT name FROM sqlite_schema WHERE name IN ('by_old', 't')"), [])
        message = self.hub.reports[-1].message
        self.assertIn("index by_old was dropped", message)
        self.assertIn("trigger t was dropped", message)

    def test_a_format_that_the_agent_does_not_know_is_refused(self):
        package = full(count=5)
        package.manifest.format = 3
        self.hub.offer(package)
        self.start()
        self.wait("failure", lambda: "DOWNLOAD_FAILED" in self.hub.outcomes())
        self.assertIn("format 3; update the agent", self.hub.reports[0].message)
        self.assertFalse(self.has_table("price"))

    # ------------------------------------------------------------ refusals

    def test_a_delta_over_another_base_is_refused(self):
        stranger = wire.Watermark(job="prices", version=wire.Version(epoch=1, number=10), session="9-000000000009")
        self.hub.offer(full(count=5))
        self.run_until_applied("prices")
        self.hub.offer(
            BuiltPackage("2-00000000000b", "prices", 11, [PRICE, GROUP], {}, {"price_group": [(1,)]}, [stranger])
        )
        self.start()
        self.wait("failure", lambda: "DOWNLOAD_FAILED" in self.hub.outcomes())
        self.assertTrue(self.hub.reports[-1].transient)
        self.assertEqual(self.rows("SELECT count(*) FROM price_group"), [(2,)])

    def test_a_forged_manifest_is_refused(self):
        self.hub.sign = lambda manifest: nacl.signing.SigningKey.generate().sign(manifest).signature
        self.hub.offer(full(count=5))
        self.start()
        self.wait("second attempt", lambda: any(r.attempt == 2 for r in self.hub.bodies("request")))
        self.assertEqual(self.hub.outcomes()[0], "DOWNLOAD_FAILED")
        self.assertEqual(self.hub.bodies("chunk_request"), [])

    def test_a_package_with_a_trigger_is_refused(self):
        self.hub.offer(full(count=5, extra="CREATE TRIGGER t AFTER INSERT ON price BEGIN DELETE FROM price; END;"))
        self.start()
        self.wait("failure", lambda: "DOWNLOAD_FAILED" in self.hub.outcomes())
        self.assertIn("trigger t", self.hub.reports[0].message)
        self.assertFalse(self.has_table("price"))

    def test_a_damaged_chunk_is_refused_and_asked_for_again(self):
        self.hub.damage = {2: 2}
        self.hub.offer(full())
        self.run_until_applied("prices")
        self.assertEqual([r.index for r in self.hub.bodies("chunk_request")].count(2), 3)
        self.assertEqual(self.hub.outcomes(), ["DOWNLOADED", "APPLIED"])

    def test_a_chunk_damaged_three_times_fails_the_attempt_only(self):
        self.hub.damage = {2: 3}
        self.hub.offer(full())
        self.run_until_applied("prices")
        self.assertEqual(self.hub.outcomes(), ["DOWNLOAD_FAILED", "DOWNLOADED", "APPLIED"])
        self.assertEqual(self.hub.reports[-1].attempt, 2)

    def test_the_hub_may_know_of_more_failed_attempts_than_the_store(self):
        self.hub.attempt = 4
        self.hub.offer(full(count=5))
        self.run_until_applied("prices")
        self.assertEqual(([r.attempt for r in self.hub.bodies("request")], self.hub.reports[-1].attempt), ([4], 4))

    # ------------------------------------------------------------ cancel

    def test_a_canceled_session_is_never_applied(self):
        package = full()
        self.hub.chunks_max = 3
        self.hub.offer(package)
        self.start()
        self.wait("stuck", lambda: self.hub.chunks_max == 0)
        self.hub.cancels = [wire.Cancel(session=package.session, job="prices", run=1)]
        self.hub.announce()
        self.wait("promise", lambda: self.hub.outcomes() == ["CANCELED"])
        self.hub.chunks_max = None
        self.hub.offer(package)  # a hub that has forgotten is answered, not obeyed
        self.hub.announce()
        self.wait("promise again", lambda: self.hub.outcomes() == ["CANCELED", "CANCELED"])
        self.assertEqual(len(self.hub.bodies("request")), 1)
        self.assertFalse(self.has_table("price"))
        self.hub.offer(package, run=2)  # a rerun is another run, which nobody canceled
        self.hub.announce()
        self.wait("run 2", lambda: self.hub.outcomes()[2:] == ["DOWNLOADED", "APPLIED"])

    def test_a_cancel_that_comes_too_late_is_told_so(self):
        package = full(count=5)
        self.hub.offer(package)
        self.run_until_applied("prices")
        at = self.hub.reports[-1].at
        self.hub.cancels = [wire.Cancel(session=package.session, job="prices", run=1)]
        self.start()
        self.wait("answer", lambda: self.hub.outcomes() == ["DOWNLOADED", "APPLIED", "APPLIED"])
        self.assertEqual((self.hub.reports[-1].at, self.hub.reports[-1].watermark), (at, package.watermark))

    # ------------------------------------------------------------ restarts

    def test_a_restarted_agent_fetches_only_what_is_missing(self):
        package = full()
        self.hub.chunks_max = 3
        self.hub.offer(package)
        process = self.start()
        part = self.home / "packages" / (package.manifest.sha256.hex() + ".part")
        self.wait("stuck", lambda: self.hub.chunks_max == 0 and len(self.hub.bodies("hello")) > 0)
        self.wait("asked again", lambda: len(self.hub.bodies("chunk_request")) > 12)
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.assertTrue(part.exists())
        before = len(self.hub.bodies("chunk_request"))
        self.hub.chunks_max = None
        self.run_until_applied("prices")
        asked = [r.index for r in self.hub.bodies("chunk_request")[before:]]
        self.assertEqual(sorted(asked), list(range(3, len(package.chunks))))
        self.assertEqual([r.attempt for r in self.hub.bodies("request")], [1, 1], "a restart is no failure")
        counters = [m.incarnation.counter for m in self.hub.messages]
        self.assertEqual((counters[0] < counters[-1], counters), (True, sorted(counters)))
        self.assertEqual(self.rows("SELECT count(*) FROM price"), [(5000,)])

    def test_a_job_is_applied_after_those_that_it_follows(self):
        self.hub.follows = {"prices": ["groups"]}
        self.hub.offer(full(count=5, session="1-00000000000a"))
        self.hub.offer(BuiltPackage("2-00000000000b", "groups", 3, [table("g", "id INTEGER", "id")], {"g": [(1,)]}))
        self.run_until_applied("prices", "groups")
        applied = [r.job for r in self.hub.reports if r.outcome == wire.APPLIED]
        self.assertEqual(list(dict.fromkeys(applied)), ["groups", "prices"])

    def test_what_waits_for_its_window_keeps_what_is_stored(self):
        package = full()
        self.hub.chunks_max = 3
        self.hub.offer(package)
        self.start()
        self.wait("stuck", lambda: self.hub.chunks_max == 0)
        self.hub.held.add(package.session)
        before = len(self.hub.bodies("hello"))
        self.hub.announce()
        self.wait("greeted", lambda: len(self.hub.bodies("hello")) > before)
        self.hub.chunks_max = None
        asked = len(self.hub.bodies("chunk_request"))
        self.hub.held.clear()
        self.hub.announce()
        self.wait("applied", lambda: self.hub.outcomes() == ["DOWNLOADED", "APPLIED"])
        later = {r.index for r in self.hub.bodies("chunk_request")[asked:]}
        self.assertEqual(len(package.chunks) - len(later), 3, "three chunks were there already")

    def test_a_restarted_hub_is_asked_again_before_anything_is_applied(self):
        self.hub.chunks_max = 3
        self.hub.offer(full())
        self.start()
        self.wait("stuck", lambda: self.hub.chunks_max == 0)
        self.hub.hub_run = 2
        self.hub.announce()
        self.wait("asked again", lambda: len(self.hub.bodies("request")) == 2)
        self.hub.chunks_max = None
        self.wait("applied", lambda: self.hub.outcomes() == ["DOWNLOADED", "APPLIED"])
        self.assertEqual([r.attempt for r in self.hub.bodies("request")], [1, 1])

    def test_reports_are_repeated_until_acknowledged_also_by_the_next_process(self):
        self.hub.keep_acknowledgements = True
        self.hub.offer(full(count=5))
        process = self.start()
        applied = lambda: sum(r.outcome == wire.APPLIED for r in list(self.hub.reports))
        self.wait("first", lambda: applied() > 0)
        self.hub.offers.clear()  # nothing but the reports' own timer speaks of them from here on
        before = applied()
        self.wait("repeated", lambda: applied() > before + 2)
        process.kill()
        process.wait()
        self.hub.keep_acknowledgements = False
        self.run_until_applied("prices")
        self.assertEqual(
            self.hub.outcomes(), ["DOWNLOADED", "APPLIED"], "the same reports, of the incarnation that wrote them"
        )
        self.assertEqual(self.rows("SELECT count(*) FROM _waybill_outbox"), [(0,)])

    def test_a_restored_store_starts_above_what_the_hub_has_seen(self):
        self.hub.regressed_below = 41
        self.hub.offer(full(count=5))
        self.run_until_applied("prices")
        self.assertEqual(self.hub.messages[-1].incarnation.counter, 42)

    def test_silence_makes_the_agent_connect_anew(self):
        self.hub.offer(full(count=5))
        self.hub.is_mute = True
        self.start()
        self.wait("first hello", lambda: self.hub.messages)
        route = self.hub.route
        self.wait("another connection", lambda: self.hub.route != route)
        self.hub.is_mute = False
        self.wait("applied", lambda: self.hub.outcomes() == ["DOWNLOADED", "APPLIED"])


if __name__ == "__main__":
    unittest.main()
