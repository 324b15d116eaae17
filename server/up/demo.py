"""The demo of `spectap up`: two services, a specification for one of them, and a client."""

from __future__ import annotations

import signal
from pathlib import Path

import server.demo
from server.up.children import Child, ChildProcesses, Line
from server.up.live import HttpProbe
from server.up.options import UpError
from server.up.programs import Installation

SPEC = Path(server.demo.__file__).with_name("orders.yaml")
READY = "ready "


class Demo:
    """The sample processes. Each of `services` prints a line with its port, which `read_port` reads."""

    def __init__(self, processes: ChildProcesses, programs: Installation, folder: Path) -> None:
        self._processes, self._programs = processes, programs
        self._certificate = folder / "demo.pem"
        self._ports: dict[str, int] = {}
        self.children: list[Child] = []

    def start_services(self) -> None:
        payments = [*self._programs.payments, str(self._certificate)]
        self.children.append(self._processes.start("orders", self._programs.orders, signal.SIGKILL))
        self.children.append(self._processes.start("payments", payments, signal.SIGKILL))

    def read_port(self, line: Line) -> bool:
        """Reads a line of a sample process; True if it was one with a port."""
        if line.child not in self.children or not line.text.startswith(READY):
            return False
        self._ports[line.child.name] = int(line.text.removeprefix(READY))
        return True

    @property
    def ready(self) -> bool:
        return len(self._ports) == 2

    @property
    def ports(self) -> tuple[int, ...]:
        return tuple(self._ports.values())

    @property
    def orders_host(self) -> str:
        return f"127.0.0.1:{self._ports['orders']}"

    def upload(self, door: HttpProbe) -> None:
        """Uploads the specification of `orders` to the server. Raises UpError."""
        trouble = door.upload("/api/v1/specs", SPEC, {"host": self.orders_host})
        if trouble is not None:
            raise UpError(f"the server rejected the demo's specification: {trouble}")

    def start_shop(self) -> None:
        ports = [str(self._ports["orders"]), str(self._ports["payments"])]
        command = [*self._programs.shop, *ports, str(self._certificate)]
        self.children.append(self._processes.start("shop", command, signal.SIGKILL))
