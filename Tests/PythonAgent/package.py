"""A package: its manifest, its chunks, and what may be inside (PROTOCOL.md, sections 7 to 9)."""

import collections
import hashlib
import re
import sqlite3
import time
import urllib.parse

import nacl.exceptions
import nacl.signing
import zstandard

import waybill_pb2 as wire

CREDIT_MAX, WRONG_MAX = 16, 3
TYPES = {wire.INTEGER: "INTEGER", wire.REAL: "REAL", wire.TEXT: "TEXT", wire.BLOB: "BLOB"}


class Failed(Exception):
    """An attempt has failed; the text is the sentence that the hub shows."""

    def __init__(self, message, outcome=wire.DOWNLOAD_FAILED, transient=False):
        super().__init__(message)
        self.outcome, self.transient = outcome, transient


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def read_only(path):
    return f"file:{urllib.parse.quote(str(path))}?mode=ro&immutable=1"


def fault_of(table):
    """Why this is no table that we would create, or None."""

    def plain(name):
        return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", name) and not name.lower().startswith(
            ("sqlite_", "_waybill")
        )

    names = [c.name for c in table.columns]
    nullable = {c.name: c.nullable for c in table.columns}
    if not plain(table.name) or table.name.lower().endswith("__removed") or not all(map(plain, names)):
        return "a name that is not plain"
    if not 1 <= len(names) <= 200 or len({n.lower() for n in names}) != len(names):
        return "no columns, too many, or one twice"
    if not all(plain(c.former_name) for c in table.columns if c.former_name):
        return "a former name that is not plain"
    if any(c.type not in TYPES for c in table.columns):
        return "a column of unknown type"
    if not 1 <= len(table.key) <= 8 or len(set(table.key)) != len(table.key):
        return "no key, too long a key, or a key column twice"
    if any(nullable.get(k, True) for k in table.key):
        return "a key column that is nullable or none of its columns"
    return None


def create_statement(table, name=None, columns=None):
    """The one statement by which a table of a package, or of a store, is made (section 9)."""
    lines = [
        f"{quoted(c.name)} {TYPES[c.type]}{'' if c.nullable else ' NOT NULL'}"
        for c in (table.columns if columns is None else columns)
    ]
    keys = ", ".join(map(quoted, table.key))
    return f"CREATE TABLE {quoted(name or table.name)} ({', '.join(lines)}, PRIMARY KEY ({keys})) WITHOUT ROWID"


def create_removed_statement(table):
    columns = {c.name: c for c in table.columns}
    return create_statement(table, table.name + "__removed", [columns[k] for k in table.key])


def check_package(path, manifest):
    """Refuses a package that is not exactly what its manifest says."""
    package = sqlite3.connect(read_only(path), uri=True)
    try:
        package.execute("PRAGMA trusted_schema = OFF")
        expected = {}
        for t in manifest.tables:
            expected[t.name] = (create_statement(t), t.rows)
            expected[t.name + "__removed"] = (create_removed_statement(t), t.removed)
        found = {name: (kind, sql) for kind, name, sql in package.execute("SELECT type, name, sql FROM sqlite_schema")}
        for name, (kind, sql) in found.items():
            if kind != "table" or sql != expected.get(name, ("", 0))[0]:
                raise Failed(f"the package holds {kind} {name}, which its manifest does not declare so")
        for name, (_, rows) in expected.items():
            if name not in found:
                raise Failed(f"the package lacks table {name}")
            if package.execute(f"SELECT count(*) FROM {quoted(name)}").fetchone()[0] != rows:
                raise Failed(f"table {name} of the package has not the {rows} rows that its manifest says")
    except sqlite3.Error as error:
        raise Failed(f"the package cannot be read: {error}")
    finally:
        package.close()


def parse_manifest(grant, signing_key, job):
    try:
        nacl.signing.VerifyKey(signing_key).verify(b"waybill-manifest-v1\0" + grant.manifest, grant.signature)
    except (nacl.exceptions.BadSignatureError, ValueError):
        raise Failed("the manifest is not signed by this store's hub")
    try:
        m = wire.Manifest.FromString(grant.manifest)
    except Exception:
        raise Failed("the manifest cannot be read")
    if m.format not in (1, 2):
        raise Failed(f"the package has format {m.format}; update the agent")
    good = (
        m.session == grant.session
        and m.job == job
        and m.HasField("version")
        and all(b.job == m.job for b in m.bases)
        and len({t.name.lower() for t in m.tables}) == len(m.tables)
        and 0 < m.bytes <= 2 << 30
        and 0 < m.raw_bytes <= 16 << 30
        and 128 << 10 <= m.chunk_bytes <= 1 << 20
        and 1 <= len(m.chunk_sha256) <= 2048
        and len(m.chunk_sha256) == -(-m.bytes // m.chunk_bytes)
        and all(len(h) == 32 for h in (m.sha256, m.raw_sha256, *m.chunk_sha256))
        and 1 <= len(m.tables) <= 64
        and (
            m.kind == wire.FULL
            and not m.bases
            and not any(t.removed or t.whole for t in m.tables)
            or m.kind == wire.DELTA
            and 1 <= len(m.bases) <= 256
        )
    )
    if not good:
        raise Failed("the manifest contradicts itself or exceeds a limit")
    for t in m.tables:
        if (t.whole or t.keeps) and (m.format < 2 or t.removed):
            raise Failed(f"table {t.name!r} contradicts the manifest's format, or itself")
        if fault := fault_of(t):
            raise Failed(f"table {t.name!r} of the manifest has {fault}")
    return m


class Package:
    """One run of one session under way: asked for, then (with a manifest) fetched."""

    def __init__(self, offer, attempt):
        self.session, self.run, self.job, self.attempt = offer.session, offer.run, offer.job, attempt
        self.manifest = self.file = None

    def report(self):
        return wire.Report(session=self.session, job=self.job, run=self.run, attempt=self.attempt)

    def granted(self, manifest, folder):
        self.manifest, self.path = manifest, folder / (manifest.sha256.hex() + ".part")
        self.path.touch()
        self.file = open(self.path, "r+b")
        self.file.truncate(manifest.bytes)
        self.wrong, self.credit, self.under_way = collections.Counter(), 2, set()
        self.wait, self.last = 5.0, time.monotonic()
        self.missing = {i for i in range(len(manifest.chunk_sha256)) if not self.is_right(i, self.read(i))}

    def read(self, index):
        self.file.seek(index * self.manifest.chunk_bytes)
        return self.file.read(self.length(index))

    def length(self, index):
        return min(self.manifest.chunk_bytes, self.manifest.bytes - index * self.manifest.chunk_bytes)

    def is_right(self, index, data):
        return len(data) == self.length(index) and hashlib.sha256(data).digest() == self.manifest.chunk_sha256[index]

    def chunk(self, index, data):
        if index not in self.missing:
            return
        self.under_way.discard(index)
        if not self.is_right(index, data):
            self.wrong[index] += 1
            if self.wrong[index] >= WRONG_MAX:
                raise Failed(f"chunk {index} of the package came damaged {WRONG_MAX} times")
            return
        self.file.seek(index * self.manifest.chunk_bytes)
        self.file.write(data)
        self.missing.discard(index)
        now = time.monotonic()
        self.wait, self.last = min(60.0, max(5.0, 2 * (now - self.last))), now
        self.credit = min(CREDIT_MAX, self.credit + 1)

    def unpack(self):
        """The verified database inside; the caller deletes it."""
        m, raw, out = self.manifest, hashlib.sha256(), self.path.with_suffix(".db")
        self.file.flush()
        with open(self.path, "rb") as whole:
            if hashlib.file_digest(whole, "sha256").digest() != m.sha256:
                raise Failed("the whole package has another hash than its manifest says")
        size = 0
        try:
            with open(self.path, "rb") as packed, open(out, "wb") as file:
                for piece in zstandard.ZstdDecompressor().read_to_iter(packed, read_size=1 << 20):
                    size += len(piece)
                    if size > m.raw_bytes:
                        raise Failed("the package is longer than its manifest says")
                    raw.update(piece)
                    file.write(piece)
        except zstandard.ZstdError as error:
            raise Failed(f"the package cannot be decompressed: {error}")
        if size != m.raw_bytes or raw.digest() != m.raw_sha256:
            raise Failed("the database in the package has another hash than its manifest says")
        check_package(out, m)
        return out

    def close(self, delete):
        if self.file:
            self.file.close()
            self.path.with_suffix(".db").unlink(missing_ok=True)
            if delete:
                self.path.unlink(missing_ok=True)
