"""The store's database: what must be true together is one transaction (PROTOCOL.md, sections 10 to 14)."""

import contextlib
import secrets
import sqlite3
import time

import waybill_pb2 as wire
from package import TYPES, Failed, create_statement, quoted, read_only

OWN_TABLES = """
CREATE TABLE IF NOT EXISTS _waybill_state (one INTEGER PRIMARY KEY CHECK (one = 1), counter INTEGER, sequence INTEGER);
CREATE TABLE IF NOT EXISTS _waybill_watermark (job TEXT PRIMARY KEY, epoch INTEGER, number INTEGER, session TEXT);
-- `report` is the APPLIED or CANCELED one, for being asked again; NULL while there is no outcome.
CREATE TABLE IF NOT EXISTS _waybill_run (session TEXT, run INTEGER, attempt INTEGER, report BLOB,
    PRIMARY KEY (session, run));
CREATE TABLE IF NOT EXISTS _waybill_outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, report BLOB);
CREATE TABLE IF NOT EXISTS _waybill_table (name TEXT PRIMARY KEY, job TEXT);
INSERT OR IGNORE INTO _waybill_state VALUES (1, 0, 0);
"""


def columns_of(names):
    return ", ".join(quoted(name) for name in names)


def milliseconds():
    return int(time.time() * 1000)


def shape_of(table):
    """The table as PRAGMA table_info would show it: (name, type, not null, place in the key)."""
    key = list(table.key)
    return [
        (c.name, TYPES.get(c.type), int(not c.nullable), key.index(c.name) + 1 if c.name in key else 0)
        for c in table.columns
    ]


class StoreDatabase:
    def __init__(self, path):
        self.db = sqlite3.connect(path, isolation_level=None, uri=True, timeout=20)
        self.db.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;" + OWN_TABLES
        )
        self.incarnation = None
        self.new_incarnation()

    @contextlib.contextmanager
    def transaction(self):
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise

    def new_incarnation(self, above=0):
        with self.transaction():
            self.db.execute("UPDATE _waybill_state SET counter = max(counter, ?) + 1, sequence = 0", (above,))
            (counter,) = self.db.execute("SELECT counter FROM _waybill_state").fetchone()
        self.incarnation = wire.Incarnation(counter=counter, random=secrets.randbits(64))

    # ------------------------------------------------------------ what is

    def sequence(self):
        return self.db.execute("SELECT sequence FROM _waybill_state").fetchone()[0]

    def watermarks(self):
        return [
            wire.Watermark(job=job, version=wire.Version(epoch=epoch, number=number), session=session)
            for job, epoch, number, session in self.db.execute("SELECT * FROM _waybill_watermark ORDER BY job")
        ]

    def outcome(self, session, run):
        """The APPLIED or CANCELED report of the run, or None."""
        row = self.db.execute(
            "SELECT report FROM _waybill_run WHERE session = ? AND run = ?", (session, run)
        ).fetchone()
        return wire.Report.FromString(row[0]) if row and row[0] else None

    def attempt(self, session, run):
        row = self.db.execute(
            "SELECT attempt FROM _waybill_run WHERE session = ? AND run = ?", (session, run)
        ).fetchone()
        return row[0] if row else 1

    def check_base(self, manifest):
        if manifest.kind == wire.DELTA:

            def place(w):
                return w.job, w.version.epoch, w.version.number, w.session

            if not {place(w) for w in self.watermarks()} & {place(b) for b in manifest.bases if b.job == manifest.job}:
                raise Failed(
                    f"the package of job {manifest.job} does not start where this store stands", transient=True
                )

    # ------------------------------------------------------------ reports

    def outbox(self):
        return [
            self._named(id, blob)
            for id, blob in self.db.execute("SELECT id, report FROM _waybill_outbox ORDER BY id LIMIT 256")
        ]

    def _named(self, id, blob):
        report = wire.Report.FromString(blob)
        report.id = id
        return report

    def acknowledged(self, names):
        with self.transaction():
            named = {(n.id, n.incarnation.counter, n.incarnation.random) for n in names}
            for r in self.outbox():
                if (r.id, r.incarnation.counter, r.incarnation.random) in named:
                    self.db.execute("DELETE FROM _waybill_outbox WHERE id = ?", (r.id,))

    def _write(self, report):
        """One durable change with its report; within a transaction."""
        self.db.execute("UPDATE _waybill_state SET sequence = sequence + 1")
        report.incarnation.CopyFrom(self.incarnation)
        report.sequence = self.sequence()
        report.at = report.at or milliseconds()
        self.db.execute("INSERT INTO _waybill_outbox (report) VALUES (?)", (report.SerializeToString(),))
        if report.outcome in (wire.APPLIED, wire.CANCELED):
            self.db.execute(
                "INSERT INTO _waybill_run VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET report = excluded.report",
                (report.session, report.run, report.attempt, report.SerializeToString()),
            )

    def downloaded(self, report):
        with self.transaction():
            report.outcome = wire.DOWNLOADED
            self._write(report)

    def failed(self, report, failure):
        with self.transaction():
            report.outcome, report.transient = failure.outcome, failure.transient
            report.message = str(failure).encode()[:1024].decode(errors="ignore")
            self._write(report)
            self.db.execute(
                "INSERT INTO _waybill_run VALUES (?, ?, ?, NULL) ON CONFLICT DO UPDATE SET attempt = excluded.attempt",
                (report.session, report.run, report.attempt + 1),
            )

    def answer(self, session, job, run):
        """Section 13: what became of the run, or a promise never to apply it; its report is in the outbox then."""
        with self.transaction():
            known = self.outcome(session, run)
            if known is None:
                attempt = self.attempt(session, run)
                self._write(wire.Report(session=session, job=job, run=run, attempt=attempt, outcome=wire.CANCELED))
            elif not any((r.session, r.run, r.outcome) == (session, run, known.outcome) for r in self.outbox()):
                self._write(known)

    # ------------------------------------------------------------ apply

    def apply(self, manifest, path, report):
        """Section 10. False when the run has an outcome already."""
        self.db.execute("ATTACH ? AS package", (read_only(path),))
        try:
            with self.transaction():
                if self.outcome(report.session, report.run):
                    return False
                self.check_base(manifest)
                begun = time.monotonic()
                self.notes = []
                report.rows_changed = sum(self._remove(t, manifest) for t in manifest.tables)
                report.rows_changed += sum(self._put(t) for t in manifest.tables)
                report.watermark.CopyFrom(
                    wire.Watermark(job=manifest.job, version=manifest.version, session=manifest.session)
                )
                self.db.execute(
                    "INSERT OR REPLACE INTO _waybill_watermark VALUES (?, ?, ?, ?)",
                    (manifest.job, manifest.version.epoch, manifest.version.number, manifest.session),
                )
                report.outcome = wire.APPLIED
                report.message = "; ".join(self.notes).encode()[:1024].decode(errors="ignore")
                report.longest_lock_ms = int((time.monotonic() - begun) * 1000)
                self._write(report)
            return True
        except Failed as failure:
            failure.outcome = wire.APPLY_FAILED
            raise
        except sqlite3.Error as error:
            waiting_helps = any(word in str(error) for word in ("locked", "busy", "full"))
            raise Failed(f"job {manifest.job} cannot be applied: {error}", wire.APPLY_FAILED, waiting_helps)
        finally:
            self.db.execute("DETACH package")

    def _remove(self, table, manifest):
        """Makes the table if needed and deletes what must go."""
        self._make(table, manifest)
        name, gone = quoted(table.name), quoted(table.name + "__removed")
        if table.keeps:
            return 0
        if manifest.kind == wire.DELTA and not table.whole:
            keys = columns_of(table.key)
            return self.db.execute(
                f"DELETE FROM main.{name} WHERE ({keys}) IN (SELECT {keys} FROM package.{gone})"
            ).rowcount
        same = " AND ".join(f"new.{quoted(k)} = main.{name}.{quoted(k)}" for k in table.key)
        return self.db.execute(
            f"DELETE FROM main.{name} WHERE NOT EXISTS (SELECT 1 FROM package.{name} AS new WHERE {same})"
        ).rowcount

    def _put(self, table):
        name, columns = quoted(table.name), columns_of(c.name for c in table.columns)
        values = [quoted(c.name) for c in table.columns if c.name not in table.key]
        change = "NOTHING"
        if values:
            change = (
                "UPDATE SET "
                + ", ".join(f"{v} = excluded.{v}" for v in values)
                + " WHERE "
                + " OR ".join(f"{name}.{v} IS NOT excluded.{v}" for v in values)
            )
        return self.db.execute(
            f"INSERT INTO main.{name} ({columns}) SELECT {columns} FROM package.{name} WHERE true "
            f"ON CONFLICT ({columns_of(table.key)}) DO {change}"
        ).rowcount

    def _make(self, table, manifest):
        """The store's table in the manifest's shape; only a full package replaces another shape, if it is ours."""
        found, wanted = self._columns(table), shape_of(table)
        if found == wanted:
            return
        if not found:
            self.db.execute(create_statement(table))
        else:
            ours = self.db.execute("SELECT 1 FROM _waybill_table WHERE name = ?", (table.name,)).fetchone()
            if not ours or manifest.kind == wire.DELTA:
                raise Failed(f"table {table.name} of the store has another shape than job {manifest.job} gives it")
            self._evolve(table)
        self.db.execute("INSERT OR REPLACE INTO _waybill_table VALUES (?, ?)", (table.name, manifest.job))

    def _columns(self, table):
        return [r[1:4] + (r[5],) for r in self.db.execute(f"PRAGMA main.table_info({quoted(table.name)})")]

    def _evolve(self, table):
        """Other columns: what tills have made on the table comes along where it can, and so do rows to be kept."""
        name = quoted(table.name)
        has = {c[0] for c in self._columns(table)}
        for c in table.columns:
            if c.former_name in has and c.name not in has:
                try:
                    rename = f"RENAME COLUMN {quoted(c.former_name)} TO {quoted(c.name)}"
                    self.db.execute(f"ALTER TABLE main.{name} {rename}")
                    has = has - {c.former_name} | {c.name}
                except sqlite3.OperationalError as error:  # some view of a till is broken: SQLite renames nothing then
                    self.notes.append(f"table {table.name}: {c.former_name} was dropped, not renamed ({error})")
        objects = self.db.execute(
            "SELECT type, name, sql FROM main.sqlite_schema WHERE tbl_name = ? AND type IN ('index', 'trigger') "
            "AND sql IS NOT NULL",
            (table.name,),
        ).fetchall()
        kept = []
        if table.keeps and not {c[0] for c in self._columns(table) if c[3]} <= set(table.key):
            self.notes.append(f"table {table.name} has another key now: rows that were to be kept are gone")
        elif table.keeps:
            kept = self.db.execute(f"SELECT {', '.join(self._kept(c, has) for c in table.columns)} FROM main.{name}")
            kept = kept.fetchall()
        self.db.execute(f"DROP TABLE main.{name}")
        self.db.execute(create_statement(table))
        places = ", ".join("?" * len(table.columns))
        self.db.executemany(f"INSERT INTO main.{name} VALUES ({places})", kept)
        nulls = places.replace("?", "NULL")
        for number, (kind, made, sql) in enumerate(objects):
            try:
                self.db.execute(sql)
                # Triggers are looked into by what would fire them. Another text each time: a cached one is not.
                for write in (f"INSERT INTO main.{name} VALUES ({nulls})", f"DELETE FROM main.{name}"):
                    self.db.execute(f"EXPLAIN {write} -- {number}")
            except sqlite3.OperationalError as error:
                if "column" not in str(error):
                    raise
                self.db.execute(f"DROP {kind} IF EXISTS main.{quoted(made)}")
                self.notes.append(f"table {table.name}: {kind} {made} was dropped ({error})")

    @staticmethod
    def _kept(column, has):
        least = {wire.INTEGER: "0", wire.REAL: "0.0", wire.TEXT: "''", wire.BLOB: "x''"}[column.type]
        value = quoted(column.name) if column.name in has else "NULL"
        return value if column.nullable else f"ifnull({value}, {least})"
