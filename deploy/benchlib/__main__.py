"""Benchmarks of the whole programs against their peers, in turn and in the same run."""
import argparse
import os
import signal
import sys
import time
from collections.abc import Callable

from faultlib.chain import Skipped, Violation

from . import machine, report
from .bench import MILLION, Bench
from .capture import capture
from .changes import all_rows, one_percent, small_changes
from .explosion import explosion
from .figures import Figure
from .first_load import first_load, memory
from .parts import part
from .tills import tills

PACKAGE = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

# What is measured together stands under all its rows. In order of work: what is large comes last.
ROWS: list[tuple[tuple[int, ...], str, Callable[[Bench], list[Figure]]]] = [
    ((1, 2, 12), "first load against the floor and PostgreSQL; memory", first_load),
    ((6,), "an UPDATE at headquarters with and without capture", capture),
    ((11,), "what tills wait for during full loads", tills),
    ((3,), "1 % of the rows changed", one_percent),
    ((4,), "all rows changed", all_rows),
    ((5,), "ten rows changed, and of a table ten times as large", small_changes),
    ((13,), "a chain's assortments, delivery modes and prices worked out", explosion),
    ((12,), "memory with ten times the rows", memory),
    ((7,), "building for many stores", part("build")),
    ((8,), "fan-out to many agents", part("fan-out")),
    ((9,), "many connected agents", part("connected")),
    ((10,), "folding", part("fold")),
    ((14,), "lists of a million deliveries", part("lists")),
]


def parse() -> argparse.Namespace:
    listing = "\n".join(f"  {', '.join(map(str, rows)):<9} {what}" for rows, what, _ in ROWS)
    parser = argparse.ArgumentParser(
        prog="deploy/bench", formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"{__doc__}\nRows of the table:\n{listing}",
        epilog="exit status: 0 measured (whether or not goals are met), 1 something failed, 2 wrong usage")
    parser.add_argument("--quick", action="store_true", help="everything small; under two minutes")
    parser.add_argument("--only", metavar="1,3,11", help="only these rows")
    parser.add_argument("--runs", type=int, metavar="N", help="of each way, in turn (default 5; 1 with --quick)")
    parser.add_argument("--rows", type=int, metavar="N", help="of the table (default 1,000,000; 100,000 with --quick)")
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--markdown", metavar="FILE", help="write them as a part of BENCHMARKS.md")
    parser.add_argument("--bin", metavar="FOLDER", help="of the programs (default: a release build)")
    parser.add_argument(
        "--golden", metavar="FOLDER", default=os.path.join(PACKAGE, "../shared/data/golden/tpcds-sf1"),
        help="of row 13: input/*.csv (default: ../shared/data/golden/tpcds-sf1 beside the checkout)")
    parser.add_argument("--folder", metavar="FOLDER", help="where to work (default: the system's temporary folder)")
    options = parser.parse_args()
    options.rows = options.rows or (MILLION // 10 if options.quick else MILLION)
    options.runs_are_usual = options.runs is None
    options.runs = options.runs or (1 if options.quick else 5)
    known = {row for rows, _, _ in ROWS for row in rows}
    try:
        options.only = {int(word) for word in options.only.split(",")} if options.only else known
    except ValueError:
        parser.error("--only takes numbers: 1,3,11")
    if unknown := options.only - known:
        parser.error(f"there is no row {min(unknown)}")
    if options.bin is None:
        parser.error("--bin is missing; deploy/bench builds the programs and gives it")
    if options.rows < 16_000 or options.rows % 16:
        parser.error("--rows must be a multiple of 16, at least 16,000")
    return options


def measure(bench: Bench) -> int:
    status = 0
    for rows, what, run in ROWS:
        if not bench.options.only & set(rows) or bench.quick and run is memory:
            continue
        bench.say(f"{', '.join(map(str, rows))}: {what}")
        try:
            bench.figures += run(bench)
        except Skipped as reason:
            bench.figures.append(Figure(rows[0], what, None, "", note=f"skipped: {reason}"))
        except Violation as violation:
            bench.figures.append(Figure(rows[0], what, None, "", note=f"FAILED: {violation}"))
            status = 1
    return status


def main() -> int:
    # Also when it is told to stop it ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = parse()
    begun = time.monotonic()
    with Bench(options) as bench:
        described = machine.describe()
        described["waybill"] = machine.revision(PACKAGE)
        status = measure(bench)
        if bench.postgres_version is not None:
            described["postgresql"] = bench.postgres_version
        figures, stages = bench.figures, bench.stages
    print(report.text(figures))
    print(f"\n{report.stages_text(stages)}")
    print(f"\n{time.monotonic() - begun:.0f} s in all")
    command = "deploy/bench" + (" --quick" if options.quick else "") + f" --runs {options.runs} --rows {options.rows}"
    for path, content in (
        (options.json, report.document(figures, stages, described)),
        (options.markdown, report.markdown(figures, stages, described, command)),
    ):
        if path:
            with open(path, "w") as file:
                file.write(content)
    return status


if __name__ == "__main__":
    sys.exit(main())
