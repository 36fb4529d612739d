"""Two PostgreSQL clusters on loopback, one replicating the price table of the other."""
import glob
import os
import shutil
import signal
import subprocess
import tempfile
import time

from faultlib.chain import Skipped, Violation, eventually, expect, free_ports

from . import prices
from .libpq import Connection

# As somebody would set it who wants it to be fast; what is durable by default stays so. Without autovacuum, which
# would come at moments of its own: tables are vacuumed between runs instead.
SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
wal_level = logical
shared_buffers = 512MB
maintenance_work_mem = 256MB
max_wal_size = 8GB
checkpoint_timeout = 1h
autovacuum = off
log_min_messages = warning
"""


def programs() -> str:
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))
    if not folders:
        raise Skipped("PostgreSQL's server is missing (apt-get install postgresql)")
    return folders[-1]


class Cluster:
    """A server with a folder and a port of its own."""

    def __init__(self, folder: str, port: int):
        self.folder, self.port, self.bin = folder, port, programs()
        # The server refuses to be root.
        self.user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        os.makedirs(folder)
        if self.user:
            shutil.chown(folder, "postgres", "postgres")
        self.command("initdb", "--no-sync", "--auth=trust", "--username=bench", "--encoding=UTF8", "--locale=C", folder)
        with open(f"{folder}/postgresql.conf", "a") as file:
            file.write(f"{SETTINGS}port = {port}\n")
        # Its own session: Ctrl-C is for us, and the server is stopped in order.
        self.process = subprocess.Popen(
            [f"{self.bin}/postgres", "-D", folder], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, cwd=folder, start_new_session=True, **self.user)
        self.connection = eventually("PostgreSQL answers", 30, self.connect)

    def command(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [f"{self.bin}/{program}", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, check=True, timeout=120, cwd="/", **self.user)

    @property
    def address(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=bench dbname=postgres"

    def connect(self) -> Connection | None:
        expect(self.process.poll() is None, f"PostgreSQL has ended by itself ({self.folder})")
        try:
            connection = Connection(self.address)
        except Violation:
            return None
        connection.run("SET client_min_messages = warning")
        return connection

    def close(self) -> None:
        self.connection.close()
        # SIGQUIT: at once; nobody needs what it holds.
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
        self.process.wait(60)


class Replication:
    """A publisher with the price table and a subscriber without rows."""

    def __init__(self, rows: int):
        self.rows = rows
        self.folder = tempfile.mkdtemp(prefix="waybill-bench-postgres-")
        os.chmod(self.folder, 0o755)
        self.clusters: list[Cluster] = []
        try:
            port = free_ports(2)
            for name in ("publisher", "subscriber"):
                self.clusters.append(Cluster(f"{self.folder}/{name}", port + len(self.clusters)))
            self.publisher, self.subscriber = (cluster.connection for cluster in self.clusters)
            for connection in (self.publisher, self.subscriber):
                connection.run(prices.CREATE_POSTGRES)
            self.publisher.run(prices.fill_postgres(rows))
            self.publisher.run("CREATE PUBLICATION prices FOR TABLE prices")
            self.publisher.run("VACUUM ANALYZE prices")
            self.publisher.run("CHECKPOINT")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for cluster in self.clusters:
            cluster.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def version(self) -> str:
        return self.publisher.value("SHOW server_version")

    def first_load(self) -> float:
        """From CREATE SUBSCRIPTION to the moment when all rows can be read at the subscriber."""
        if self.subscriber.run("SELECT 1 FROM pg_subscription"):
            self.subscriber.run("DROP SUBSCRIPTION prices")
        self.subscriber.run("TRUNCATE prices")
        self.tidy()
        begun = time.monotonic()
        self.subscriber.run(
            f"CREATE SUBSCRIPTION prices CONNECTION '{self.clusters[0].address}' PUBLICATION prices")
        # f: the copy is committed. Ready (r) it is later, when it has caught up with what came meanwhile.
        while not self.subscriber.run("SELECT 1 FROM pg_subscription_rel WHERE srsubstate IN ('f', 's', 'r')"):
            expect(time.monotonic() - begun < 1800, "PostgreSQL has not copied the table within half an hour")
            time.sleep(0.003)
        took = time.monotonic() - begun
        self.expect_same()
        eventually("the table is replicated", 600, lambda: self.subscriber.run(
            "SELECT 1 FROM pg_subscription_rel WHERE srsubstate = 'r'"))
        return took

    def change(self, statements: list[str], item: int, stamp: int) -> float:
        """From before the first statement to the moment when the subscriber shows them: it does all or nothing."""
        begun = time.monotonic()
        self.publisher.run("; ".join(statements))
        query = prices.look_up("prices", item)
        while self.subscriber.value(query) != str(stamp):
            expect(time.monotonic() - begun < 1800, "PostgreSQL has not replicated within half an hour")
            time.sleep(0.001)
        return time.monotonic() - begun

    def tidy(self) -> None:
        """What autovacuum and checkpoints would do some time, outside of what is measured."""
        for connection in (self.publisher, self.subscriber):
            connection.run("VACUUM prices")
            connection.run("CHECKPOINT")

    def expect_same(self) -> None:
        query = prices.contents("prices")
        expect(self.publisher.run(query) == self.subscriber.run(query), "PostgreSQL's subscriber has other rows")
