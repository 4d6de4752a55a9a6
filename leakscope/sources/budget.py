"""What a watch may take of the CPU, and what it has taken so far."""

from __future__ import annotations

import itertools
import time


class Budget:
    """The CPU time of this process and of its dumps, shared by all that it watches."""

    def __init__(self, max_share: float) -> None:
        """`max_share` is the part of one core that all together may take in the long run."""
        self.max_share = max_share
        self._dumps_s = 0.0
        self._excused_s = 0.0
        self._claims: dict[object, float] = {}
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

    def excuse(self, cpu_s: float) -> None:
        """Say how much of this process's time so far went into showing, and not into watching.

        Else a person who looks on would see older stacks than one who does not.
        """
        self._excused_s = cpu_s

    def spent_s(self) -> float:
        """CPU time since `begin`, without what is excused."""
        own_s = 0.0 if self._own_from_s is None else time.process_time() - self._own_from_s
        return max(own_s - self._excused_s, 0.0) + self._dumps_s

    def claim(self, who: object, cpu_s: float) -> None:
        """Note that a process wants a dump that would take so much, and cannot have it now.

        Who came first is served first: else the cheap dumps of one process, which always fit in,
        would take what the dear dump of another one is waiting for, for ever.
        """
        self._claims.setdefault(who, cpu_s)

    def drop_claim(self, who: object) -> None:
        """Note that a process has its dump, or wants it no more."""
        self._claims.pop(who, None)

    def claimed_before_s(self, who: object) -> float:
        """What is to be left for the dumps of others that have waited for longer."""
        claims = list(self._claims.items())  # looks at other processes go on meanwhile
        earlier = itertools.takewhile(lambda claim: claim[0] is not who, claims)
        return sum(cpu_s for _, cpu_s in earlier)
