"""Rows 1, 2 and 12: a store's first load, from nothing; and copies of whole files, for orientation."""
import shutil

from . import shell
from .bench import Bench, stages
from .figures import Figure, Samples, in_turn, seconds, times_as_long, times_faster


class FirstLoads:
    """The ways to bring all rows to a store that has none."""

    def __init__(self, bench: Bench, rows: int):
        self.bench, self.rows = bench, rows
        self.hq = f"{bench.template(rows)}/hub/hq.db"
        self.store = f"{bench.folder}/floor.db"
        self.csv = f"{bench.folder}/prices.csv"
        self.again = Samples()
        self.memory: list[tuple[float, float]] = []
        self.stages: list[list[tuple[str, float]]] = []

    def floor(self) -> float:
        return shell.load_in_one_go(self.hq, self.store)

    def step_by_step(self) -> float:
        return shell.load_step_by_step(self.hq, self.bench.folder, self.store)

    def ours(self) -> float:
        """From nothing: the hub has never worked out the job before."""
        site = self.bench.fresh_site(self.rows)
        with site:
            took, summary = site.publish_applied()
            self.stages.append(stages(summary, []))
            site.expect_same()
            self.memory.append(site.memory())
        shutil.rmtree(site.folder)
        return took

    def postgres(self) -> float:
        return self.bench.replication().first_load()

    def copied(self) -> float:
        return shell.copy_file(self.hq, self.store)

    def rsynced(self) -> float:
        return shell.rsync_file(self.hq, self.store)

    def imported(self) -> float:
        return shell.load_csv(self.csv, self.store)

    def memory_figures(self) -> list[Figure]:
        what = f"first load of {self.bench.count(self.rows)} rows"
        hub, agent = (max(values) for values in zip(*self.memory))
        return [
            Figure(12, f"memory of the agent, {what}", agent, "MiB", None, "≤ 64 MiB", None, agent <= 64, "VmHWM"),
            Figure(12, f"memory of the hub, {what}", hub, "MiB", None, "≤ 96 MiB", None, hub <= 96, "VmHWM"),
        ]

    def note_stages(self) -> None:
        """The stages of the run in the middle."""
        ordered = sorted(self.stages, key=lambda run: sum(took for _, took in run))
        self.bench.stages.append((f"first load, {self.bench.count(self.rows)} rows", ordered[len(ordered) // 2]))


def orientation(what: str, samples: Samples, floor: Samples) -> Figure:
    return Figure(
        0, what, samples.median, "s", samples.median / floor.median, None, f"floor: {seconds(floor.median)}", None,
        f"{samples.spread}; for orientation")


def first_load(bench: Bench) -> list[Figure]:
    loads = FirstLoads(bench, bench.rows)
    shell.write_csv(loads.hq, loads.csv)
    took = in_turn(bench.runs, bench.with_postgres({
        "postgres": loads.postgres, "ours": loads.ours, "floor": loads.floor, "steps": loads.step_by_step,
        "cp": loads.copied, "rsync": loads.rsynced, "csv": loads.imported}))
    loads.note_stages()
    what, floor = f"first load of {bench.count(bench.rows)} rows", took["floor"]
    figures = [times_as_long(1, what, took["ours"], floor, "ATTACH + INSERT … SELECT", 1.5)]
    if "postgres" in took:
        figures.append(times_faster(2, what, took["ours"], took["postgres"], "PostgreSQL's initial copy", 2))
    figures += loads.memory_figures()
    figures.append(orientation(
        "our steps one by one in the shell: history, package, zstd and back, store", took["steps"], floor))
    figures.append(orientation("cp of the whole file, with sync", took["cp"], floor))
    figures.append(orientation("rsync of the whole file, with sync", took["rsync"], floor))
    figures.append(orientation("sqlite3 .import of the same CSV", took["csv"], floor))
    return figures


def memory(bench: Bench) -> list[Figure]:
    """Row 12 with ten times the rows: the peak shall not follow the table."""
    loads = FirstLoads(bench, bench.rows * 10)
    took = Samples([loads.ours()])
    loads.note_stages()
    return loads.memory_figures() + [
        Figure(0, f"first load of {bench.count(loads.rows)} rows", took.median, "s", None, None, None, None, "one run")]
