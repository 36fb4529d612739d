"""The Python agent against the real hub: that PROTOCOL.md and the Swift programs say the same.

Needs the programs of `swift build` in .build/debug, or in the folder that WAYBILL_BIN names. Run like test_agent.py.
"""

import pathlib
import signal
import sqlite3
import subprocess
import sys
import time
import unittest

import zmq

import agent
import realhub
import waybill_pb2 as wire
from realhub import HERE, PROGRAMS, RealHub

JOBS = ("assortments", "delivery-modes", "prices")
STORE, OTHER = "AT-GRZ-1", "AT-VIE-1"
PRODUCT = "BAK-CRAC"


@unittest.skipIf(realhub.MISSING, f"{', '.join(realhub.MISSING)} not in {PROGRAMS}: run swift build first")
class RealHubTests(unittest.TestCase):
    def setUp(self):
        self.hub = RealHub()
        self.addCleanup(self.hub.stop)
        self.home = pathlib.Path(self.hub.folder.name) / "python"
        self.processes = []
        self.addCleanup(self.end_processes)

    def end_processes(self):
        for p in self.processes:
            p.kill()
            p.wait()

    def command(self, *words):
        return [sys.executable, str(HERE / "agent.py"), *map(str, words)]

    def enrol(self, store=STORE):
        done = subprocess.run(self.command("enrol", self.hub.code(store), self.home), capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def run_until_applied(self, *jobs):
        """Until the store has these jobs, the hub has nothing more for it, and all reports are acknowledged."""
        done = subprocess.run(
            self.command("run", self.home, "--seconds", 30, "--until-applied", *jobs), capture_output=True, text=True
        )
        self.assertEqual(done.returncode, 0, done.stderr + self.hub.log_text())

    def start(self, *words):
        p = subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.processes.append(p)
        return p

    def wait(self, what, condition, seconds=20):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                self.fail(f"never happened: {what}\n{self.hub.log_text()}")
            time.sleep(0.05)

    def tables(self, home):
        """All that the store has been sent: rows by table."""
        db = sqlite3.connect(home / "store.db")
        try:
            names = [n for n, in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
            ours = [n for n in names if not n.startswith(("_waybill", "sqlite_"))]
            return {n: sorted(db.execute(f'SELECT * FROM "{n}"').fetchall(), key=repr) for n in ours}
        finally:
            db.close()

    def base_price(self):
        (price,) = {r[-1] for r in self.rows(f"SELECT base_price_e4 FROM price_base WHERE product_id = '{PRODUCT}'")}
        return price

    def rows(self, sql):
        db = sqlite3.connect(self.home / "store.db")
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()

    def set_price(self, price):
        """Of 2.90 at the beginning; leaps of more than 80 % would have to be approved."""
        self.hub.hq(f"UPDATE product_release SET base_price = {price} WHERE product_id = '{PRODUCT}'")

    def line(self):
        """A connection with the store's key that says what the test wants: say(hello=…) -> the next answer."""
        a = agent.Agent(self.home)
        self.addCleanup(a.context.destroy, linger=0)
        self.addCleanup(a.store.db.close)
        keys = [bytes.fromhex(a.me[k]) for k in ("hub_curve_key", "public", "secret")]
        s = agent.open_socket(a.context, zmq.DEALER, a.me["agents"], *keys)
        mine = a.store.incarnation

        def say(store=a.me["store"], **body):
            s.send(wire.AgentMessage(protocol=1, store=store, incarnation=mine, **body).SerializeToString())
            self.assertTrue(s.poll(10000), "the hub does not answer")
            return wire.HubMessage.FromString(s.recv())

        return a, say

    # ------------------------------------------------------------

    def test_a_store_gets_the_same_rows_whichever_agent_it_runs(self):
        swift = pathlib.Path(self.hub.folder.name) / "swift"
        self.hub.program("waybill-agent", "enrol", self.hub.code(STORE), swift)
        process = self.start(PROGRAMS / "waybill-agent", "run", swift)
        self.hub.waybill("publish", *JOBS, "--wait")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=20), 0)

        self.enrol()  # the machine is replaced by one with the Python agent
        self.hub.publish(*JOBS)
        self.run_until_applied(*JOBS)

        expected, found = self.tables(swift), self.tables(self.home)
        self.assertEqual(list(found), list(expected))
        for name in expected:
            self.assertEqual(found[name], expected[name], f"table {name}")
        self.assertGreater(len(found["assorted_product"]), 20)
        self.assertGreater(len(found["product_delivery_mode"]), 20)
        self.assertGreater(len(found["price_base"]), 20)

    def test_a_changed_price_arrives_as_a_delta_of_one_row(self):
        self.enrol()
        self.hub.publish(*JOBS)
        self.run_until_applied(*JOBS)
        before = self.tables(self.home)
        self.set_price("4.7700")
        session = self.hub.publish("prices")["prices"]
        self.run_until_applied("prices")
        self.assertEqual(self.base_price(), 47700)
        delivery = self.hub.delivery(session, STORE)
        self.assertEqual((delivery["status"], delivery["kind"], delivery["rows"]), ("Applied", "delta", 1))
        self.assertIsNotNone(delivery["applied_at"])
        after = self.tables(self.home)
        changed = [n for n in before if before[n] != after[n]]
        self.assertEqual(changed, ["price_base"])

    def test_rows_that_hq_takes_back_are_deleted_at_the_store(self):
        self.enrol()
        self.hub.publish(*JOBS)
        self.run_until_applied(*JOBS)
        count = len(self.tables(self.home)["price_base"])
        self.hub.hq(f"DELETE FROM product_release WHERE product_id = '{PRODUCT}'")
        session = self.hub.publish("prices")["prices"]
        self.run_until_applied("prices")
        self.assertEqual(self.rows(f"SELECT 1 FROM price_base WHERE product_id = '{PRODUCT}'"), [])
        self.assertEqual(len(self.tables(self.home)["price_base"]), count - 1)
        self.assertEqual(self.hub.delivery(session, STORE)["kind"], "delta")

    def test_a_session_canceled_while_the_store_is_down_is_promised_and_never_applied(self):
        self.enrol()
        self.hub.publish("prices")
        self.run_until_applied("prices")
        old_price = self.base_price()
        self.set_price("4.9900")
        session = self.hub.publish("prices")["prices"]

        # The store asks for the session, gets leave, and dies: from now on only it can say what became of it.
        a, say = self.line()
        offer = say(hello=wire.Hello(sequence=a.store.sequence(), watermarks=a.store.watermarks())).welcome.offers[0]
        self.assertEqual(offer.session, session)
        granted = say(request=wire.Request(session=session, run=offer.run, attempt=offer.attempt))
        self.assertTrue(granted.HasField("grant"))
        a.context.destroy(linger=0)

        reply = self.hub.waybill("session", "cancel", session, "--store", STORE, "--reason", "typing error", status=3)
        self.assertEqual([s["answer"] for s in reply["stores"]], ["pending"])
        self.assertEqual(self.hub.delivery(session, STORE)["status"], "Requested")

        self.start(*self.command("run", self.home))
        self.wait("the promise", lambda: self.hub.delivery(session, STORE)["status"] == "Canceled")
        self.assertIn("never applied", self.hub.delivery(session, STORE)["message"])
        self.assertEqual(self.base_price(), old_price)

        # What was called off is not lost: the next session covers it.
        self.set_price("3.3300")
        self.hub.publish("prices")
        self.wait("the corrected price", lambda: self.base_price() == 33300)
        self.assertEqual(self.hub.delivery(session, STORE)["status"], "Canceled")

    def test_a_cancel_after_the_commit_is_answered_with_the_time_of_it(self):
        self.enrol()
        session = self.hub.publish("prices")["prices"]
        self.run_until_applied("prices")
        reply = self.hub.waybill("session", "cancel", session, "--store", STORE, status=3)
        self.assertEqual([s["answer"] for s in reply["stores"]], ["too_late"])
        self.assertIsNotNone(reply["stores"][0]["at"])

    def test_a_hub_that_was_killed_goes_on_with_the_same_stores(self):
        self.enrol()
        self.hub.publish("prices")
        self.start(*self.command("run", self.home, "--faster", 20))
        self.wait("the first prices", lambda: (self.home / "store.db").exists() and self.has("price_base"))
        self.hub.kill()
        self.assertTrue(self.hub.start(), self.hub.log_text())
        self.set_price("4.5500")
        self.hub.publish("prices")
        self.wait("the new price", lambda: self.base_price() == 45500)

    def test_a_hub_restored_from_a_backup_brings_stores_to_its_own_rows(self):
        for keeps_rows in (True, False):
            with self.subTest(keeps_rows=keeps_rows):
                if keeps_rows:
                    self.enrol()
                self.set_price("4.0000")
                self.hub.publish("prices")
                self.run_until_applied("prices")
                self.hub.back_up()
                self.set_price("6.0000")
                self.hub.publish("prices")
                self.run_until_applied("prices")
                self.assertEqual(self.base_price(), 60000)

                self.hub.kill()
                self.hub.restore(keeps_rows)
                self.assertTrue(self.hub.start(), self.hub.log_text())
                # Nobody publishes: the hub sees by the store's watermark that it has another history.
                store = self.start(*self.command("run", self.home))
                self.wait("the older price", lambda: self.base_price() == 40000)
                self.wait("the report", lambda: self.hub.waybill("store", "list")[0]["behind"] == [])
                self.assertEqual(self.hub.waybill("session", "list", "--job", "prices")[0]["kind"], "full")
                store.kill()
                store.wait()

    def has(self, table):
        return bool(self.rows(f"SELECT 1 FROM sqlite_schema WHERE name = '{table}'"))

    def test_a_used_code_with_another_key_is_refused(self):
        code = self.hub.code(STORE)
        first = pathlib.Path(self.hub.folder.name) / "first"
        for home, status in ((first, 0), (first, 0), (self.home, 1)):
            done = subprocess.run(self.command("enrol", code, home), capture_output=True, text=True)
            self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn("used already", done.stderr)

    def test_a_store_that_speaks_for_another_is_refused(self):
        self.enrol()
        self.hub.code(OTHER)
        _, say = self.line()
        self.assertIn(STORE, say(store=OTHER, hello=wire.Hello()).refused.reason)
        self.assertIn(f"store {STORE} spoke for store {OTHER}", self.hub.log_text())

    def test_reports_that_the_hub_cannot_place_are_acknowledged(self):
        self.enrol()
        a, say = self.line()
        reports = [
            wire.Report(
                id=id, incarnation=a.store.incarnation, sequence=id, session=f"{id}-00000000000a", job="prices", run=1,
                attempt=1, outcome=outcome,
            )
            for id, outcome in ((1, 99), (2, wire.OUTCOME_UNSPECIFIED), (3, wire.DOWNLOADED))
        ]  # fmt: skip
        answer = say(reports=wire.Reports(reports=reports))
        self.assertEqual(sorted(r.id for r in answer.acknowledgement.reports), [1, 2, 3])
        self.assertIn("outcome", self.hub.log_text())

    def test_an_older_incarnation_is_told_so(self):
        self.enrol()
        a, say = self.line()
        self.assertTrue(say(hello=wire.Hello()).HasField("welcome"))
        a.store.incarnation.random ^= 1  # a second machine with a copy of the database
        self.assertEqual(say(hello=wire.Hello()).regressed.counter, a.store.incarnation.counter)

    def test_a_package_of_another_session_is_not_to_be_had_without_a_grant(self):
        self.enrol()
        self.hub.publish("prices")
        a, say = self.line()
        (package,) = {p.name for p in (self.hub.home / "packages").iterdir()}
        wanted = bytes.fromhex(package.removesuffix(".zst"))
        self.assertTrue(say(chunk_request=wire.ChunkRequest(package=wanted, index=0)).HasField("no_chunk"))
        offer = say(hello=wire.Hello()).welcome.offers[0]
        say(request=wire.Request(session=offer.session, run=offer.run, attempt=offer.attempt))
        self.assertEqual(say(chunk_request=wire.ChunkRequest(package=wanted, index=0)).chunk.package, wanted)
        self.assertTrue(say(chunk_request=wire.ChunkRequest(package=wanted, index=9)).HasField("no_chunk"))


if __name__ == "__main__":
    unittest.main()
