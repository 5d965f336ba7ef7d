"""Phones that send media by hand, and a forwarder between them."""

import contextlib
import select
import socket
import time
from collections.abc import Callable, Iterator

from relay import forward_python
from relay.flows import Options
from relay.sockets import open_socket

FORMS = [forward_python.Forwarder]
with contextlib.suppress(ImportError):
    from relay import _forward

    FORMS.append(_forward.Forwarder)
DEADLINE = 5.0


def until(condition: Callable[[], bool], deadline: float = DEADLINE) -> bool:
    """Whether a condition came true in time."""
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


class Phone:
    """A socket that sends and receives media."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.socket = open_socket(host, 0)
        self.host, self.port = self.socket.getsockname()[:2]

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        self.socket.sendto(data, to)

    def read(self, deadline: float = DEADLINE) -> bytes | None:
        """The next datagram; None if none came in time."""
        if not select.select([self.socket], [], [], deadline)[0]:
            return None
        data, self.came_from = self.socket.recvfrom(65535)
        return data

    def drain(self) -> list[bytes]:
        """What waits now."""
        found = []
        while select.select([self.socket], [], [], 0)[0]:
            found.append(self.socket.recv(65535))
        return found

    def close(self) -> None:
        self.socket.close()


class Side:
    """One socket of the relay with its flow."""

    def __init__(self, forwarder, host: str, options: Options) -> None:
        self.socket = open_socket(host, 0)
        self.address = self.socket.getsockname()[:2]
        self.flow = forwarder.add(self.socket.fileno(), options)


@contextlib.contextmanager
def phones(*hosts: str) -> Iterator[list[Phone]]:
    opened = [Phone(host) for host in hosts]
    try:
        yield opened
    finally:
        for phone in opened:
            phone.close()


@contextlib.contextmanager
def sides(forwarder, hosts: list[str], options: Options) -> Iterator[list[Side]]:
    opened = [Side(forwarder, host, options) for host in hosts]
    try:
        yield opened
    finally:
        for side in opened:
            with contextlib.suppress(KeyError):
                forwarder.remove(side.flow)
            side.socket.close()


__all__ = ["FORMS", "Phone", "Side", "phones", "sides", "socket", "until"]
