"""What the figures were taken on."""
import os
import platform
import sqlite3
import subprocess
import time


def describe() -> dict[str, str]:
    with open("/proc/meminfo") as file:
        kilobytes = int(file.readline().split()[1])
    load = os.getloadavg()
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "memory": f"{kilobytes / 1024 / 1024:.0f} GiB",
        "system": f"{distribution()}, Linux {platform.release()}",
        "sqlite": sqlite3.sqlite_version,
        "load before the first run": f"{load[0]:.1f} (1 min), {load[1]:.1f} (5 min)",
    }


def processor() -> str:
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


def distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def revision(package: str) -> str:
    done = subprocess.run(
        ["git", "-C", package, "rev-parse", "--short", "HEAD"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"
