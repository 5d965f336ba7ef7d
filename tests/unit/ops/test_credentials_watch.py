"""What ends soon is told at start, daily, and after a reload."""

import asyncio

import pytest

from cluster.push.events import CredentialsExpire
from cluster.push.providers.provider import Warned
from ops.credentials_watch import credentials_watch


class Credentials:
    def __init__(self) -> None:
        self.looks = 0

    def warnings(self, now: float) -> list[Warned]:
        assert now > 1.6e9
        self.looks += 1
        return [Warned("[apns.app] cert", f"ends in {31 - self.looks} days")]


async def looked(told: asyncio.Queue[CredentialsExpire]) -> str:
    async with asyncio.timeout(5):
        return (await told.get()).text


async def test_it_looks_at_start_and_when_asked() -> None:
    told: asyncio.Queue[CredentialsExpire] = asyncio.Queue()
    watch = credentials_watch(Credentials(), told.put_nowait)
    watch.start()
    assert await looked(told) == "ends in 30 days"
    watch.again()
    assert await looked(told) == "ends in 29 days"
    await watch.stop()
    assert told.empty()


async def test_it_looks_again_after_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.credentials_watch.DAY", 0.01)
    told: asyncio.Queue[CredentialsExpire] = asyncio.Queue()
    watch = credentials_watch(Credentials(), told.put_nowait)
    watch.start()
    assert [await looked(told) for _ in range(2)] == ["ends in 30 days", "ends in 29 days"]
    await watch.stop()


async def test_one_that_never_started_can_be_stopped() -> None:
    await credentials_watch(Credentials(), print).stop()
