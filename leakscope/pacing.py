"""When to dump: rarely, and soon enough. Pure; all times in seconds on the scale of the watch.

Looking at the kernel's counters costs next to nothing and is done at each tick. A dump costs a
quarter of a millisecond a thread, and is made when there is something that it alone can tell.
"""

from __future__ import annotations

from typing import NamedTuple

# What is spent on dumps when there is something to learn but no hurry: a hundredth of a core. At
# 1000 threads, where a dump takes 0.3 s of CPU, that is one each half minute.
UNHURRIED_SHARE = 0.01
# So many new threads without a stack are as many as a verdict can hang on (see Policy.min_held).
MANY_UNREAD = 6
# A verdict that hangs on them is to be no later than this.
HURRIED_EACH_S = 4.0
# Even when nothing seems to have moved, all is looked at again this often, as a check: the kernel
# says that a thread has not run, not that the last dump read it right.
CHECK_EACH_S = 300.0
# The budget is for the long run: what a minute allows may be spent at once, so that the first half
# minute, on which the first verdict hangs, is not the blindest.
CREDIT_S = 60.0


class News(NamedTuple):
    """What the kernel's counters say that a dump would tell more of."""

    unread: int  # threads whose stack was never read, and that stand still by now
    moved: int  # threads that ran since their stack was read
    ended: int  # threads that ended since the last dump


# The first dump is owed to the user at once, and fails now and then; after so many failures in a
# row it is no accident, and to go on at each tick would cost more than any other watch.
FIRST_TRIES = 5


class Pace:
    """Decides at each tick whether to dump, from what dumps cost and what there is to learn."""

    def __init__(self, max_share: float | None) -> None:
        """`max_share` is the part of one core that all may take; None dumps at every tick."""
        self._max_share = max_share
        self._began_s: float | None = None  # the end of the first dump
        self._last_s = 0.0
        self._dump_cpu_s: float | None = None  # what a dump takes, by the latest ones
        self._first_failures = 0
        self._hopeless = False

    @property
    def every_tick(self) -> bool:
        """Whether each tick is to dump."""
        return self._max_share is None

    def is_due(self, now_s: float, news: News, spent_s: float) -> bool:
        """Whether to dump now. `spent_s` is all CPU time since the first dump."""
        if self._max_share is None or self._began_s is None:
            return True
        since_s = now_s - self._last_s
        allowed_s = self._max_share * (now_s - self._began_s + CREDIT_S)
        # Where looking at the counters alone takes what is allowed (from 4000 threads on or so), a
        # watch that reads no stack again would be worth nothing: the check is made all the same.
        if since_s < CHECK_EACH_S and (self._hopeless or spent_s + self.dump_cpu_s > allowed_s):
            return False
        return self.is_wanted(now_s, news)

    @property
    def dump_cpu_s(self) -> float:
        """What a dump takes, by the latest ones."""
        return self._dump_cpu_s or 0.0

    def is_wanted(self, now_s: float, news: News) -> bool:
        """Whether a dump would be worth what it costs, if there were enough to pay for it."""
        if self._max_share is None or self._began_s is None:
            return True
        since_s = now_s - self._last_s
        if self._hopeless and since_s < CHECK_EACH_S:
            return False
        if news.unread >= MANY_UNREAD and since_s >= HURRIED_EACH_S:
            return True
        if news.unread or news.moved or news.ended:
            # News never makes it later than none would.
            return since_s >= min(self.dump_cpu_s / UNHURRIED_SHARE, CHECK_EACH_S)
        return since_s >= CHECK_EACH_S

    def dumped(self, now_s: float, cpu_s: float) -> None:
        """A dump has succeeded, and took this much CPU time."""
        self._note(now_s, cpu_s)
        self._hopeless = False
        if self._began_s is None:
            self._began_s = now_s

    def failed(self, now_s: float, cpu_s: float, *, lasting: bool) -> None:
        """A dump has failed; `lasting` says that the next one will too, for all that is known."""
        self._note(now_s, cpu_s)
        self._hopeless = lasting
        self._first_failures += 1
        if self._began_s is None and (lasting or self._first_failures >= FIRST_TRIES):
            self._began_s = now_s

    def _note(self, now_s: float, cpu_s: float) -> None:
        self._last_s = now_s
        # Half old, half new: follows a growing target within a few dumps, and one slow dump on a
        # busy machine does not blind the watch.
        self._dump_cpu_s = cpu_s if self._dump_cpu_s is None else (self._dump_cpu_s + cpu_s) / 2

    def age_s(self, now_s: float) -> float:
        """How long ago it began; 0 before that."""
        return 0.0 if self._began_s is None else now_s - self._began_s

    @property
    def has_begun(self) -> bool:
        """Whether what is spent counts by now: there was a first dump, or none is to be had."""
        return self._began_s is not None
