"""The sqlite3 shell and the file copiers: what moving the same rows costs without anything around it."""
import os
import subprocess
import time

from faultlib.chain import Violation

from . import prices


def remove(path: str) -> None:
    """A database with its side files."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        if os.path.exists(path + suffix):
            os.remove(path + suffix)


def timed(*command: str, standard_input: str | None = None) -> float:
    """How long a program takes from its start to its end."""
    # The shell knows its own commands at the beginning of a line only.
    script = standard_input and "\n".join(line.strip() for line in standard_input.splitlines())
    begun = time.monotonic()
    done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=3600)
    took = time.monotonic() - begun
    if done.returncode != 0 or done.stderr:
        raise Violation(f"{command[0]}: {(done.stderr or done.stdout).strip()[:500]}")
    return took


def load_in_one_go(hq: str, store: str) -> float:
    """The floor: from HQ's file straight into a new store's."""
    remove(store)
    return fill_in_one_go(hq, store)


def fill_in_one_go(hq: str, store: str) -> float:
    """In a write-ahead log, as the tills need it."""
    return timed("sqlite3", store, standard_input=f"""
        .timeout 60000
        PRAGMA journal_mode = WAL;
        ATTACH '{hq}' AS hq;
        {prices.CREATE_STORE};
        INSERT INTO {prices.STORE_TABLE}
        SELECT {", ".join(prices.COLUMNS)} FROM hq.prices ORDER BY {", ".join(prices.KEY)};
        """)


def load_step_by_step(hq: str, folder: str, store: str) -> float:
    """What a hub and its store have to do and the floor has not, one after the other: headquarters keeps the rows with
    their versions, packs them into a file, compresses it; the store unpacks it and fills its table. Nothing is
    connected, signed, sent, checked or reported."""
    history, package = f"{folder}/step-rows.db", f"{folder}/step-package.db"
    for path in (history, package, package + ".zst", store):
        remove(path)
    columns, key = ", ".join(prices.COLUMNS), ", ".join(prices.KEY)
    took = timed("sqlite3", history, standard_input=f"""
        PRAGMA journal_mode = WAL;
        PRAGMA secure_delete = OFF;
        ATTACH '{hq}' AS hq;
        {prices.CREATE_HISTORY};
        INSERT INTO history SELECT '', {columns}, 1 FROM hq.prices;
        """)
    took += timed("sqlite3", package, standard_input=f"""
        PRAGMA journal_mode = OFF;
        PRAGMA synchronous = OFF;
        ATTACH '{history}' AS kept;
        {prices.CREATE_STORE};
        INSERT INTO {prices.STORE_TABLE} SELECT {columns} FROM kept.history
        WHERE _scope = '' AND _born <= 1 ORDER BY {key};
        """)
    took += timed("zstd", "-q", "-3", package, "-o", package + ".zst")
    took += timed("zstd", "-q", "-d", "-f", package + ".zst", "-o", package)
    took += timed("sqlite3", store, standard_input=f"""
        PRAGMA journal_mode = WAL;
        ATTACH '{package}' AS package;
        {prices.CREATE_STORE};
        INSERT INTO {prices.STORE_TABLE} SELECT {columns} FROM package.{prices.STORE_TABLE} ORDER BY {key};
        """)
    return took


def upsert_in_one_go(hq: str, store: str) -> float:
    """All rows over those that the store has, in one transaction."""
    values = [name for name in prices.COLUMNS if name not in prices.KEY]
    return timed("sqlite3", store, standard_input=f"""
        .timeout 60000
        ATTACH '{hq}' AS hq;
        INSERT INTO {prices.STORE_TABLE} SELECT {", ".join(prices.COLUMNS)} FROM hq.prices WHERE true
        ON CONFLICT DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in values)};
        """)


def write_csv(hq: str, path: str) -> None:
    with open(path, "w") as file:
        subprocess.run(
            ["sqlite3", "-csv", "-readonly", hq, f"SELECT {', '.join(prices.COLUMNS)} FROM prices"],
            stdin=subprocess.DEVNULL, stdout=file, check=True, timeout=3600)


def load_csv(csv: str, store: str) -> float:
    remove(store)
    return timed("sqlite3", store, standard_input=f"""
        PRAGMA journal_mode = WAL;
        {prices.CREATE_STORE};
        .import --csv '{csv}' {prices.STORE_TABLE}
        """)


def copy_file(source: str, target: str) -> float:
    remove(target)
    return timed("cp", "--reflink=never", source, target) + timed("sync", target)


def rsync_file(source: str, target: str) -> float:
    """To a store that has no file yet."""
    remove(target)
    return timed("rsync", "--inplace", "--no-whole-file", source, target) + timed("sync", target)
