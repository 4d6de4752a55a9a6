"""What a watch may take of the CPU, and what it has taken so far."""

from __future__ import annotations

import time


class Budget:
    """The CPU time of this process and of its dumps, shared by all that it watches."""

    def __init__(self, max_share: float) -> None:
        """`max_share` is the part of one core that all together may take in the long run."""
        self.max_share = max_share
        self._dumps_s = 0.0
        self._own_from_s: float | None = None

    def begin(self) -> None:
        """From now on it counts; what it took to start is owed to the user."""
        if self._own_from_s is None:
            self._own_from_s = time.process_time()

    def charge(self, cpu_s: float) -> None:
        """Add what a dump has taken."""
        self._dumps_s += cpu_s

    def spent_s(self) -> float:
        """CPU time since `begin`."""
        own_s = 0.0 if self._own_from_s is None else time.process_time() - self._own_from_s
        return own_s + self._dumps_s
