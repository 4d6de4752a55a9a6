"""What a blocking dump costs the target. Pure."""

from __future__ import annotations

# Measured with py-spy 0.4.3: a thread that computes stood still for 0.2 ms for each thread of the
# process on 3.11, and for 0.33 ms on 3.8, where py-spy unwinds native stacks too.
_PER_THREAD_S = 0.0002
_PER_THREAD_UNTIL_3_10_S = 0.00033
# Even with a few threads it stops and starts the process: 4 ms more than with none, with ten.
_AT_LEAST_S = 0.004


def pause_per_thread_s(python: str | None) -> float:
    """What each thread of a process of this version adds to it; newer ones where it is unknown."""
    parts = (python or "").split(".")[:2]
    old = len(parts) == 2 and all(map(str.isdigit, parts)) and tuple(map(int, parts)) < (3, 11)
    return _PER_THREAD_UNTIL_3_10_S if old else _PER_THREAD_S


def pause_s(threads: int, python: str | None) -> float:
    """For how long one blocking dump stops a process with this many threads, about."""
    return max(threads * pause_per_thread_s(python), _AT_LEAST_S)
