#!/usr/bin/env python3
"""An agent of Waybill written from protocol/PROTOCOL.md alone: the proof that the page is enough. Not for production.

agent.py enrol CODE HOME
agent.py run HOME [--until-applied JOB ...] [--seconds N] [--faster N]
"""

import argparse
import base64
import hashlib
import json
import os
import pathlib
import random
import shutil
import socket
import sys
import time

import google.protobuf.message
import zmq
import zmq.utils.z85 as z85

import waybill_pb2 as wire
from package import Failed, Package, parse_manifest
from storedb import StoreDatabase

FRAME_MAX = 1024 * 1024 + 64 * 1024
RESERVE_BYTES = 64 * 1024 * 1024


def log(text):
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def open_socket(context, kind, endpoint, hub_key, public, secret):
    s = context.socket(kind)
    s.curve_serverkey, s.curve_publickey, s.curve_secretkey = (
        z85.encode(hub_key),
        z85.encode(public),
        z85.encode(secret),
    )
    for option, value in (
        (zmq.MAXMSGSIZE, FRAME_MAX),
        (zmq.TCP_KEEPALIVE, 1),
        (zmq.TCP_KEEPALIVE_IDLE, 30),
        (zmq.TCP_KEEPALIVE_INTVL, 10),
        (zmq.TCP_KEEPALIVE_CNT, 3),
        (zmq.HANDSHAKE_IVL, 5000),
        (zmq.RECONNECT_IVL, 1000),
        (zmq.RECONNECT_IVL_MAX, 30000),
        (zmq.LINGER, 0),
    ):
        s.setsockopt(option, value)
    if kind == zmq.SUB:
        s.subscribe(b"waybill")
    s.connect(endpoint)
    return s


def write_durably(path, text):
    partial = path.with_suffix(".partial")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(partial, path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


# ---------------------------------------------------------------- enrolment


def parse_code(text):
    prefix, _, body = text.strip().partition(".")
    try:
        code = wire.EnrolmentCode.FromString(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except Exception:
        raise SystemExit("this is not an enrolment code: it cannot be read")
    if prefix != "waybill1" or not code.store or len(code.hub_curve_key) != 32 or len(code.hub_signing_key) != 32:
        raise SystemExit("this is not an enrolment code of version 1")
    return code


def enrol(text, home, patience=60):
    code = parse_code(text)
    home.mkdir(parents=True, exist_ok=True)
    path = home / "agent.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    if known.get("code") != text:  # the same code goes with the same key, whatever became of the first reply
        public, secret = (z85.decode(key) for key in zmq.curve_keypair())
        known = {"code": text, "public": public.hex(), "secret": secret.hex()}
        write_durably(path, json.dumps(known))
    context = zmq.Context()
    s = open_socket(
        context,
        zmq.DEALER,
        code.enrolment_endpoint,
        code.hub_curve_key,
        bytes.fromhex(known["public"]),
        bytes.fromhex(known["secret"]),
    )
    request = wire.EnrolRequest(
        protocol=1,
        store=code.store,
        secret=code.secret,
        public_key=bytes.fromhex(known["public"]),
        machine=socket.gethostname(),
    )
    for _ in range(max(1, patience // 5)):
        s.send(request.SerializeToString(), zmq.DONTWAIT)
        if s.poll(5000):
            break
    else:
        raise SystemExit(f"no reply from {code.enrolment_endpoint}: is the hub running, and the port open?")
    reply = wire.EnrolReply.FromString(s.recv())
    context.destroy(linger=0)
    if reply.protocol != 1 or not reply.accepted:
        raise SystemExit(f"the hub refused: {reply.reason}")
    write_durably(
        path,
        json.dumps(
            known
            | {
                "store": code.store,
                "hub_curve_key": code.hub_curve_key.hex(),
                "hub_signing_key": code.hub_signing_key.hex(),
                "agents": reply.agents_endpoint,
                "announcements": reply.announcements_endpoint,
            }
        ),
    )
    log(f"enrolled as store {code.store}")


# ---------------------------------------------------------------- the agent


class Agent:
    def __init__(self, home, faster=1.0):
        self.home, self.faster = home, faster
        self.me = json.loads((home / "agent.json").read_text())
        self.folder = home / "packages"
        self.folder.mkdir(exist_ok=True)
        self.store = StoreDatabase(home / "store.db")
        self.context, self.sockets = zmq.Context(), []
        self.offers, self.back_off, self.package, self.hub_run, self.hub_time = [], {}, None, None, 0
        self.hello_seconds, self.refusals, self.regressions, self.is_settled = 10, 0, [], False
        self.due = {"open": 0.0}  # name of a timer -> when

    def after(self, name, seconds, only_earlier=False):
        at = time.monotonic() + seconds / self.faster
        self.due[name] = min(at, self.due.get(name, at)) if only_earlier else at

    def run(self, until_applied, seconds):
        end = time.monotonic() + seconds if seconds else None
        while end is None or time.monotonic() < end:
            if until_applied and self.is_settled and not self.package and not self.store.outbox():
                if set(until_applied) <= {w.job for w in self.store.watermarks()}:
                    return 0
            for name in [n for n, at in self.due.items() if at <= time.monotonic()]:
                if self.due.pop(name, None) is not None:
                    getattr(self, "timer_" + name)()
            self.receive()
            self.choose()
        return 1 if until_applied else 0

    # ------------------------------------------------------------ sockets

    def timer_open(self):
        """Also after silence: closes what there is and begins anew."""
        for s in self.sockets:
            s.close()
        keys = [bytes.fromhex(self.me[k]) for k in ("hub_curve_key", "public", "secret")]
        self.sockets = [
            open_socket(self.context, kind, self.me[endpoint], *keys)
            for kind, endpoint in ((zmq.DEALER, "agents"), (zmq.SUB, "announcements"))
        ]
        self.is_welcome = False
        self.after("open", 3 * self.hello_seconds)
        self.timer_hello()
        self.timer_reports()

    def receive(self):
        if not self.sockets:
            time.sleep(0.02)
            return
        dealer, sub = self.sockets
        poller = zmq.Poller()
        poller.register(dealer, zmq.POLLIN)
        poller.register(sub, zmq.POLLIN)
        for s, _ in poller.poll(20):
            frames = s.recv_multipart()
            try:
                if s is sub and len(frames) == 2 and frames[0] == b"waybill":
                    spread = wire.Announcement.FromString(frames[1]).spread_ms
                    place = int.from_bytes(hashlib.sha256(self.me["store"].encode()).digest()[:8], "big")
                    self.after("hello", (place % spread if spread else 0) / 1000, only_earlier=True)
                elif s is dealer and len(frames) == 1:
                    self.message(wire.HubMessage.FromString(frames[0]))
            except google.protobuf.message.DecodeError as error:
                log(f"ignored a message that cannot be read: {error}")
            if s.closed or s not in self.sockets:
                return

    def message(self, m):
        body = m.WhichOneof("body")
        if m.protocol != 1 or body is None:
            return log("ignored a message of a newer hub")
        self.after("open", 3 * self.hello_seconds)
        try:
            getattr(self, "on_" + body)(getattr(m, body))
        except Failed as failure:
            self.fail(failure)

    def send(self, **body):
        m = wire.AgentMessage(protocol=1, store=self.me["store"], incarnation=self.store.incarnation, **body)
        try:
            self.sockets[0].send(m.SerializeToString(), zmq.DONTWAIT)
        except (zmq.Again, IndexError):
            pass  # its timer repeats it

    # ------------------------------------------------------------ hello

    def timer_hello(self):
        hello = wire.Hello(
            agent_version="python-1",
            sequence=self.store.sequence(),
            watermarks=self.store.watermarks(),
            free_bytes=shutil.disk_usage(self.home).free,
            utc_offset_minutes=time.localtime().tm_gmtoff // 60,
        )
        if self.package and self.package.manifest:
            m = self.package.manifest
            done = len(m.chunk_sha256) - len(self.package.missing)
            hello.progress.CopyFrom(
                wire.Progress(session=m.session, bytes_total=m.bytes, bytes_done=min(m.bytes, done * m.chunk_bytes))
            )
        self.send(hello=hello)
        self.after("hello", self.hello_seconds * random.uniform(0.75, 1.0) if self.is_welcome else 5)

    def on_welcome(self, welcome):
        if welcome.hub_run == self.hub_run and welcome.hub_time < self.hub_time:
            return log("ignored a Welcome that was overtaken")
        self.is_welcome, self.refusals = True, 0
        self.hello_seconds = min(max(welcome.hello_seconds, 1), 3600)
        self.after("hello", self.hello_seconds, only_earlier=True)
        self.after("open", 3 * self.hello_seconds)
        if self.hub_run not in (None, welcome.hub_run) and self.package:
            self.ask()
        self.hub_run, self.hub_time = welcome.hub_run, welcome.hub_time
        self.offers = list({o.job: o for o in welcome.offers}.values())
        for cancel in welcome.cancels:
            self.on_cancel(cancel)
        for o in self.offers:
            if self.store.outcome(o.session, o.run):
                self.answer(o)
        p = self.package
        if p and (p.session, p.run) not in {(o.session, o.run) for o in self.offers}:
            is_held = (p.session, p.run) in {(h.session, h.run) for h in welcome.held}
            self.drop(f"session {p.session} is not offered now", delete=not is_held)
        self.is_settled = all(self.store.outcome(o.session, o.run) for o in self.offers)

    def on_refused(self, refused):
        wait = min(60 * 2**self.refusals, 900)
        log(f"the hub refuses: {refused.reason}; next try in {wait} s")
        self.refusals += 1
        self.pause(wait)

    def pause(self, seconds):
        for s in self.sockets:
            s.close()
        self.sockets, self.due = [], {}
        self.after("open", seconds)

    def on_regressed(self, regressed):
        if regressed.counter < self.store.incarnation.counter:
            return
        self.store.new_incarnation(above=regressed.counter)
        log(f"this store was restored or copied; now incarnation {self.store.incarnation.counter}")
        if self.package:
            self.drop("grants of the old incarnation are void", delete=False)
        now = time.monotonic()
        self.regressions = [t for t in self.regressions if now - t < 600] + [now]
        if len(self.regressions) > 3:
            log("another machine seems to use this store's identity")
            return self.pause(60)
        self.timer_hello()

    # ------------------------------------------------------------ reports and cancel

    def timer_reports(self, wait=5):
        if reports := self.store.outbox():
            self.reports_wait = wait
            self.send(reports=wire.Reports(reports=reports))
            self.due["again"] = time.monotonic() + wait / self.faster

    def timer_again(self):
        self.timer_reports(min(60, 2 * self.reports_wait))

    def on_acknowledgement(self, acknowledgement):
        self.store.acknowledged(acknowledgement.reports)
        if len(acknowledgement.reports) >= 256:
            self.timer_reports()

    def changed(self):
        """After each durable change: the hub hears of it at once."""
        self.is_settled = False
        self.timer_reports()
        self.timer_hello()

    def answer(self, named):
        self.store.answer(named.session, named.job, named.run)
        self.timer_reports()

    def on_cancel(self, cancel):
        p = self.package
        if p and (p.session, p.run) == (cancel.session, cancel.run):
            self.drop(f"session {p.session} was canceled")
        self.answer(cancel)

    def fail(self, failure):
        p = self.package
        log(f"session {p.session}, attempt {p.attempt}: {failure}")
        self.store.failed(p.report(), failure)
        wait = min(5 * 2 ** (p.attempt - 1), 900) * random.uniform(0.8, 1.2) / self.faster
        self.back_off[p.session, p.run] = time.monotonic() + wait
        self.drop("the attempt failed", delete=False)
        self.changed()

    def drop(self, why, delete=True):
        log(f"dropped: {why}")
        self.package.close(delete)
        self.package = None
        self.due.pop("request", None)

    # ------------------------------------------------------------ request, chunks, apply

    def choose(self):
        if self.package or not self.sockets:
            return
        todo = [o for o in self.offers if not self.store.outcome(o.session, o.run)]
        before = {o.job for o in todo if o.attempt <= 3}
        free = [o for o in todo if not before & set(o.follows) - {o.job}]
        for o in free or todo:
            ready = self.back_off.get((o.session, o.run), 0) <= time.monotonic()
            if ready:
                self.package = Package(o, max(o.attempt, self.store.attempt(o.session, o.run)))
                return self.ask()

    def ask(self):
        self.package.close(delete=False)
        self.package.manifest = None
        self.timer_request()

    def timer_request(self):
        p = self.package
        if p and not p.manifest:
            self.send(request=wire.Request(session=p.session, run=p.run, attempt=p.attempt))
            self.after("request", 5)

    def on_grant(self, grant):
        p = self.package
        if not p or p.manifest or (grant.session, grant.run, grant.attempt) != (p.session, p.run, p.attempt):
            return
        self.due.pop("request", None)
        m = parse_manifest(grant, bytes.fromhex(self.me["hub_signing_key"]), p.job)
        self.store.check_base(m)
        if shutil.disk_usage(self.home).free < m.bytes + m.raw_bytes + RESERVE_BYTES:
            raise Failed(f"the disk has no room for {m.bytes + m.raw_bytes} bytes", transient=True)
        p.granted(m, self.folder)
        log(f"granted {p.session}: {len(m.chunk_sha256)} chunks, {len(p.missing)} to fetch")
        for other in self.folder.iterdir():
            if other != p.path:
                other.unlink()
        self.fetch()

    def on_not_granted(self, refusal):
        p = self.package
        if p and not p.manifest and (refusal.session, refusal.run) == (p.session, p.run):
            self.offers = [o for o in self.offers if o.session != p.session]
            self.drop(f"session {p.session} is not granted: {refusal.reason}")
            self.after("hello", 5, only_earlier=True)

    def fetch(self):
        p = self.package
        for index in sorted(p.missing - p.under_way)[: p.credit - len(p.under_way)]:
            p.under_way.add(index)
            self.send(chunk_request=wire.ChunkRequest(package=p.manifest.sha256, index=index))
        self.after("chunks", p.wait)
        if not p.missing:
            self.finish(p)

    def timer_chunks(self):
        p = self.package
        if p and p.manifest:
            p.under_way.clear()
            p.credit, p.wait = max(1, p.credit // 2), min(60.0, 2 * p.wait)
            self.fetch()

    def on_chunk(self, chunk):
        p = self.package
        if p and p.manifest and chunk.package == p.manifest.sha256:
            p.chunk(chunk.index, chunk.data)
            self.fetch()

    def on_no_chunk(self, answer):
        if self.package and self.package.manifest and answer.package == self.package.manifest.sha256:
            self.offers = [o for o in self.offers if o.session != self.package.session]
            self.drop(f"the hub has no chunk {answer.index}: {answer.reason}")
            self.after("hello", 1, only_earlier=True)

    def finish(self, p):
        self.due.pop("chunks", None)
        path = p.unpack()
        self.store.downloaded(p.report())
        if self.store.apply(p.manifest, path, p.report()):
            log(f"applied session {p.session} of job {p.job}")
        self.drop(f"session {p.session} is done")
        self.changed()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("enrol")
    one.add_argument("code")
    one.add_argument("home", type=pathlib.Path)
    two = commands.add_parser("run")
    two.add_argument("home", type=pathlib.Path)
    two.add_argument("--until-applied", nargs="+", default=[], metavar="JOB")
    two.add_argument("--seconds", type=float, default=0)
    two.add_argument("--faster", type=float, default=1.0, help="divide every timer by this (for tests)")
    given = parser.parse_args()
    if given.command == "enrol":
        return enrol(given.code, given.home)
    return Agent(given.home, given.faster).run(given.until_applied, given.seconds)


if __name__ == "__main__":
    sys.exit(main())
