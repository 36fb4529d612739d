"""A real hub on free ports, with the sample chain imported, and the commands that people use on it."""

import json
import os
import pathlib
import random
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
PROGRAMS = pathlib.Path(os.environ.get("WAYBILL_BIN", REPOSITORY / ".build" / "debug"))
MISSING = [p for p in ("waybill-hub", "waybill-agent", "waybill") if not os.access(PROGRAMS / p, os.X_OK)]


def three_free_ports():
    """The first of three in a row."""
    while True:
        first, held = random.randrange(20000, 32000), []
        try:
            for port in range(first, first + 3):
                held.append(socket.socket())
                held[-1].bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for s in held:
                s.close()


class RealHub:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.home = pathlib.Path(self.folder.name) / "hub"
        self.process, self.log = None, open(pathlib.Path(self.folder.name) / "hub.log", "a+")
        for _ in range(5):  # somebody else may take the ports between the look and the use
            endpoint = f"tcp://127.0.0.1:{three_free_ports()}"
            self.program("waybill-hub", "init", self.home, "--listen", endpoint)
            with open(self.home / "hub.yaml", "a") as settings:  # these tests count sessions
                settings.write("automatic_runs: false\n")
            if self.start():
                break
            shutil.rmtree(self.home)
        self.waybill("import", REPOSITORY / "deploy" / "sample")

    def program(self, name, *words, status=0):
        done = subprocess.run([PROGRAMS / name, *map(str, words)], capture_output=True, text=True, timeout=60)
        assert done.returncode == status, f"{name} {words}: status {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def waybill(self, *words, status=0):
        """Its JSON."""
        return json.loads(self.program("waybill", "--hub", self.home, *words, "--json", status=status))

    def start(self):
        """False when the hub ended at once."""
        self.process = subprocess.Popen([PROGRAMS / "waybill-hub", "run", self.home], stderr=self.log)
        ask = [PROGRAMS / "waybill", "--hub", self.home, "status"]
        while subprocess.run(ask, capture_output=True).returncode != 0:
            if self.process.poll() is not None:
                return False
            time.sleep(0.05)
        return True

    def kill(self):
        self.process.kill()
        self.process.wait()

    def back_up(self):
        """As deploy/README.md says."""
        for name in ("hub.db", "hq.db"):
            with sqlite3.connect(self.home / name) as db, sqlite3.connect(self.home.with_name(name)) as copy:
                db.backup(copy)

    def restore(self, keeps_rows):
        for path in self.home.glob("*.db*"):
            if not (keeps_rows and path.name.startswith("rows.db")):
                path.unlink()
        for name in ("hub.db", "hq.db"):
            shutil.copy(self.home.with_name(name), self.home / name)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)
        self.log.close()
        self.folder.cleanup()

    def log_text(self):
        self.log.flush()
        return pathlib.Path(self.log.name).read_text()

    def code(self, store):
        return self.waybill("store", "add", store)["code"]

    def publish(self, *jobs):
        """The session ids by job, once their packages are made."""
        return {s["job"]: s["id"] for s in self.waybill("publish", *jobs)["sessions"]}

    def delivery(self, session, store):
        return next(d for d in self.waybill("session", "show", session)["deliveries"] if d["store"] == store)

    def hq(self, sql):
        """What an ERP would do: plain SQL from another process, captured by the triggers."""
        db = sqlite3.connect(self.home / "hq.db", timeout=10)
        try:
            with db:
                return db.execute(sql).fetchall()
        finally:
            db.close()
