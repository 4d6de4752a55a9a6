"""Who is at the other end of a socket, by the kernel's own tables; real connections on loopback."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakscope.sources.sockets import Connection, Sockets, address

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
little_endian = pytest.mark.skipif(sys.byteorder != "little", reason="lines of a little-endian")


@little_endian
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0100007F:1F90", "127.0.0.1:8080"),
        ("00000000:0000", "0.0.0.0:0"),
        ("0501A8C0:D431", "192.168.1.5:54321"),
        ("00000000000000000000000001000000:0016", "[::1]:22"),
        ("B80D0120000000000000000001000000:01BB", "[2001:db8::1]:443"),
        ("0000000000000000FFFF00000100007F:1F90", "127.0.0.1:8080"),
        ("0000000000000000FFFF00000501A8C0:FFFF", "192.168.1.5:65535"),
        ("00000000000000000000000000000000:0000", "[::]:0"),
    ],
)
def test_addresses(text, said):
    assert address(text) == said


@given(st.binary(min_size=4, max_size=4), st.integers(0, 65535))
def test_any_address_of_v4(packed, port):
    text = f"{int.from_bytes(packed, sys.byteorder):08X}:{port:04X}"
    assert address(text) == f"{socket.inet_ntoa(packed)}:{port}"


@given(st.binary(min_size=16, max_size=16), st.integers(0, 65535))
def test_any_address_of_v6(packed, port):
    words = [packed[i : i + 4] for i in range(0, 16, 4)]
    digits = "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)
    if packed[:12] == bytes(10) + b"\xff\xff":
        expected = f"{socket.inet_ntoa(packed[12:])}:{port}"
    else:
        expected = f"[{socket.inet_ntop(socket.AF_INET6, packed)}]:{port}"
    assert address(f"{digits}:{port:04X}") == expected


@contextlib.contextmanager
def connected(host: str, family: int, *, to: str | None = None) -> Iterator[list[socket.socket]]:
    """The two ends of a connection: that which connected, and that which was accepted."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            listening.bind((host, 0))
        except OSError as error:
            pytest.skip(f"no {host} here: {error}")
        listening.listen()
        address = (to or host, listening.getsockname()[1])
        client = stack.enter_context(socket.create_connection(address))
        accepted = stack.enter_context(listening.accept()[0])
        yield [client, accepted]


def name_of(at: tuple[str, int]) -> str:
    """An address as it is shown."""
    host = at[0].removeprefix("::ffff:")
    return f"[{host}]:{at[1]}" if ":" in host else f"{host}:{at[1]}"


@on_linux
@pytest.mark.parametrize(
    ("host", "family", "to"),
    [
        pytest.param("127.0.0.1", socket.AF_INET, None, id="v4"),
        pytest.param("::1", socket.AF_INET6, None, id="v6"),
        pytest.param("::", socket.AF_INET6, "127.0.0.1", id="v4 through v6"),
    ],
)
def test_both_ends_of_a_connection(host, family, to):
    with connected(host, family, to=to) as (client, accepted):
        sockets = Sockets(os.getpid())
        at_client = sockets.connection(client.fileno())
        at_server = sockets.connection(accepted.fileno())
        assert at_client == Connection(name_of(client.getpeername()[:2]), accepted=False)
        assert at_server == Connection(name_of(accepted.getpeername()[:2]), accepted=True)


@on_linux
def test_a_connection_made_later_is_found_by_the_next_look():
    sockets = Sockets(os.getpid())
    with connected("127.0.0.1", socket.AF_INET) as (first, _):
        assert sockets.connection(first.fileno())
        with connected("127.0.0.1", socket.AF_INET) as (second, _):
            sockets.new_look()
            found = sockets.connection(second.fileno())
            assert found
            assert found.peer == name_of(second.getpeername())


@on_linux
def test_what_is_no_connection_has_no_peer():
    sockets = Sockets(os.getpid())
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        one, other = socket.socketpair()
        stack.enter_context(one)
        stack.enter_context(other)
        file = stack.enter_context(open(os.devnull))
        for number in (listening.fileno(), one.fileno(), file.fileno(), 10**6):
            assert sockets.connection(number) is None


@on_linux
def test_a_process_that_is_gone_has_no_connections():
    assert Sockets(2**22 + 1).connection(0) is None
