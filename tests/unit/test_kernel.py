"""What /proc says of system calls; the lines are the kernel's own."""

from __future__ import annotations

import os
import platform
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakscope.sources import kernel
from leakscope.sources.kernel import Call, parse_call

STACK = b"0x7ffd3f5c2d10 0x7f2e4b0a1b3d"
FUTEX = 0x7F2E3C000B60


def parsed(line: bytes) -> Call | None:
    """What a line of /proc/PID/task/TID/syscall means."""
    return parse_call(line.split())


@pytest.mark.parametrize(
    ("line", "call"),
    [
        pytest.param(
            b"202 0x7f2e3c000b60 0x189 0x0 0x0 0x0 0xffffffff 0x7ffd 0x7f",
            Call(202, deadline=False, futex=FUTEX),
            id="futex for ever",
        ),
        pytest.param(
            b"202 0x7f2e3c000b60 0x189 0x0 0x7f2e39ffac10 0x0 0xffffffff 0x7ffd 0x7f",
            Call(202, deadline=True, futex=FUTEX),
            id="futex with a deadline",
        ),
        pytest.param(
            b"7 0x7f2e34001a30 0x1 0xffffffffffffffff 0x0 0x0 0x0 " + STACK,
            Call(7, deadline=False),
            id="poll for ever, -1 of 64 bits",
        ),
        pytest.param(
            b"7 0x7f2e34001a30 0x1 0xffffffff 0x0 0x0 0x0 " + STACK,
            Call(7, deadline=False),
            id="poll for ever, -1 of 32 bits",
        ),
        pytest.param(
            b"7 0x7f2e34001a30 0x1 0x1f4 0x0 0x0 0x0 " + STACK,
            Call(7, deadline=True),
            id="poll for 500 ms",
        ),
        pytest.param(
            b"232 0x4 0x7f2e34001a30 0x3 0x3e8 0x0 0x0 " + STACK,
            Call(232, deadline=True),
            id="epoll_wait for a second",
        ),
        pytest.param(
            b"232 0x4 0x7f2e34001a30 0x3 0xffffffff 0x0 0x0 " + STACK,
            Call(232, deadline=False),
            id="epoll_wait for ever",
        ),
        pytest.param(
            b"281 0x4 0x7f2e34001a30 0x3 0xffffffffffffffff 0x0 0x8 " + STACK,
            Call(281, deadline=False),
            id="epoll_pwait for ever",
        ),
        pytest.param(
            b"23 0x5 0x7f2e 0x0 0x0 0x0 0x0 " + STACK, Call(23, deadline=False), id="select"
        ),
        pytest.param(
            b"23 0x0 0x0 0x0 0x0 0x7ffd3f5c 0x0 " + STACK,
            Call(35, deadline=True),
            id="select of nothing, a sleep until 3.10",
        ),
        pytest.param(
            b"270 0x5 0x7f2e 0x0 0x0 0x7ffd3f5c 0x0 " + STACK,
            Call(270, deadline=True),
            id="pselect6",
        ),
        pytest.param(
            b"271 0x7ffd 0x1 0x0 0x0 0x8 0x0 " + STACK, Call(271, deadline=False), id="ppoll"
        ),
        pytest.param(
            b"35 0x7ffd 0x7ffd 0x0 0x0 0x0 0x0 " + STACK, Call(35, deadline=True), id="nanosleep"
        ),
        pytest.param(
            b"230 0x1 0x1 0x7ffd 0x0 0x0 0x0 " + STACK,
            Call(230, deadline=True),
            id="clock_nanosleep",
        ),
        pytest.param(
            b"61 0x1a2b 0x7ffd 0x0 0x0 0x0 0x0 " + STACK,
            Call(61, deadline=False, child=0x1A2B),
            id="wait4 for a child",
        ),
        pytest.param(
            b"61 0xffffffffffffffff 0x7ffd 0x0 0x0 0x0 0x0 " + STACK,
            Call(61, deadline=False),
            id="wait4 for any child",
        ),
        pytest.param(
            b"61 0xffffffff 0x7ffd 0x0 0x0 0x0 0x0 " + STACK,
            Call(61, deadline=False),
            id="wait4 for any child, 32 bits",
        ),
        pytest.param(
            b"61 0xffffffffffffff9c 0x7ffd 0x0 0x0 0x0 0x0 " + STACK,
            Call(61, deadline=False),
            id="wait4 for a process group",
        ),
        pytest.param(
            b"61 0x0 0x7ffd 0x0 0x0 0x0 0x0 " + STACK,
            Call(61, deadline=False),
            id="wait4 for its own group",
        ),
        pytest.param(
            b"247 0x1 0x1a2b 0x7ffd 0x4 0x0 0x0 " + STACK,
            Call(247, deadline=False, child=0x1A2B),
            id="waitid for a child",
        ),
        pytest.param(
            b"247 0x0 0x0 0x7ffd 0x4 0x0 0x0 " + STACK,
            Call(247, deadline=False),
            id="waitid for any child",
        ),
        pytest.param(b"0 0x5 0x7f2e 0x200 0x0 0x0 0x0 " + STACK, Call(0, descriptor=5), id="read"),
        pytest.param(
            b"45 0x9 0x7f2e 0x400 0x0 0x0 0x0 " + STACK, Call(45, descriptor=9), id="recvfrom"
        ),
        pytest.param(b"47 0x9 0x7f2e 0x0 0x0 0x0 0x0 " + STACK, Call(47, descriptor=9), id="recv"),
        pytest.param(b"43 0x4 0x7ffd 0x7ffd 0x0 0x0 0x0 " + STACK, Call(43), id="accept"),
        pytest.param(b"-1 0x7ffd3f5c2d10 0x7f2e4b0a1b3d", None, id="in no call"),
    ],
)
def test_calls(line, call):
    assert parsed(line) == call


@pytest.mark.parametrize("line", [b"running", b"running\n", b"what is this"])
def test_a_thread_that_runs_is_in_no_call(line):
    with pytest.raises(ValueError, match="invalid literal"):
        parsed(line)


def test_an_empty_line_is_no_call():
    with pytest.raises(IndexError):
        parsed(b"")


@given(st.integers(-1, 500), st.lists(st.integers(0, 2**64 - 1), min_size=6, max_size=8))
def test_any_call_is_read(number, arguments):
    call = parsed(" ".join([str(number), *map(hex, arguments)]).encode())
    assert (call is None) is (number < 0)
    if call and call.child is not None:
        assert call.child > 0


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@on_linux
def test_a_thread_of_this_process():
    """Started here, parked at an event: the kernel sees it begin, and wait for ever."""
    parked = threading.Event()
    ended = threading.Event()

    def wait() -> None:
        parked.set()
        ended.wait()

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        parked.wait()
        tasks = kernel.Tasks(os.getpid())
        assert thread.native_id is not None
        for _ in range(1000):
            seen = tasks.details([thread.native_id])[thread.native_id]
            if seen.state == "S" and seen.wchan:
                break
        counters = tasks.counters()
        assert counters is not None
        mine = counters[thread.native_id]
        assert mine.start_ticks == seen.start_ticks >= counters[os.getpid()].start_ticks
        again = tasks.counters()
        assert again is not None
        assert again[thread.native_id] == mine
        if platform.machine() == "x86_64" and seen.call:
            assert seen.call.number == 202
            assert seen.call.deadline is False
        assert any(start <= (seen.stack_pointer or 0) < end for start, end in tasks.stacks())
    finally:
        ended.set()
        thread.join()


@on_linux
def test_a_process_that_is_gone():
    tasks = kernel.Tasks(2**22 + 1)
    assert tasks.counters() is None
    assert tasks.details([2**22 + 1]) == {}
    assert tasks.stacks() == []
    assert kernel.process_state(2**22 + 1) is None
    assert not kernel.is_stopped(2**22 + 1)
    assert kernel.inner_tids(2**22 + 1) == {}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_readers_of_several_processes_share_the_descriptors(monkeypatch):
    lowest_free = os.dup(0)
    os.close(lowest_free)
    most = lowest_free + 3 + kernel.Tasks._SPARE_DESCRIPTORS
    monkeypatch.setattr(kernel, "_descriptors_allowed", lambda: most)
    go = threading.Event()
    others = [threading.Thread(target=go.wait) for _ in range(6)]
    for thread in others:
        thread.start()
    readers = [kernel.Tasks(os.getpid()) for _ in range(2)]
    before = len(os.listdir("/proc/self/fd"))
    try:
        for reader in readers:
            counters = reader.counters()
            assert counters is not None
            assert {thread.native_id for thread in others} <= counters.keys()
        assert len(os.listdir("/proc/self/fd")) - before <= 3
    finally:
        go.set()
        for reader in readers:
            reader.close()
        for thread in others:
            thread.join()
