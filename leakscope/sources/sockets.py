"""Who is at the other end of the sockets that threads wait at: /proc/PID/net and /proc/PID/fd."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

_LISTEN = 0x0A
# Sockets that are remembered: as many as threads that py-spy can read.
_MAX_ASKED = 4096


class Connection(NamedTuple):
    """The other end of a TCP connection."""

    peer: str  # address:port
    accepted: bool  # the peer connected to a port that this process' network listens on


class Sockets:
    """The sockets of a process; what was looked up is kept for as long as its inode stands."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._table: dict[int, Connection] = {}  # as of the last reading
        self._asked: dict[int, Connection | None] = {}
        self._is_fresh = False

    def new_look(self) -> None:
        """From here on the tables may have changed; they are read again when need be, but once."""
        self._is_fresh = False

    def connection(self, descriptor: int) -> Connection | None:
        """What a descriptor is connected to; None when it is no TCP socket, or cannot be read."""
        try:
            link = os.readlink(f"/proc/{self._pid}/fd/{descriptor}")
        except OSError:
            return None
        found = re.fullmatch(r"socket:\[(\d+)\]", link)
        if not found:
            return None
        inode = int(found[1])
        # An inode is not given away while its socket lives, so a table that grew old only misses.
        if inode not in self._asked and not self._is_fresh:
            self._table = connections(self._pid)
            self._is_fresh = True
        if len(self._asked) >= _MAX_ASKED:
            self._asked.clear()
        return self._asked.setdefault(inode, self._table.get(inode))


def connections(pid: int) -> dict[int, Connection]:
    """The TCP connections in the network namespace of a process, by the inode of their socket."""
    rows: list[tuple[str, str, int, int]] = []
    for name in ("tcp", "tcp6"):
        try:
            with open(f"/proc/{pid}/net/{name}", encoding="ascii") as file:
                lines = file.read().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            rows.append((fields[1], fields[2], int(fields[3], 16), int(fields[9])))
    listening = {local.rpartition(":")[2] for local, _, state, _ in rows if state == _LISTEN}
    return {
        inode: Connection(address(remote), local.rpartition(":")[2] in listening)
        for local, remote, state, inode in rows
        if state != _LISTEN and inode
    }


def address(text: str) -> str:
    """`0100007F:1F90` as `127.0.0.1:8080`: the kernel writes words of 32 bits in its own order."""
    import socket
    import struct

    digits, _, port = text.rpartition(":")
    words = [int(digits[i : i + 8], 16) for i in range(0, len(digits), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    if len(packed) == 4:
        return f"{socket.inet_ntop(socket.AF_INET, packed)}:{int(port, 16)}"
    if packed[:12] == bytes(10) + b"\xff\xff":
        return f"{socket.inet_ntop(socket.AF_INET, packed[12:])}:{int(port, 16)}"
    return f"[{socket.inet_ntop(socket.AF_INET6, packed)}]:{int(port, 16)}"
