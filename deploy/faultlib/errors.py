"""The disk that fails at every operation: the product's own tests on disks in memory, counted."""
import os
import re
import subprocess

from .chain import Violation


def io_errors(options):
    """An I/O error, a full disk, a power cut and a kill at every operation of the databases, on disks in memory."""
    package = os.path.join(os.path.dirname(__file__), "..", "..")
    done = subprocess.run(
        ["swift", "test", "--package-path", package, "--filter", "WaybillFaultTests|WaybillFaultDiskTests"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=3600)
    said = done.stdout + done.stderr
    if done.returncode != 0:
        failures = [line for line in said.splitlines() if "\u2718" in line or "error:" in line]
        raise Violation("\n".join(failures[:10]) or said[-1000:])
    struck = [int(count) for count in re.findall(r"^figure: (\d+) faults", said, re.MULTILINE)]
    return (f"{sum(struck)} faults, one at each operation of {len(struck)} ways to change a database: the old state or "
            "the new one, never one between; and 1,000 power cuts without a lost commit")
