"""Questions about keys on one connection: order, refusals, and a connection that is lost."""

from __future__ import annotations

from typing import Any

import hiredis
import pytest

from cluster.collect.walk import Walk, of_one_key
from cluster.errors import StoreRefused, StoreUnavailable
from cluster.redis.link import Command, Done

KEYS: list[Command] = [("EXISTS", "a"), ("EXISTS", "b"), ("EXISTS", "c")]


class FakeConnection:
    """Answers from a list."""

    def __init__(self, *replies: Any) -> None:
        self.link: object = object()
        self.replies = list(replies)
        self.asked: list[Command] = []

    def submit(self, command: Command, done: Done) -> None:
        self.asked.append(command)
        done(self.replies.pop(0))


def walk(connection: FakeConnection) -> Walk:
    return Walk(connection)  # type: ignore[arg-type]


async def test_replies_come_in_the_order_of_the_commands() -> None:
    connection = FakeConnection(1, 2, 3)
    assert await walk(connection).ask(KEYS) == [1, 2, 3]
    assert connection.asked == KEYS
    assert await walk(connection).ask([]) == []


async def test_a_key_that_is_refused_is_told_among_the_others() -> None:
    first, second, third = await walk(FakeConnection(1, hiredis.ReplyError("WRONGTYPE no hash"), 3)).ask(KEYS)
    assert (first, third) == (1, 3)
    assert isinstance(second, StoreRefused)
    assert second.code == "WRONGTYPE"


@pytest.mark.parametrize("reply", ["READONLY a replica", "NOSCRIPT unknown", "LOADING", "OOM full"])
async def test_what_is_wrong_with_the_server_ends_it(reply: str) -> None:
    with pytest.raises(StoreRefused, match=reply):
        await walk(FakeConnection(1, hiredis.ReplyError(reply), 3)).ask(KEYS)


async def test_a_lost_connection_ends_it() -> None:
    with pytest.raises(StoreUnavailable, match="it broke"):
        await walk(FakeConnection(1, StoreUnavailable("it broke"), StoreUnavailable("it broke"))).ask(KEYS)


async def test_a_cursor_is_not_taken_to_another_link() -> None:
    connection = FakeConnection([b"17", [b"a"]], [b"0", [b"b"]])
    steps = walk(connection).steps(b"*", 10)
    assert await anext(steps) == [b"a"]
    connection.link = object()
    with pytest.raises(StoreUnavailable, match="broke in the middle"):
        await anext(steps)
    assert len(connection.asked) == 1


async def test_the_cursor_goes_on_until_redis_says_it_is_the_end() -> None:
    connection = FakeConnection([b"17", []], [b"4", [b"a", b"b"]], [b"0", [b"c"]])
    assert [keys async for keys in walk(connection).steps(b"p:*", 10)] == [[], [b"a", b"b"], [b"c"]]
    assert [command[1] for command in connection.asked] == [0, b"17", b"4"]
    assert connection.asked[0][2:] == ("MATCH", b"p:*", "COUNT", 10)


def test_only_errors_of_one_key_are_passed_over() -> None:
    assert of_one_key(StoreRefused("MOVED 12 127.0.0.1:7000"))
    assert not of_one_key(StoreRefused("NOAUTH"))
    assert not of_one_key(StoreUnavailable("ERR is no answer here"))
