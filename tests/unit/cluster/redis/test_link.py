"""The connection itself, without a server: order, bounds, deadlines, nonsense."""

import asyncio
from typing import Any

import pytest

from cluster.errors import StoreUnavailable
from cluster.redis import link as module
from cluster.redis.link import Link


class Wire:
    """A transport that keeps what was written."""

    def __init__(self) -> None:
        self.written = b""
        self.writes = 0
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.written += data
        self.writes += 1

    def abort(self) -> None:
        self.aborted = True


class Rig:
    def __init__(self, timeout: float = 1.5, limit: int = 10) -> None:
        self.told: list[Any] = []
        self.reasons: list[str] = []
        self.wire = Wire()
        self.link = Link(timeout, limit, self.told.append, lambda _, reason: self.reasons.append(reason))
        self.link.connection_made(self.wire)  # type: ignore[arg-type]


async def test_replies_and_pushes_keep_the_order_of_the_stream() -> None:
    rig = Rig()
    rig.link.submit(("GET", "a"), rig.told.append)
    rig.link.submit(("GET", b"b", 3), rig.told.append)
    await asyncio.sleep(0)
    assert rig.wire.writes == 1
    assert rig.wire.written == b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*3\r\n$3\r\nGET\r\n$1\r\nb\r\n$1\r\n3\r\n"
    stream = b"$1\r\n1\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n:2\r\n"
    for index in range(len(stream)):  # in the smallest pieces there are
        rig.link.data_received(stream[index : index + 1])
    assert rig.told == [b"1", [b"invalidate", [b"a"]], 2]
    rig.link.give_up("done")


async def test_losing_it_tells_the_owner_first_and_everybody_once() -> None:
    rig = Rig()
    rig.link.submit(("A",), lambda reply: rig.told.append((reply.reason, list(rig.reasons))))
    rig.link.connection_lost(None)
    rig.link.connection_lost(None)
    assert rig.told == [("Redis closed the connection", ["Redis closed the connection"])]
    rig.link.submit(("B",), rig.told.append)
    assert isinstance(rig.told[-1], StoreUnavailable)


async def test_the_commands_in_flight_are_bounded() -> None:
    rig = Rig(limit=2)
    for _ in range(3):
        rig.link.submit(("A",), rig.told.append)
    assert len(rig.told) == 1 and isinstance(rig.told[0], StoreUnavailable)
    assert rig.link.in_flight == 2
    rig.link.give_up("done")


async def test_an_overdue_answer_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK", 0.005)
    rig = Rig(timeout=0.02)
    await asyncio.sleep(0.05)
    assert not rig.reasons  # idle is not overdue
    rig.link.submit(("A",), rig.told.append)
    async with asyncio.timeout(5):
        while not rig.told:
            await asyncio.sleep(0.005)
    assert isinstance(rig.told[0], StoreUnavailable) and rig.wire.aborted


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n"])
async def test_what_is_no_answer_ends_the_connection(garbage: bytes) -> None:
    rig = Rig()
    rig.link.data_received(garbage)
    assert rig.wire.aborted and len(rig.reasons) == 1
