"""A process that was stopped as a whole and let go again: its threads ran, and none did anything.

`py-spy dump` does that unless it is asked not to, and so do other debuggers. To the kernel each of
the threads has run since. Taken for use, that would hide every leak of a process that somebody else
looks at, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from leakscope.model import Ran, ThreadKey

# Of fewer threads nine in ten that ran equally often are all of them, which chance makes.
MIN_RESTED = 8
# Threads of one stack are woken together by whatever serves them: a message to all clients, the end
# of a lock. Nothing but a stop wakes those of three as well as all others in one interval.
MIN_PLACES = 3
# To be stopped a thread is put on a CPU, and to go on once more. 94 to 100 of 100 waiting threads
# ran exactly twice when py-spy or SIGSTOP stopped them (Python 3.8, 3.11, 3.13; the others were
# interrupted meanwhile). Of 50 threads that one call woke, at most 86 of 100 ran equally often:
# each then waits for the interpreter's lock, and for how often it is chance.
RUNS_OF_A_STOP = 2
MIN_SHARE_ALIKE = 0.9


class Woken(NamedTuple):
    """A thread that has run since the last look."""

    ran: Ran
    place: str  # the group that it is in
    rested: bool  # it had not run between the two looks before


def merely_stopped(
    woken: Iterable[Woken], others: int, *, was_held: bool, is_held: bool
) -> frozenset[ThreadKey]:
    """The threads that ran because they were stopped, and for no other reason.

    `others` were there all the time as well, and have not run. The process was held at the look
    before, or is at this one: then a stop, or a half of it, lies in between, and it takes neither
    many threads nor all to tell. Of threads that work or poll nothing is said: what they did comes
    on top.
    """
    if was_held or is_held:
        # Each half is a run. Which of them lies on which side of a look is not told to the moment.
        return frozenset(
            one.ran.key for one in woken if one.rested and one.ran.runs <= RUNS_OF_A_STOP
        )
    if others:
        return frozenset()
    rested = [one for one in woken if one.rested]
    if len(rested) < MIN_RESTED or len({one.place for one in rested}) < MIN_PLACES:
        return frozenset()
    runs, alike = Counter(one.ran.runs for one in rested).most_common(1)[0]
    if runs % RUNS_OF_A_STOP or alike < MIN_SHARE_ALIKE * len(rested):
        return frozenset()
    return frozenset(one.ran.key for one in rested if one.ran.runs == runs)
