"""Row 13: working out a chain's assortments, delivery modes and prices, and working them out after one changed line."""
import os
import shutil
import sqlite3
import subprocess
import time

from faultlib.chain import HUB, Skipped, expect

from .bench import Bench
from .figures import Figure, Samples, seconds
from .site import Site

JOBS = ["assortments", "delivery-modes", "prices"]

# One line each, of another row with each run. Random, but the same ones each time: a hash of the key decides.
LINES = {
    "assortment line": "UPDATE assortment_line SET line_type = CASE line_type WHEN 'include' THEN 'exclude' "
    "ELSE 'include' END WHERE product_id IS NOT NULL AND (assortment_id, line_no) = (SELECT assortment_id, line_no "
    "FROM assortment_line WHERE product_id IS NOT NULL ORDER BY line_no * 7919 % 104729, assortment_id "
    "LIMIT 1 OFFSET {})",
    "delivery mode line": "UPDATE delivery_mode_product SET line_type = CASE line_type WHEN 'include' THEN 'exclude' "
    "ELSE 'include' END WHERE product_id IS NOT NULL AND (mode_id, line_no) = (SELECT mode_id, line_no "
    "FROM delivery_mode_product WHERE product_id IS NOT NULL ORDER BY line_no * 7919 % 104729, mode_id "
    "LIMIT 1 OFFSET {})",
    "trade agreement": "UPDATE trade_agreement SET amount = amount + 0.01 WHERE line_id = "
    "(SELECT line_id FROM trade_agreement ORDER BY line_id LIMIT 1 OFFSET 97 * {})",
}


def copy_tables(golden: str, folder: str) -> None:
    """The set's tables of HQ, decompressed; not the questions that belong to its expected answers."""
    os.makedirs(folder)
    for name in os.listdir(f"{golden}/input"):
        table = name.split(".")[0]
        if table.endswith("_query") or table == "query_date":
            continue
        if name.endswith(".zst"):
            subprocess.run(
                ["zstd", "-q", "-d", f"{golden}/input/{name}", "-o", f"{folder}/{table}.csv"],
                stdin=subprocess.DEVNULL, check=True)
        else:
            shutil.copy(f"{golden}/input/{name}", folder)


class RetailSite(Site):
    """A hub with the set's tables and no store: what it works out it neither packs nor sends."""

    def make(self, tables: str) -> None:
        self.make_hub()
        self.start(HUB)
        self.waybill("import", tables, timeout=600)

    def work_out(self) -> tuple[float, list[str]]:
        self.admin.connect_anew()
        begun = time.monotonic()
        sessions = self.admin.publish(JOBS)
        statuses = [
            self.admin.wait(session, ("Available", "NoData", "Applied"), 600)["status"] for session in sessions]
        return time.monotonic() - begun, statuses

    def expect_versions(self, tables: list[str]) -> None:
        """Lines that change nothing would be measured as fast."""
        db = sqlite3.connect(f"file:{self.hub}/rows.db?mode=ro", uri=True)
        try:
            for table in tables:
                versions, = db.execute(
                    "SELECT count(DISTINCT version) FROM scope_change WHERE table_name = ?", (table,)).fetchone()
                expect(versions > 1, f"the changed lines have changed no row of {table}")
        finally:
            db.close()

    def change(self, sql: str) -> None:
        db = sqlite3.connect(f"{self.hub}/hq.db", timeout=60)
        try:
            with db:
                db.execute(sql)
        finally:
            db.close()


def explosion(bench: Bench) -> list[Figure]:
    golden = bench.options.golden
    if not os.path.isdir(f"{golden}/input"):
        raise Skipped(f"the golden set {os.path.basename(golden)} does not lie beside the checkout")
    tables = f"{bench.folder}/tables"
    copy_tables(golden, tables)
    whole, lines = Samples(), {name: Samples() for name in LINES}
    for run in range(bench.runs):
        folder = f"{bench.folder}/retail"
        site = RetailSite(bench.bin, folder, [])
        site.is_temporary = True
        try:
            site.make(tables)
            whole.add(site.work_out()[0])
            for index in range(3):
                for name, sql in LINES.items():
                    site.change(sql.format(run * 3 + index))
                    lines[name].add(site.work_out()[0])
            site.expect_versions(["assorted_product", "product_delivery_mode", "trade_agreement"])
        finally:
            site.close()
    return figures(os.path.basename(golden), whole, lines)


def figures(name: str, whole: Samples, lines: dict[str, Samples]) -> list[Figure]:
    shown = [Figure(
        13, f"{name}: all three jobs worked out from nothing", whole.median, "s", None, None, None, None, whole.spread)]
    for line, samples in lines.items():
        ratio = samples.median / whole.median
        shown.append(Figure(
            13, f"{name}: again after one {line} has changed", samples.median, "s", ratio, "≤ 0.02 ×",
            f"from nothing: {seconds(whole.median)}", ratio <= 0.02, samples.spread))
    return shown
