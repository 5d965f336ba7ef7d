"""The count of all messages as one node sees it."""

from typing import Any

from cluster.errors import StoreUnavailable
from cluster.messages.total import Total
from cluster.redis.link import Done


class Store:
    def __init__(self) -> None:
        self.asked: list[tuple[tuple[Any, ...], Done]] = []

    def submit_script(self, _script: Any, key: bytes, arguments: tuple[Any, ...], done: Done) -> None:
        assert key == b"clarion:messages:total"
        self.asked.append((arguments, done))


async def test_what_is_on_its_way_counts() -> None:
    store = Store()
    total = Total(store, "clarion")  # type: ignore[arg-type]
    total.add(3)
    assert total.value == 3
    total.tell()
    total.add(1)
    assert total.value == 4
    [(arguments, done)] = store.asked
    assert arguments == (3,)
    done(10)  # others have 7
    assert total.value == 11


async def test_what_could_not_be_told_is_told_later() -> None:
    store = Store()
    total = Total(store, "clarion")  # type: ignore[arg-type]
    total.add(3)
    total.tell()
    store.asked.pop()[1](StoreUnavailable("away"))
    assert total.value == 3
    total.add(-1)
    total.tell()
    assert store.asked[0][0] == (2,)
    store.asked[0][1](-5)
    assert total.value == 0  # never less


async def test_the_end_tells_what_is_left() -> None:
    store = Store()
    total = Total(store, "clarion")  # type: ignore[arg-type]
    total.start()
    total.add(2)
    total.close()
    total.close()
    assert [arguments for arguments, _ in store.asked] == [(0,), (2,)]
