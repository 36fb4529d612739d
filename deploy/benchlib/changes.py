"""Rows 3, 4 and 5: changes at headquarters until a store has them and headquarters knows."""
from . import prices
from .bench import Bench
from .figures import Figure, Samples, in_turn, seconds, times_faster
from .site import STORE, Site

LONG_LOCK_MS = 250


class Updates:
    """One UPDATE of a part of the table, here and there."""

    def __init__(self, bench: Bench, part: int):
        self.bench, self.part = bench, part
        self.site = bench.loaded_site(bench.rows)
        self.stages: list[list[tuple[str, float]]] = []

    def ours(self) -> float:
        stamp = self.bench.next_stamp()
        took = self.bench.change(self.site, [prices.update(self.part, stamp)])
        self.stages.append(self.bench.last_stages)
        self.site.expect_same()
        return took

    def postgres(self) -> float:
        replication, stamp = self.bench.replication(), self.bench.next_stamp()
        replication.tidy()
        took = replication.change([prices.update(self.part, stamp)], prices.updated_item(self.part, stamp), stamp)
        replication.expect_same()
        return took


def updates(bench: Bench, row: int, part: int, least: float) -> list[Figure]:
    changing = Updates(bench, part)
    ways = bench.with_postgres({"postgres": changing.postgres, "ours": changing.ours})
    if "postgres" in ways and not bench.replication().subscriber.run("SELECT 1 FROM pg_subscription"):
        bench.replication().first_load()
    took = in_turn(bench.runs, ways)
    what = f"{100 // part} % of {bench.count(bench.rows)} rows changed by one UPDATE"
    ordered = sorted(changing.stages, key=lambda run: sum(took for _, took in run))
    bench.stages.append((what, ordered[len(ordered) // 2]))
    if "postgres" not in took:
        ours = took["ours"]
        return [Figure(row, what, ours.median, "s", None, f"≥ {least:g} × faster", "PostgreSQL is missing here", None,
                       ours.spread)]
    return [times_faster(row, what, took["ours"], took["postgres"], "PostgreSQL's replication", least)]


def one_percent(bench: Bench) -> list[Figure]:
    return updates(bench, 3, 100, 4) + [with_longer_locks(bench)]


def with_longer_locks(bench: Bench) -> Figure:
    """What the 50 ms that a till waits at most cost: the same where the store allows more."""
    changing = Updates(bench, 100)
    with changing.site.settings(STORE, f"lock_budget_ms: {LONG_LOCK_MS}\n"):
        took = in_turn(bench.runs, {"ours": changing.ours})["ours"]
    what = f"1 % of {bench.count(bench.rows)} rows where tills may wait {LONG_LOCK_MS} ms"
    return Figure(0, what, took.median, "s", note=f"{took.spread}; for orientation")


def all_rows(bench: Bench) -> list[Figure]:
    return updates(bench, 4, 1, 5)


# ---- small changes

def small_changes(bench: Bench) -> list[Figure]:
    """Ten rows at a time; of a table ten times as large in the same way."""
    count = 30 if bench.quick else 50
    small, large = bench.rows, bench.rows * (3 if bench.quick else 10)
    sites = {rows: bench.loaded_site(rows) for rows in (small, large)}
    took = in_turn(count, {
        str(rows): lambda rows=rows, site=site: small_change(bench, site, rows) for rows, site in sites.items()})
    figures = [
        Figure(5, f"10 rows of {bench.count(rows)} changed, p50", samples.median, "s", None, "< 50 ms", None,
               samples.median < 0.05, f"p95 {seconds(samples.percentile(95))}, {samples.spread}")
        for rows, samples in ((rows, took[str(rows)]) for rows in sites)]
    ratio = took[str(large)].median / took[str(small)].median
    figures[1].ratio, figures[1].goal, figures[1].against = ratio, "≤ 1.2 ×", f"10 rows of {bench.count(small)}"
    figures[1].met = ratio <= 1.2
    for site in sites.values():
        site.expect_same()
    return figures + compare_small(bench, took[str(small)], count)


def small_change(bench: Bench, site: Site, rows: int) -> float:
    statements, _ = prices.update_few(bench.random, rows, 10, bench.next_stamp())
    return bench.change(site, statements)


def compare_small(bench: Bench, ours: Samples, count: int) -> list[Figure]:
    """PostgreSQL streams: where it is ahead, the table shall say so."""
    if "postgres" not in bench.with_postgres({"postgres": lambda: 0.0}):
        return []
    replication = bench.replication()
    if not replication.subscriber.run("SELECT 1 FROM pg_subscription"):
        replication.first_load()
    samples = Samples()
    for _ in range(count):
        stamp = bench.next_stamp()
        statements, item = prices.update_few(bench.random, bench.rows, 10, stamp)
        samples.add(replication.change(["BEGIN", *statements, "COMMIT"], item, stamp))
    return [Figure(
        0, "the same 10 rows by PostgreSQL's replication", samples.median, "s", samples.median / ours.median, None,
        f"ours: {seconds(ours.median)}", None, f"p95 {seconds(samples.percentile(95))}; for orientation")]
