"""Disks that are full, and disks that lose their power. Both need leave to mount."""
import os
import shutil
import signal
import subprocess
import tempfile
import time

from .chain import HUB, Chain, Skipped, eventually, expect, with_database


def call(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


class Mount:
    """A file system of our own for the time of a `with`."""

    def __init__(self, source, *options):
        self.source = source
        self.options = options
        self.path = tempfile.mkdtemp(prefix="waybill-disk-")

    def __enter__(self):
        done = call("mount", *self.options, self.source, self.path)
        if done.returncode != 0:
            os.rmdir(self.path)
            raise Skipped(f"mounting is not permitted here ({done.stderr.strip() or done.returncode})")
        return self.path

    def __exit__(self, *_):
        for _ in range(50):
            if call("umount", self.path).returncode == 0:
                break
            time.sleep(0.1)
        else:
            call("umount", "-l", self.path)
        os.rmdir(self.path)


def fill(path, leave=0):
    """Takes the free space of a disk, but for some bytes."""
    with open(f"{path}/ballast", "ab") as ballast:
        piece = 1 << 16
        while piece >= 512:
            status = os.statvfs(path)
            if status.f_bavail * status.f_frsize - piece < leave:
                piece //= 2
                continue
            try:
                ballast.write(b"x" * piece)
                ballast.flush()
            except OSError:
                piece //= 2


def empty(path):
    try:
        os.unlink(f"{path}/ballast")
    except FileNotFoundError:
        pass


# ---- full

def disk_full(options):
    """A full disk at the hub, then at a store: nothing is lost, it is told, and it goes on by itself."""
    first = full_hub(options)
    return f"{first}; {full_store(options)}"


def full_hub(options):
    with Mount("tmpfs", "-t", "tmpfs", "-o", "size=48m") as disk:
        with Chain(options, hub_home=f"{disk}/hub") as chain:
            chain.publish_to_all()
            told = set()
            for _ in range(options.fills):
                chain.raise_prices()
                fill(disk)
                for _ in range(3):
                    status, said = chain.ask("publish", "prices", "--wait", "--timeout", "5")
                    if status != 0:
                        told.add(said.strip())
                told.update(s["message"] for s in chain.sessions() if s["status"] == "CreateFailed")
                expect(chain.processes[HUB].poll() is None, "the hub has ended on a full disk")
                empty(disk)
                chain.settle(60)
            rows = chain.verify()
            words = [text for text in told if "full" in text or "space" in text.lower()]
            expect(words, f"nobody was told that the hub's disk is full: {sorted(told)[:3]}")
            return f"hub: {options.fills} times full and free again, all stores equal a full load ({rows} rows), told: “{words[0][:90]}”"


def full_store(options):
    with Mount("tmpfs", "-t", "tmpfs", "-o", "size=160m") as disk:
        victim = "AT-GRZ-1"

        class StoreOnDisk(Chain):
            def home(self, store):
                return f"{disk}/{store}" if store == victim else super().home(store)

        with StoreOnDisk(options) as chain:
            chain.publish_to_all()
            store_db = f"{chain.home(victim)}/store.db"
            with_database(store_db, lambda db: db.execute("CREATE TABLE sale (id INTEGER PRIMARY KEY, cents INTEGER)"))
            fill(disk, leave=8 << 20)
            sold = 0
            chain.raise_prices()
            chain.waybill("publish", "prices")

            def is_told():
                return [text for text in chain.messages("DownloadFailed") if text.startswith(victim) and "disk" in text]
            words = eventually("headquarters is told that the store's disk is full", 40, is_told)
            for cents in range(100):
                with_database(store_db, lambda db: db.execute("INSERT INTO sale (cents) VALUES (?)", (cents,)))
                sold += 1
            # Not a byte is left: the agent must outlive that as well.
            fill(disk)
            time.sleep(5)
            expect(chain.processes[victim].poll() is None, "the agent has ended on a full disk")
            empty(disk)
            chain.settle(120)
            rows = chain.verify()
            kept = with_database(store_db, lambda db: db.execute("SELECT count(*) FROM sale").fetchone(), read_only=True)
            expect(kept == (sold,), f"of {sold} sales {kept[0]} are left")
            return f"store: full while tills sold {sold} times, then equal to a full load ({rows} rows), told: “{words[0][:90]}”"


# ---- power

def power_cuts(options):
    """The power of the whole chain is cut at random moments, on a real file system."""
    if call("which", "mkfs.ext4").returncode != 0:
        raise Skipped("there is no mkfs.ext4")
    folder = tempfile.mkdtemp(prefix="waybill-power-")
    try:
        return cut_again_and_again(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# Nothing is written back by itself between two cuts: what survives a cut was synced.
LAZY = "loop,commit=300,data=ordered"


def cut_again_and_again(options, folder):
    image = f"{folder}/disk.img"
    with open(image, "wb") as file:
        file.truncate(256 << 20)
    made = call("mkfs.ext4", "-q", image)
    if made.returncode != 0:
        raise Skipped(f"mkfs.ext4: {made.stderr.strip()}")
    with Mount(image, "-o", LAZY) as disk:
        chain = Chain(options, home=disk)
        try:
            chain.begin()
            chain.publish_to_all()
        finally:
            stop_all(chain)
    acknowledged = 0
    for cut in range(options.cuts):
        with Mount(image, "-o", LAZY) as disk:
            moved(chain, disk)
            acknowledged += live(chain, image, f"{folder}/cut.img")
        # The disk as it was at the moment of the cut; mounting it replays the file system's journal.
        os.replace(f"{folder}/cut.img", image)
    with Mount(image, "-o", LAZY) as disk:
        moved(chain, disk)
        try:
            restart(chain)
            rows = chain.verify()
        finally:
            stop_all(chain)
    return (f"{options.cuts} cuts of hub and all stores: {acknowledged} commits that were promised before are all there, "
            f"all stores equal a full load ({rows} rows)")


def moved(chain, disk):
    """The same chain in another folder, for every mount has its own."""
    chain.folder, chain.hub = disk, f"{disk}/hub"


def restart(chain):
    chain.start(HUB)
    for store in chain.stores:
        chain.start(store)


def stop_all(chain):
    for name in list(chain.processes):
        chain.processes[name].kill()
        chain.processes.pop(name).wait(20)


def live(chain, image, snapshot):
    """Starts everything, works, and takes the disk's picture at a random moment. Counts what must have survived."""
    try:
        check_promises(chain)
        restart(chain)
        chain.edit(2)
        chain.raise_prices()
        publish = chain.begin_waybill("publish")
        time.sleep(0.1 + chain.random.random() * 1.2)
        # What is shown from now on was promised before the picture is taken.
        chain.promised = promises(chain)
        for process in chain.processes.values():
            process.send_signal(signal.SIGSTOP)
        copy = call("cp", "--reflink=auto", "--sparse=always", image, snapshot)
        expect(copy.returncode == 0, copy.stderr)
        publish.kill()
        publish.wait(10)
        return len(chain.promised)
    finally:
        stop_all(chain)


def promises(chain):
    """Applied deliveries as the hub shows them: each was promised by the store and by the hub."""
    return set(with_database(f"{chain.hub}/hub.db", lambda db: db.execute(
        "SELECT store_id, session_id FROM delivery WHERE status = 'Applied'").fetchall(), read_only=True))


def check_promises(chain):
    for store, session in getattr(chain, "promised", ()):
        here = chain.rows(store, f"SELECT 1 FROM _waybill_outcome WHERE session = '{session}' AND outcome = 'applied'")
        expect(here, f"store {store} had applied session {session} before the power was cut, and has not now")
    missing = getattr(chain, "promised", set()) - promises(chain)
    expect(not missing, f"the hub has forgotten that {sorted(missing)[:2]} were applied")
