"""A hub and its agents as processes on this machine, headquarters' edits, and what must be true in the end."""
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time

STORES = ["AT-VIE-1", "AT-GRZ-1", "CH-ZRH-1", "AT-WEB-1"]
HUB = "hub"

# One edit each, as an ERP would make it. Small ones: a price that leaps would await approval.
EDITS = [
    "UPDATE price_adjustment SET value = value + 0.01 WHERE adjustment_id = "
    "(SELECT adjustment_id FROM price_adjustment ORDER BY random() LIMIT 1)",
    "UPDATE trade_agreement SET amount = amount + 0.01 WHERE line_id = "
    "(SELECT line_id FROM trade_agreement ORDER BY random() LIMIT 1)",
    "UPDATE assortment SET status = CASE status WHEN 'draft' THEN 'published' ELSE 'draft' END WHERE assortment_id = "
    "(SELECT assortment_id FROM assortment ORDER BY random() LIMIT 1)",
    "UPDATE product SET name = substr(name, 1, 40) || 'x' WHERE product_id = "
    "(SELECT product_id FROM product ORDER BY random() LIMIT 1)",
    "UPDATE store SET node_id = (SELECT node_id FROM org_node ORDER BY random() LIMIT 1) WHERE store_id = "
    "(SELECT store_id FROM store ORDER BY random() LIMIT 1)",
    "UPDATE product_release SET base_price = base_price + 0.05 WHERE product_id = "
    "(SELECT product_id FROM product ORDER BY random() LIMIT 1)",
]

# Deliveries that still move. Suspended ones wait for a person.
OPEN = {"Available", "Requested", "Downloaded", "DownloadFailed", "ApplyFailed", "Suspended"}


# Every wait has an end; on a machine that is busy with other things it comes later.
PATIENCE = 3


class Violation(Exception):
    """Something that must always be true is not."""


class Skipped(Exception):
    """This machine does not permit the scenario."""


def expect(is_true, sentence):
    if not is_true:
        raise Violation(sentence)


def eventually(sentence, seconds, is_true):
    """Asks again and again; every wait has an end."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        answer = is_true()
        if answer:
            return answer
        expect(time.monotonic() < deadline, f"not within {seconds * PATIENCE:.0f} s: {sentence}")
        time.sleep(0.05)


def free_ports(count=3):
    """The first of some neighbouring free ports."""
    while True:
        first = random.SystemRandom().randrange(20000, 32000)
        held = []
        try:
            for port in range(first, first + count):
                held.append(socket.create_server(("127.0.0.1", port)))
            return first
        except OSError:
            continue
        finally:
            for one in held:
                one.close()


class Chain:
    """Started by `with`, and everything that it started has ended after it."""

    def __init__(self, options, stores=None, home=None, hub_home=None):
        self.bin = options.bin
        self.random = random.Random(options.seed)
        self.stores = stores or STORES
        self.folder = home or tempfile.mkdtemp(prefix="waybill-faults-")
        self.is_temporary = home is None
        self.hub = hub_home or f"{self.folder}/hub"
        self.processes = {}
        self.kills = {}
        self.port = free_ports()

    def __enter__(self):
        try:
            self.begin()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, Violation):
            self.explain()
        self.close()

    def begin(self):
        self.run("waybill-hub", "init", self.hub, "--listen", f"tcp://127.0.0.1:{self.port}")
        with open(f"{self.hub}/hub.yaml", "a") as yaml:
            yaml.write("hello_seconds: 1\noffline_after_seconds: 3\nautomatic_runs: false\n")
        os.makedirs(f"{self.folder}/log", exist_ok=True)
        self.start(HUB)
        self.waybill("import", f"{os.path.dirname(__file__)}/../sample")
        for store in self.stores:
            code = self.waybill("store", "add", store).strip()
            self.run("waybill-agent", "enrol", code, self.home(store))
            self.enrolled(store)
            self.start(store)

    def enrolled(self, store):
        """For scenarios that want something between enrolment and start."""

    def home(self, store):
        return f"{self.folder}/{store}"

    def close(self):
        for name in list(self.processes):
            self.end(name)
        if self.is_temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def explain(self):
        for name in [HUB, *self.stores]:
            try:
                with open(f"{self.folder}/log/{name}.log", errors="replace") as log:
                    lines = log.readlines()[-12:]
                print(f"--- {name}\n{''.join(lines)}", flush=True)
            except OSError:
                pass

    # ---- programs

    def run(self, program, *arguments, statuses=(0,), timeout=90):
        """Runs a program to its end; gives back what it printed, or raises with what it said."""
        done = subprocess.run(
            [f"{self.bin}/{program}", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout)
        if done.returncode not in statuses:
            said = (done.stderr or done.stdout).strip()
            raise Violation(f"{program} {' '.join(arguments)} ended with status {done.returncode}: {said}")
        return done.stdout

    def waybill(self, *arguments, **options):
        return self.run("waybill", "--hub", self.hub, *arguments, **options)

    def ask(self, *arguments):
        """A command that may fail: its status, and all that it says."""
        done = subprocess.run(
            [f"{self.bin}/waybill", "--hub", self.hub, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=90)
        return done.returncode, done.stdout + done.stderr

    def json(self, *arguments, **options):
        return json.loads(self.waybill(*arguments, "--json", **options))

    def begin_waybill(self, *arguments):
        return subprocess.Popen(
            [f"{self.bin}/waybill", "--hub", self.hub, *arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start(self, name):
        self.start_with(name)

    def start_with(self, name, **environment):
        command = ["waybill-hub", "run", self.hub] if name == HUB else ["waybill-agent", "run", self.home(name)]
        with open(f"{self.folder}/log/{name}.log", "a") as log:
            self.processes[name] = subprocess.Popen(
                [f"{self.bin}/{command[0]}", *command[1:]], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **environment})
        if name == HUB:
            self.wait_for_hub()

    def wait_for_hub(self, seconds=30):
        def answers():
            expect(self.processes[HUB].poll() is None, "the hub has ended by itself")
            return subprocess.run(
                [f"{self.bin}/waybill", "--hub", self.hub, "status"], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60).returncode == 0
        eventually("the hub answers", seconds, answers)

    def kill(self, name):
        """As kill -9, or the power of that machine alone."""
        process = self.processes[name]
        expect(process.poll() is None, f"{name} has ended by itself, with status {process.returncode}")
        process.kill()
        process.wait(20)
        self.kills[name] = self.kills.get(name, 0) + 1

    def end(self, name):
        process = self.processes.pop(name)
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(15)

    # ---- headquarters

    def edit(self, count=1):
        for _ in range(count):
            def once():
                try:
                    with_database(f"{self.hub}/hq.db", self.edit_once)
                    return True
                except sqlite3.OperationalError:
                    return False
            eventually("hq.db can be written", 60, once)

    def edit_once(self, db):
        # SQL draws from our seed as well.
        db.create_function("random", 0, lambda: self.random.getrandbits(62))
        db.execute(self.random.choice(EDITS))

    def raise_prices(self):
        """A change that every store sees, too small to await approval."""
        with_database(f"{self.hub}/hq.db", lambda db: db.execute(
            "UPDATE product_release SET base_price = base_price + 0.01 WHERE base_price >= 1"))

    def sessions(self):
        return self.json("session", "list", "--all", "--limit", "10000")

    def open_sessions(self):
        return [s for s in self.sessions() if OPEN & set(s["deliveries"]) or s["status"] == "Started"]

    def messages(self, status=None):
        """What `session show` says to people, for deliveries that have something to say."""
        said = []
        for session in self.open_sessions():
            for delivery in self.json("session", "show", session["id"])["deliveries"]:
                if delivery["message"] and (status is None or delivery["status"] == status):
                    said.append(f"{delivery['store']} {delivery['status']}: {delivery['message']}")
        return said

    # ---- stores

    def rows(self, store, query):
        return with_database(f"{self.home(store)}/store.db", lambda db: db.execute(query).fetchall(), read_only=True)

    def content(self, store):
        """Every row of every table that Waybill fills there."""
        tables = [name for (name,) in self.rows(store, "SELECT name FROM _waybill_table ORDER BY name")]
        return {table: sorted(map(repr, self.rows(store, f'SELECT * FROM "{table}"'))) for table in tables}

    # ---- what must be true

    def settle(self, seconds=120):
        """Faults are over: everything outstanding comes to its end, with nobody's help."""
        for name, process in self.processes.items():
            expect(process.poll() is None, f"{name} has ended by itself, with status {process.returncode}")
        self.wait_for_hub()
        still = []

        def is_quiet():
            still[:] = self.open_sessions()
            return not still
        try:
            eventually("nothing is under way any more", seconds, is_quiet)
        except Violation as violation:
            left = [(s["id"], s["job"], s["status"], s["deliveries"]) for s in still[:5]]
            raise Violation(f"{violation}: {left}; {self.messages()[:5]}") from None

    def verify(self, seconds=120):
        """Settles, and then: nothing lost, nothing doubled, nothing said that is not so. Gives back how many rows."""
        self.settle(seconds)
        self.publish_to_all()
        before = {store: self.content(store) for store in self.stores}
        self.publish_to_all("--full")
        compared = 0
        for store in self.stores:
            after = self.content(store)
            for table in after:
                expect(
                    before[store].get(table) == after[table],
                    f"table {table} of store {store} is not what a full load gives")
                compared += len(after[table])
            self.verify_ledger(store)
        for name in ("hub.db", "rows.db", "hq.db"):
            self.check_integrity(f"{self.hub}/{name}")
        return compared

    def publish_to_all(self, *flags):
        def is_done():
            out = self.waybill("publish", "--wait", "--timeout", "60", "--json", *flags, statuses=(0, 3))
            sessions = json.loads(out)["sessions"]
            for session in sessions:
                # The edits of some cycles together may be more than a job allows without a person.
                if session["status"] == "AwaitingApproval":
                    self.waybill("session", "approve", session["id"])
            return all(s["status"] in ("Applied", "NoData") for s in sessions)
        eventually(f"publish {' '.join(flags)} reaches every store", 180, is_done)
        self.settle()

    def verify_ledger(self, store):
        path = f"{self.home(store)}/store.db"
        self.check_integrity(path)
        doubled = self.rows(
            store, "SELECT session FROM _waybill_outcome WHERE outcome = 'applied' GROUP BY session HAVING count(*) > 1")
        expect(not doubled, f"store {store} has applied {doubled[:1]} twice")
        eventually(
            f"store {store} has told everything", 30,
            lambda: self.rows(store, "SELECT count(*) FROM _waybill_outbox") == [(0,)])
        applied = {row[0] for row in self.rows(store, "SELECT session FROM _waybill_outcome WHERE outcome = 'applied'")}
        shown = {row[0] for row in with_database(
            f"{self.hub}/hub.db", lambda db: db.execute(
                "SELECT session_id FROM delivery WHERE store_id = ? AND status = 'Applied'", (store,)).fetchall(),
            read_only=True)}
        expect(shown <= applied, f"store {store} is shown as Applied without it: {sorted(shown - applied)[:3]}")

    def check_integrity(self, path):
        answer = with_database(path, lambda db: db.execute("PRAGMA integrity_check").fetchall(), read_only=True)
        # SQLite 3.40 says this of every table WITHOUT ROWID whose key is not its first columns.
        damage = [line for (line,) in answer if line != "ok" and not line.startswith("NULL value in ")]
        expect(not damage, f"{path} is damaged: {damage[:3]}")


def with_database(path, body, read_only=False):
    address = f"file:{path}?mode={'ro' if read_only else 'rw'}"
    db = sqlite3.connect(address, uri=True, timeout=20)
    try:
        with db:
            return body(db)
    finally:
        db.close()
