"""The lag: how far the agent is behind the kernel, and the server behind the agent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lag:
    """`capture_s`: how long ago the oldest event occurred that is not read yet, in seconds. `delivery_s`: how
    long the oldest record has waited for the server's acknowledgement; 0 if none waits.
    """

    capture_s: float
    delivery_s: float

    @property
    def total_s(self) -> float:
        """From the kernel to the server's commit."""
        return self.capture_s + self.delivery_s
