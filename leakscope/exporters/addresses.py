"""Where a server listens, as a person writes it."""

from __future__ import annotations

from ipaddress import ip_address
from typing import NamedTuple

from leakscope.errors import UsageProblem

# Figures of a process are nobody else's business until someone says so.
LOOPBACK = "127.0.0.1"
_LAST_PORT = 2**16 - 1


class Address(NamedTuple):
    """A host, as a name or a number, and a TCP port; port 0 is any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it, as far as the number tells; names do not."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def address_of(text: str) -> Address:
    """The address that `9400`, `:9400`, `HOST:9400` or `[::1]:9400` names.

    Raises UsageProblem.
    """
    host, colon, port = text.strip().rpartition(":")
    in_brackets = host.startswith("[") and host.endswith("]")
    if in_brackets:
        host = host[1:-1]
    has_others = any(mark in host for mark in "[]") or (":" in host) != in_brackets
    is_port = port.isascii() and port.isdigit() and len(port) <= len(str(_LAST_PORT))
    if not is_port or int(port) > _LAST_PORT or has_others:
        raise UsageProblem(
            f"cannot listen on {text!r}: not an address such as 9400, 127.0.0.1:9400 or [::1]:9400"
        )
    return Address(host if colon and host else LOOPBACK, int(port))
