"""The hub's HTTP socket, asked without starting a program each time."""
import http.client
import json
import socket
import time
from typing import Any

from faultlib.chain import Violation

# Between two looks: short against what is measured, and rare enough to leave the hub alone, which a look costs about
# half a millisecond of its processor. A hundredth of what has passed already, but at least so much.
LOOK_SECONDS, LOOK_PART = 0.003, 0.01


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str):
        super().__init__("hub", timeout=120)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Admin:
    def __init__(self, home: str):
        self.connection = UnixConnection(f"{home}/admin.sock")

    def close(self) -> None:
        self.connection.close()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        text = None if body is None else json.dumps(body)
        head = {} if text is None else {"Content-Type": "application/json"}
        self.connection.request(method, path, body=text, headers=head)
        response = self.connection.getresponse()
        answer = json.loads(response.read())
        if response.status >= 400:
            raise Violation(f"{method} {path}: {answer.get('message', answer)}")
        return answer

    def get(self, path: str) -> Any:
        return self.ask("GET", path)

    def connect_anew(self) -> None:
        """The hub ends connections that were silent for long; what is measured shall not find out by failing."""
        self.connection.close()
        self.connection.connect()

    def publish(self, jobs: list[str], full: bool = False) -> list[str]:
        """Gives back the sessions' ids; they are being made."""
        answer = self.ask("POST", "/v1/publish", {"jobs": jobs, "full": full})
        return [session["id"] for session in answer["sessions"]]

    def wait(self, session: str, statuses: tuple[str, ...], seconds: float) -> dict:
        """Looks at a session until it has one of the statuses; its stages on the way are in `seen`."""
        seen: dict[str, float] = {}
        begun = time.monotonic()
        deadline = begun + seconds
        while True:
            summary = self.get(f"/v1/sessions/{session}/summary")
            seen.setdefault(summary["status"], time.monotonic())
            for status in summary["deliveries"]:
                seen.setdefault(status, time.monotonic())
            if summary["status"] in statuses:
                return {**summary, "seen": seen}
            if summary["status"] in ("CreateFailed", "AwaitingApproval", "Canceled") or time.monotonic() > deadline:
                raise Violation(f"session {session} is {summary['status']}: {summary['message']}, "
                                f"{summary['deliveries']}, after {seconds:.0f} s at most")
            time.sleep(max(LOOK_SECONDS, (time.monotonic() - begun) * LOOK_PART))

    def wait_applied(self, session: str, seconds: float = 1800) -> dict:
        """Until every delivery is applied, and the hub has folded that."""
        return self.wait(session, ("Applied",), seconds)

    def delivery(self, session: str) -> dict:
        """The one delivery of a session to one store."""
        return self.get(f"/v1/sessions/{session}")["deliveries"][0]
