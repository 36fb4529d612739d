"""A till that holds the lock of the store's database."""
import sqlite3
import time

from .chain import Chain, eventually, expect


def locked(options):
    """A till holds the lock of store.db for --seconds: headquarters is told, others go on, and then it is applied."""
    with Chain(options) as chain:
        chain.publish_to_all()
        victim = chain.stores[1]
        till = sqlite3.connect(f"{chain.home(victim)}/store.db", timeout=20, isolation_level=None)
        try:
            till.execute("BEGIN IMMEDIATE")
            begun = time.monotonic()
            chain.raise_prices()
            chain.waybill("publish", "prices")

            def is_told():
                return [text for text in chain.messages() if text.startswith(victim) and "lock" in text]
            words = eventually("headquarters is told of the lock", 90, is_told)
            told_after = time.monotonic() - begun
            others = [d for s in chain.open_sessions() for d in chain.json("session", "show", s["id"])["deliveries"]
                      if d["store"] != victim]
            expect(all(d["status"] in ("Applied", "NoData") for d in others), "another store waits as well")
            while time.monotonic() - begun < options.seconds:
                expect(chain.processes[victim].poll() is None, "the agent has ended while it waited")
                chain.waybill("status")
                time.sleep(0.5)
            held = time.monotonic() - begun
            till.execute("COMMIT")
        finally:
            till.close()
        chain.settle(180)
        rows = chain.verify()
        return (f"lock held for {held:.0f} s, told after {told_after:.0f} s (“{words[0][:90]}”), "
                f"then applied: all stores equal a full load ({rows} rows)")
