"""A TCP proxy that does to a line what networks do, from a seed. One for each endpoint of each store."""
import asyncio
import random
import threading

CHUNK = 16 * 1024


class Faults:
    """What the line does at present. Changed by one thread, looked at by the proxy's; each field on its own."""

    def __init__(self):
        self.heal()

    def heal(self):
        self.delay = 0.0             # seconds for each piece, one way
        self.jitter = 0.0            # seconds more, at most
        self.bytes_per_second = 0    # 0: as fast as it goes
        self.cut_chance = 0.0        # for each piece: both sides get a reset
        self.flip_chance = 0.0       # for each piece: one bit is another
        self.drops_up = False        # agent to hub: taken and thrown away
        self.drops_down = False      # hub to agent
        self.largest = 0             # a piece that is larger stops the line for good, as a path with a small MTU does
        self.refuses = False         # no new connections
        self.swallows = False        # new connections are taken, and nothing ever comes
        self.slow_loris = 0.0        # seconds between two bytes


class Proxy:
    """Forwards from a port of its own to a target, in a thread of its own."""

    def __init__(self, target_port, seed):
        self.faults = Faults()
        self.target = target_port
        self.random = random.Random(seed)
        self.port = None
        self.accepted = 0
        self.injected = {}
        self.writers = set()
        self.ready = threading.Event()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        self.ready.wait(10)

    def run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.serve())

    async def serve(self):
        self.stopping = asyncio.Event()
        server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        await self.stopping.wait()
        server.close()
        self.reset_all()
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()

    def close(self):
        self.loop.call_soon_threadsafe(self.stopping.set)
        self.thread.join(10)

    def cut(self):
        """All connections at once."""
        self.note("cut")
        self.loop.call_soon_threadsafe(self.reset_all)

    def reset_all(self):
        for writer in list(self.writers):
            writer.transport.abort()

    def note(self, what):
        self.injected[what] = self.injected.get(what, 0) + 1

    async def accept(self, reader, writer):
        if self.faults.refuses:
            self.note("refused")
            writer.transport.abort()
            return
        self.accepted += 1
        self.writers.add(writer)
        try:
            if self.faults.swallows:
                self.note("swallowed")
                while await reader.read(CHUNK):
                    pass
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            self.writers.add(far_writer)
            try:
                up = asyncio.create_task(self.forward(reader, far_writer, is_up=True))
                down = asyncio.create_task(self.forward(far_reader, writer, is_up=False))
                await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
                up.cancel()
                down.cancel()
            finally:
                self.writers.discard(far_writer)
                far_writer.transport.abort()
        except OSError:
            pass
        finally:
            self.writers.discard(writer)
            writer.transport.abort()

    async def forward(self, reader, writer, is_up):
        faults = self.faults
        try:
            while piece := await reader.read(CHUNK):
                if faults.drops_up if is_up else faults.drops_down:
                    self.note("dropped")
                    continue
                if faults.largest and len(piece) > faults.largest:
                    # TCP sends the same segment again and again, and it never arrives; nor does what follows.
                    self.note("black hole")
                    await asyncio.Event().wait()
                if self.random.random() < faults.cut_chance:
                    self.note("cut")
                    return
                if self.random.random() < faults.flip_chance:
                    self.note("flipped")
                    flipped = bytearray(piece)
                    flipped[self.random.randrange(len(piece))] ^= 1 << self.random.randrange(8)
                    piece = bytes(flipped)
                await self.wait(len(piece))
                if faults.slow_loris:
                    for byte in piece:
                        writer.write(bytes([byte]))
                        await writer.drain()
                        await asyncio.sleep(faults.slow_loris)
                else:
                    writer.write(piece)
                    await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass

    async def wait(self, count):
        faults = self.faults
        seconds = faults.delay + self.random.random() * faults.jitter
        if faults.bytes_per_second:
            seconds += count / faults.bytes_per_second
        if seconds:
            self.note("delayed")
            await asyncio.sleep(seconds)
