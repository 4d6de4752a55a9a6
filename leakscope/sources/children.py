"""Runs a program for its answer, which may be late or endless: neither is waited for."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Mapping, Sequence

# py-spy says 300 bytes a frame: of 1000 threads, each 900 calls deep.
MAX_ANSWER = 256 * 1024 * 1024
_MAX_COMPLAINT = 1024 * 1024
_PIECE = 1024 * 1024  # what one read takes of a pipe, which holds 64 KiB unless it is told to


class TooMuch(ValueError):
    """The program said more than anyone could mean."""


def run(
    command: Sequence[str], environment: Mapping[str, str], timeout_s: float
) -> tuple[int, bytes, bytes]:
    """The status of a program, what it wrote to standard output, and what to standard error.

    It is killed when it takes too long or says too much. Raises TimeoutError, TooMuch, and OSError
    when it cannot be started.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        bufsize=0,
        # Ctrl-C goes to the whole foreground group; a dump in flight is to be finished.
        process_group=0,
    ) as process:
        try:
            ends_s = time.monotonic() + timeout_s
            answer, complaint = _all_said(process, ends_s)
            status = process.wait(max(ends_s - time.monotonic(), 0.0))
        except subprocess.TimeoutExpired:
            process.kill()
            raise TimeoutError from None
        except BaseException:
            process.kill()
            raise
    return status, answer, complaint


def _all_said(process: subprocess.Popen[bytes], ends_s: float) -> tuple[bytes, bytes]:
    said = {process.stdout: bytearray(), process.stderr: bytearray()}
    most = {process.stdout: MAX_ANSWER, process.stderr: _MAX_COMPLAINT}
    with selectors.DefaultSelector() as selector:
        for stream in said:
            assert stream is not None
            selector.register(stream, selectors.EVENT_READ, stream)
        while selector.get_map():
            ready = selector.select(max(ends_s - time.monotonic(), 0.0))
            if not ready or time.monotonic() > ends_s:
                raise TimeoutError
            for key, _ in ready:
                piece = os.read(key.fd, _PIECE)
                if not piece:
                    selector.unregister(key.fileobj)
                said[key.data] += piece
                if len(said[key.data]) > most[key.data]:
                    raise TooMuch(f"more than {most[key.data] >> 20} MiB")
    return bytes(said[process.stdout]), bytes(said[process.stderr])
