"""Bad lines between the hub and its stores."""
import json
import time

from .chain import HUB, Chain, eventually, expect
from .proxy import Proxy


class ProxiedChain(Chain):
    """Every store reaches the hub through proxies of its own, one for each endpoint."""

    def begin(self):
        self.proxies = {}
        super().begin()

    def enrolled(self, store):
        path = f"{self.home(store)}/enrolment.json"
        with open(path) as file:
            enrolment = json.load(file)
        self.proxies[store] = []
        for key in ("agents_endpoint", "announcements_endpoint"):
            host, port = enrolment[key].rsplit(":", 1)
            proxy = Proxy(int(port), seed=self.random.getrandbits(32))
            self.proxies[store].append(proxy)
            enrolment[key] = f"{host}:{proxy.port}"
        with open(path, "w") as file:
            json.dump(enrolment, file)

    def close(self):
        super().close()
        for proxies in getattr(self, "proxies", {}).values():
            for proxy in proxies:
                proxy.close()

    def every(self, store=None):
        return [p for name, proxies in self.proxies.items() if store in (None, name) for p in proxies]

    def set(self, store=None, **faults):
        for proxy in self.every(store):
            for name, value in faults.items():
                setattr(proxy.faults, name, value)

    def heal(self):
        for proxy in self.every():
            proxy.faults.heal()
        # What hangs in a black hole or in a swallowed connection hangs on until one side gives up; that is theirs to do.

    def injected(self):
        total = {}
        for proxy in self.every():
            for name, count in proxy.injected.items():
                total[name] = total.get(name, 0) + count
        return ", ".join(f"{count} {name}" for name, count in sorted(total.items()))


# Each for one store while the others have a good line.
LINES = {
    "delay and jitter": dict(delay=0.1, jitter=0.3),
    "throttle": dict(bytes_per_second=4_000),
    "cuts": dict(cut_chance=0.1),
    "bit flips": dict(flip_chance=0.1),
    "half-open": dict(drops_up=True, drops_down=True),
    "one way: nothing arrives at the hub": dict(drops_up=True),
    "one way: nothing arrives at the store": dict(drops_down=True),
    "large segments vanish": dict(largest=700),
    "slow loris": dict(slow_loris=0.002),
    "accepts, then nothing": dict(swallows=True),
    "refuses": dict(refuses=True),
}

# What headquarters must be told while the line is bad, where waiting alone would explain nothing.
TOLD = {"large segments vanish": "path MTU"}


def proxy(options):
    """Delay, throttle, cuts, half-open, one-way, large segments, bit flips, slow loris, accept-then-nothing."""
    with ProxiedChain(options) as chain:
        chain.publish_to_all()
        count = options.lines or len(LINES)
        for _ in range(options.rounds):
            for name in chain.random.sample(sorted(LINES), count):
                one_bad_line(chain, name, LINES[name])
        swizzle(chain)
        chain.heal()
        rows = chain.verify()
        return (f"{options.rounds} rounds of {count} bad lines and a swizzle ({chain.injected()}): "
                f"all stores equal a full load ({rows} rows)")


def one_bad_line(chain, name, faults):
    """One store has a bad line: the others notice nothing, and it catches up when the line is good again."""
    victim = chain.random.choice(chain.stores)
    chain.set(victim, **faults)
    if "swallows" in faults or "refuses" in faults:
        for each in chain.every(victim):
            each.cut()
    chain.edit(3)
    chain.raise_prices()
    chain.waybill("publish")

    def others_have_it():
        return all(
            delivery["status"] in ("Applied", "NoData", "Superseded", "Canceled")
            for session in chain.open_sessions()
            for delivery in chain.json("session", "show", session["id"])["deliveries"] if delivery["store"] != victim)
    eventually(f"{name} at {victim}: the other stores have it", 30, others_have_it)
    if name in TOLD:
        eventually(
            f"headquarters is told of the {TOLD[name]}", 90,
            lambda: any(text.startswith(victim) and TOLD[name] in text for text in chain.messages()))
    time.sleep(chain.random.random() * 2)
    chain.heal()
    try:
        chain.settle(60)
    except Exception:
        print(f"    after: {name} at {victim}", flush=True)
        raise


def swizzle(chain):
    """A random subset of lines stops one after the other, and starts again in another order."""
    some = [store for store in chain.stores if chain.random.random() < 0.7] or chain.stores[:1]
    for store in some:
        chain.edit(1)
        chain.begin_waybill("publish").wait(60)
        chain.set(store, drops_up=True, drops_down=True)
        time.sleep(chain.random.random())
    chain.random.shuffle(some)
    for store in some:
        chain.set(store, drops_up=False, drops_down=False)
        time.sleep(chain.random.random())
    expect(chain.processes[HUB].poll() is None, "the hub has ended by itself")
