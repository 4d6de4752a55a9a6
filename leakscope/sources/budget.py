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
        self._began_s = 0.0

    def begin(self) -> None:
        """From now on it counts; what it took to start is owed to the user."""
        if self._own_from_s is None:
            self._own_from_s = time.process_time()
            self._began_s = time.monotonic()

    def earned_before_s(self, age_s: float) -> float:
        """What was allowed before the last `age_s` seconds, to all that were watched then."""
        if self._own_from_s is None:
            return 0.0
        return self.max_share * max(time.monotonic() - self._began_s - age_s, 0.0)

    def charge(self, cpu_s: float) -> None:
        """Add what a dump has taken."""
        self._dumps_s += cpu_s

    def spent_s(self) -> float:
        """CPU time since `begin`."""
        own_s = 0.0 if self._own_from_s is None else time.process_time() - self._own_from_s
        return own_s + self._dumps_s
