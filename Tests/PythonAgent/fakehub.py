"""The hub's side of PROTOCOL.md, as small as the agent's tests need it, with a handle on what can go wrong."""

import base64
import hashlib
import os
import sqlite3
import tempfile
import threading

import nacl.signing
import zmq
import zmq.auth
import zmq.auth.thread
import zmq.utils.z85 as z85
import zstandard

import waybill_pb2 as wire
from package import create_removed_statement, create_statement

CHUNK = 128 * 1024
TYPES = {"INTEGER": wire.INTEGER, "REAL": wire.REAL, "TEXT": wire.TEXT, "BLOB": wire.BLOB}


def table(name, columns, key, former=None, **flags):
    """columns: "product_id TEXT, price REAL NULL, …"; a column is nullable when it says NULL. former: {now: before}."""
    parts = [c.split() for c in columns.split(",")]
    return wire.Table(
        name=name,
        key=key.split(),
        columns=[
            wire.Column(name=p[0], type=TYPES[p[1]], nullable="NULL" in p[2:], former_name=(former or {}).get(p[0], ""))
            for p in parts
        ],
        **flags,
    )


class BuiltPackage:
    """rows and removed: {table name: [tuples]}; extra: SQL that does not belong into a package."""

    def __init__(self, session, job, number, tables, rows, removed=None, bases=(), extra=""):
        self.job, self.session = job, session
        m = self.manifest = wire.Manifest(
            format=1,
            job=job,
            session=session,
            version=wire.Version(epoch=1, number=number),
            bases=bases,
            kind=wire.DELTA if bases else wire.FULL,
            chunk_bytes=CHUNK,
        )
        with tempfile.TemporaryDirectory() as folder:
            db = sqlite3.connect(os.path.join(folder, "package.db"))
            for t in tables:
                m.tables.append(t)
                m.tables[-1].rows, m.tables[-1].removed = len(rows.get(t.name, ())), len(
                    (removed or {}).get(t.name, ())
                )
                if t.whole or t.keeps:
                    m.format = 2
                self.fill(db, t.name, create_statement(t), rows.get(t.name, ()))
                self.fill(db, t.name + "__removed", create_removed_statement(t), (removed or {}).get(t.name, ()))
            db.executescript(extra)
            db.commit()
            db.close()
            with open(os.path.join(folder, "package.db"), "rb") as file:
                raw = file.read()
        self.data = zstandard.ZstdCompressor(level=3).compress(raw)
        self.chunks = [self.data[i : i + CHUNK] for i in range(0, len(self.data), CHUNK)]
        m.raw_bytes, m.raw_sha256 = len(raw), hashlib.sha256(raw).digest()
        m.bytes, m.sha256 = len(self.data), hashlib.sha256(self.data).digest()
        m.chunk_sha256.extend(hashlib.sha256(c).digest() for c in self.chunks)

    @staticmethod
    def fill(db, name, create, rows):
        db.execute(create)
        for row in rows:
            db.execute(f'INSERT INTO "{name}" VALUES ({", ".join("?" * len(row))})', row)

    @property
    def watermark(self):
        return wire.Watermark(job=self.job, version=self.manifest.version, session=self.session)


class FakeHub:
    STORE = "S001"

    def __init__(self):
        self.signing = nacl.signing.SigningKey.generate()
        self.public, self.secret = zmq.curve_keypair()
        self.enrolled = self.code_used_by = None
        self.offers = {}  # session -> (BuiltPackage, run)
        self.follows, self.held = {}, set()  # job -> jobs before it; sessions that wait for their window
        self.cancels, self.hub_run, self.hello_seconds = [], 1, 30
        self.messages = []  # every AgentMessage, in the order of arrival
        self.attempt = 1  # named by every offer
        self.reports = []  # every Report, repeated ones too
        self.keep_acknowledgements = self.is_mute = False
        self.chunks_max = None  # answer this many chunk requests, then none
        self.damage = {}  # chunk index -> how often to send it damaged
        self.regressed_below = None
        self.sign = lambda manifest: self.signing.sign(b"waybill-manifest-v1\0" + manifest).signature
        self.context = zmq.Context()
        self.authenticator = zmq.auth.thread.ThreadAuthenticator(self.context)
        self.authenticator.start()
        self.authenticator.configure_curve_callback("agents", credentials_provider=self)
        self.authenticator.configure_curve(domain="enrol", location=zmq.auth.CURVE_ALLOW_ANY)
        self.agents, self.agents_endpoint = self.bind(zmq.ROUTER, "agents")
        self.announcements, self.announcements_endpoint = self.bind(zmq.PUB, "agents")
        self.enrolment, enrolment_endpoint = self.bind(zmq.ROUTER, "enrol")
        code = wire.EnrolmentCode(
            store=self.STORE,
            secret=b"0123456789abcdef",
            enrolment_endpoint=enrolment_endpoint,
            hub_curve_key=z85.decode(self.public),
            hub_signing_key=bytes(self.signing.verify_key),
        )
        self.code = "waybill1." + base64.urlsafe_b64encode(code.SerializeToString()).decode().rstrip("=")
        self.stopping = False
        self.todo = []  # sent by the hub's own thread, because a socket has one thread
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def bind(self, kind, domain):
        s = self.context.socket(kind)
        s.curve_server, s.curve_secretkey, s.curve_publickey = True, self.secret, self.public
        s.zap_domain = domain.encode()
        s.setsockopt(93, 1)  # ZMQ_ZAP_ENFORCE_DOMAIN
        s.linger = 0
        return s, f"tcp://127.0.0.1:{s.bind_to_random_port('tcp://127.0.0.1')}"

    def callback(self, domain, key):
        """Asked by the authenticator: may this key connect?"""
        return key == self.enrolled

    def stop(self):
        self.stopping = True
        self.thread.join()
        self.authenticator.stop()
        self.context.destroy(linger=0)

    def offer(self, package, run=1):
        self.offers[package.session] = (package, run)

    def announce(self):
        self.todo.append(wire.Announcement(spread_ms=10, job="prices", session="any"))

    def serve(self):
        while not self.stopping:
            for announcement in self.todo[:]:
                self.announcements.send_multipart([b"waybill", announcement.SerializeToString()])
                self.todo.remove(announcement)
            if self.agents.poll(10):
                route, frame = self.agents.recv_multipart(copy=False)
                assert frame.get("User-Id") == self.enrolled.decode(), "authorised by the key of the connection"
                self.route = route.bytes
                self.message(wire.AgentMessage.FromString(frame.bytes))
            if self.enrolment.poll(0):
                route, frame = self.enrolment.recv_multipart()
                self.enrolment.send_multipart(
                    [route, self.enrol(wire.EnrolRequest.FromString(frame)).SerializeToString()]
                )

    def enrol(self, request):
        key = z85.encode(request.public_key)
        if request.secret != b"0123456789abcdef" or self.code_used_by not in (None, key):
            return wire.EnrolReply(protocol=1, accepted=False, reason="this code was used with another key")
        self.enrolled = self.code_used_by = key
        return wire.EnrolReply(
            protocol=1,
            accepted=True,
            agents_endpoint=self.agents_endpoint,
            announcements_endpoint=self.announcements_endpoint,
        )

    def send(self, **body):
        if not self.is_mute:
            self.agents.send_multipart([self.route, wire.HubMessage(protocol=1, **body).SerializeToString()])

    def message(self, m):
        self.messages.append(m)
        if self.regressed_below and m.incarnation.counter < self.regressed_below:
            return self.send(regressed=wire.Regressed(counter=self.regressed_below))
        getattr(self, "on_" + m.WhichOneof("body"))(getattr(m, m.WhichOneof("body")))

    def on_hello(self, hello):
        self.send(
            welcome=wire.Welcome(
                hub_run=self.hub_run,
                hello_seconds=self.hello_seconds,
                cancels=self.cancels,
                offers=[
                    wire.Offer(
                        session=p.session,
                        run=run,
                        job=p.job,
                        bytes=len(p.data),
                        attempt=self.attempt,
                        follows=self.follows.get(p.job, []),
                    )
                    for p, run in self.offers.values()
                    if p.session not in self.held
                ],
                held=[
                    wire.Held(session=p.session, run=run, job=p.job)
                    for p, run in self.offers.values()
                    if p.session in self.held
                ],
            )
        )

    def on_request(self, request):
        package, run = self.offers.get(request.session, (None, 0))
        if run != request.run:
            return self.send(
                not_granted=wire.NotGranted(session=request.session, run=request.run, reason="not offered")
            )
        manifest = package.manifest.SerializeToString()
        self.send(
            grant=wire.Grant(
                session=request.session,
                run=run,
                attempt=request.attempt,
                manifest=manifest,
                signature=self.sign(manifest),
            )
        )

    def on_chunk_request(self, request):
        package = next((p for p, _ in self.offers.values() if p.manifest.sha256 == request.package), None)
        if package is None:
            return self.send(
                no_chunk=wire.NoChunk(package=request.package, index=request.index, reason="no such package")
            )
        if self.chunks_max is not None:
            if self.chunks_max <= 0:
                return
            self.chunks_max -= 1
        data = package.chunks[request.index]
        if self.damage.get(request.index, 0) > 0:
            self.damage[request.index] -= 1
            data = bytes([data[0] ^ 1]) + data[1:]
        self.send(chunk=wire.Chunk(package=request.package, index=request.index, data=data))

    def on_reports(self, reports):
        self.reports.extend(reports.reports)
        if self.keep_acknowledgements:
            return
        for r in reports.reports:
            if r.outcome in (wire.APPLIED, wire.CANCELED):
                self.offers.pop(r.session, None)
                self.cancels = [c for c in self.cancels if c.session != r.session]
        self.send(
            acknowledgement=wire.Acknowledgement(
                reports=[wire.ReportName(incarnation=r.incarnation, id=r.id) for r in reports.reports]
            )
        )

    # ------------------------------------------------------------ what came

    def bodies(self, kind):
        return [getattr(m, kind) for m in list(self.messages) if m.WhichOneof("body") == kind]

    def outcomes(self):
        """Names of outcomes in the order of their first report."""
        seen = {}
        for r in list(self.reports):
            seen.setdefault((r.incarnation.counter, r.id), wire.Outcome.Name(r.outcome))
        return list(seen.values())
