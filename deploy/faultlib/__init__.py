"""What deploy/faults runs: a real chain of a hub and some stores, things that go wrong, and what must be true after."""
from .damage import damage
from .disks import disk_full, power_cuts
from .errors import io_errors
from .killing import kill_loop, pause
from .network import proxy
from .waiting import locked

SCENARIOS = {
    "kill-loop": kill_loop,
    "proxy": proxy,
    "pause": pause,
    "locked": locked,
    "disk-full": disk_full,
    "power-cuts": power_cuts,
    "damage": damage,
    "io-errors": io_errors,
}
