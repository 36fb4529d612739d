"""What deploy/faults runs: a real chain of a hub and some stores, things that go wrong, and what must be true after."""
from .killing import kill_loop, pause
from .network import proxy

SCENARIOS = {
    "kill-loop": kill_loop,
    "pause": pause,
    "proxy": proxy,
}
