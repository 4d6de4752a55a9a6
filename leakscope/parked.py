"""What the kernel says of how threads wait: for ever or not, for which lock, peer or child.

Never more than it can tell. Condition, Event, Queue and Future waits use a lock of each waiter's
own, so their addresses say nothing; nor does any from Python 3.14 on, where each waiter at a Lock
has an address of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from leakscope.facts import Stay

# From this version on threads at one Lock no longer share a futex.
_OWN_FUTEX_EACH = (3, 14)


def waiting_evidence(stays: Iterable[Stay], python: str | None) -> tuple[str, ...]:
    """Whole sentences on what these threads wait for; none where nothing is known."""
    stays = list(stays)
    return tuple(
        sentence for about in (_deadlines, _peers, _children) for sentence in about(stays)
    ) + tuple(_locks(stays, python))


def _deadlines(stays: Sequence[Stay]) -> Iterator[str]:
    known = [stay.parking.deadline for stay in stays if stay.parking.deadline is not None]
    if not known:
        return
    forever = known.count(False)
    if forever == len(known):
        yield "They wait without a deadline: by themselves they will never wake up."
    elif forever == 0:
        yield "They wait with a deadline: each will wake up by itself."
    else:
        yield f"{forever} of {len(known)} wait without a deadline, the others with one."


def _peers(stays: Sequence[Stay]) -> Iterator[str]:
    peers = Counter(stay.parking.peer for stay in stays if stay.parking.peer)
    if not peers:
        return
    (first, times), *others = sorted(peers.items(), key=lambda item: (-item[1], item[0]))
    more = f", {sum(n for _, n in others)} for {len(others)} other peers" if others else ""
    clients = sum(bool(stay.parking.accepted) for stay in stays)
    who = " Their peers are clients of this process." if clients > len(stays) / 2 else ""
    yield f"{times} wait for what {first} sends{more}.{who}"


def _children(stays: Sequence[Stay]) -> Iterator[str]:
    children = sorted({stay.parking.child for stay in stays if stay.parking.child})
    if children:
        named = ", ".join(map(str, children[:3]))
        more = f" and {len(children) - 3} more" if len(children) > 3 else ""
        yield f"They wait for child processes to end: {named}{more}."


def _locks(stays: Sequence[Stay], python: str | None) -> Iterator[str]:
    at_locks = [stay for stay in stays if stay.wait == "lock"]
    if len(at_locks) < 2 or len(at_locks) <= len(stays) / 2:
        return
    version = tuple(int(part) for part in (python or "").split(".")[:2] if part.isdigit())
    if version >= _OWN_FUTEX_EACH:
        yield "Whether they wait for one lock or for many, Python 3.14 and newer do not show."
        return
    locks = {stay.parking.futex for stay in at_locks}
    if len(locks) == 1 and None not in locks and version:
        yield (
            "All wait at one and the same place in memory: one lock, whose holder keeps it or has "
            "ended with it, or one SimpleQueue that nobody fills."
        )
