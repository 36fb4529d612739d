"""Rows that a program of ours measures from inside: waybill-bench, whose lines go into the same table."""
import os
import subprocess
from collections.abc import Callable

from faultlib.chain import Skipped, Violation

from .bench import Bench
from .figures import Figure

PROGRAM = "waybill-bench"


def part(command: str) -> Callable[[Bench], list[Figure]]:
    """Runs one command of the program."""
    def run(bench: Bench) -> list[Figure]:
        program = f"{bench.bin}/{PROGRAM}"
        if not os.access(program, os.X_OK):
            raise Skipped(f"{PROGRAM} is not among the programs")
        bench.release()
        small = ["--quick"] if bench.quick else []
        runs = [] if bench.options.runs_are_usual else ["--runs", str(bench.runs)]
        done = subprocess.run(
            [program, command, *small, *runs, "--folder", bench.folder], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=3600)
        if done.returncode == 64:
            raise Skipped(f"{PROGRAM} does not know '{command}'")
        if done.returncode != 0:
            raise Violation(f"{PROGRAM} {command}: {done.stderr.strip()[-500:]}")
        return [Figure.parse(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return run
