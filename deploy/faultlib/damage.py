"""Files with other bytes than were written."""
import glob
import os
import shutil
import sqlite3
import subprocess

from .chain import HUB, Chain, Violation, eventually, expect


def damage(options):
    """Packages truncated, flipped and removed, at the hub and in a store's incoming folder; flipped bytes of hub.db."""
    with Chain(options) as chain:
        chain.publish_to_all()
        spoiled = 0
        for spoil in (flip, truncate, os.unlink):
            spoiled += packages_at_the_hub(chain, spoil)
        for spoil in (flip, truncate, os.unlink):
            spoiled += packages_at_a_store(chain, spoil)
        rows = chain.verify()
        pages = pages_of_hub_db(chain, options.pages)
        return f"{spoiled} spoiled package files were made or fetched anew, all stores equal a full load ({rows} rows); {pages}"


def flip(path):
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        file.seek(size // 2)
        byte = file.read(1)[0]
        file.seek(size // 2)
        file.write(bytes([byte ^ 0x10]))


def truncate(path):
    os.truncate(path, os.path.getsize(path) // 2)


def packages_at_the_hub(chain, spoil):
    """While a store is away its package is spoiled at the hub; it gets another that leads to the same rows."""
    victim = chain.stores[2]
    chain.end(victim)
    before = set(glob.glob(f"{chain.hub}/packages/*.zst"))
    chain.raise_prices()
    chain.waybill("publish", "prices")
    made = set(glob.glob(f"{chain.hub}/packages/*.zst")) - before
    expect(made, "no package was made")
    # The others have fetched theirs; the hub has its files open no longer once it starts anew.
    chain.end(HUB)
    for path in made:
        spoil(path)
    chain.start(HUB)
    chain.start(victim)
    chain.settle(90)
    return len(made)


def packages_at_a_store(chain, spoil):
    """A store dies with a package downloaded; what lies there is spoiled before it starts again."""
    victim = chain.stores[0]
    chain.end(victim)
    chain.raise_prices()
    chain.waybill("publish", "prices")
    chain.start_with(victim, WAYBILL_CRASH_AT="unpacked:1")
    eventually("the agent dies where it should", 30, lambda: chain.processes[victim].poll() is not None)
    files = [path for path in glob.glob(f"{chain.home(victim)}/incoming/*") if os.path.getsize(path)]
    expect(files, "nothing was downloaded")
    for path in files:
        spoil(path)
    chain.start(victim)
    chain.settle(90)
    return len(files)


def pages_of_hub_db(chain, limit):
    """A flipped byte in each page of hub.db, one page at a time: it is served right, or refused in a sentence."""
    chain.end(HUB)
    path = f"{chain.hub}/hub.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    shutil.copy(path, path + ".sound")
    noticed = unnoticed = 0
    pages = os.path.getsize(path) // 4096
    chosen = chain.random.sample(range(pages), min(limit or pages, pages))
    for page in chosen:
        shutil.copy(path + ".sound", path)
        # The first page's header stands behind that of the file.
        offset = page * 4096 + (100 if page == 0 else 0) + chain.random.choice([0, 3, 4, 5, 6])
        for companion in ("-wal", "-shm"):
            if os.path.exists(path + companion):
                os.unlink(path + companion)
        with open(path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 0x55]))
        if is_refused(chain):
            noticed += 1
        else:
            unnoticed += 1
    os.replace(path + ".sound", path)
    expect(noticed * 10 >= len(chosen) * 8, f"the hub serves from a damaged hub.db: {unnoticed} of {len(chosen)} pages")
    return f"of {len(chosen)} pages of hub.db with a flipped byte in the header {noticed} were refused at the start"


def is_refused(chain):
    """The hub says that hub.db is damaged, and does not serve."""
    process = subprocess.Popen(
        [f"{chain.bin}/waybill-hub", "run", chain.hub], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True)
    try:
        said = process.communicate(timeout=1.5)[1]
    except subprocess.TimeoutExpired:
        process.terminate()
        said = process.communicate(timeout=15)[1]
        if "is damaged" not in said and process.returncode == 0:
            return False
    expect("fatal" not in said.lower() and process.returncode in (0, 1, -15), f"the hub has crashed: {said[-300:]}")
    if process.returncode == 1 and "damaged" not in said:
        raise Violation(f"the hub ended without saying what is damaged: {said[-300:]}")
    return process.returncode == 1
