"""Processes that die, and processes that stand still."""
import signal
import subprocess
import time

from .chain import HUB, Chain, eventually, expect


def kill_loop(options):
    """kill -9 of the hub and of agents at random moments while it publishes, edits and cancels."""
    with Chain(options) as chain:
        random = chain.random
        for _ in range(options.cycles):
            chain.edit(random.randint(1, 4))
            publish = chain.begin_waybill("publish")
            time.sleep(random.random() * 0.35)
            victims = {random.choice([HUB, HUB, *chain.stores])}
            if random.random() < 0.3:
                victims.add(random.choice(chain.stores))
            for victim in sorted(victims):
                chain.kill(victim)
            for victim in sorted(victims):
                chain.start(victim)
            try:
                publish.wait(30)
            except subprocess.TimeoutExpired:
                publish.kill()
                publish.wait(10)
            if random.random() < 0.2:
                newest = chain.sessions()[:4]
                if newest:
                    # Too late for some (3), or not any more to be called off (1): each is an answer.
                    chain.waybill("session", "cancel", random.choice(newest)["id"], statuses=(0, 1, 3))
        rows = chain.verify()
        killed = sum(chain.kills.values())
        return (f"{options.cycles} cycles, {killed} kills ({chain.kills.get(HUB, 0)} of the hub): "
                f"all {len(chain.stores)} stores equal a full load ({rows} rows), no session applied twice")


def pause(options):
    """SIGSTOP of the hub, of an agent, and of both, for --seconds each; then SIGCONT."""
    with Chain(options) as chain:
        victim = chain.stores[0]
        for names in ([victim], [HUB], [HUB, victim]):
            chain.settle()
            chain.raise_prices()
            # Caught in the middle of it.
            publish = chain.begin_waybill("publish")
            time.sleep(chain.random.random() * 0.2)
            for name in names:
                chain.processes[name].send_signal(signal.SIGSTOP)
            if HUB not in names:
                def looks_offline():
                    store, = [s for s in chain.json("store", "list") if s["store"] == victim]
                    return not store["online"]
                eventually(f"the hub notices that {victim} is silent", 15, looks_offline)
            time.sleep(options.seconds)
            for name in names:
                chain.processes[name].send_signal(signal.SIGCONT)
            try:
                expect(publish.wait(60) in (0, 1, 3), "publish ended in another way than it documents")
            except subprocess.TimeoutExpired:
                publish.kill()
                publish.wait(10)
            chain.settle()
        rows = chain.verify()
        return f"agent, hub and both stopped for {options.seconds} s each: all stores equal a full load ({rows} rows)"
