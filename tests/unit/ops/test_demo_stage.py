"""The demo waits for what belongs to its scenario, and for nothing else."""

import asyncio
from pathlib import Path

import pytest

from ops.demo import play
from ops.demo.phone import DidNotHappen
from ops.demo.play import Stage


def message(call_id: str) -> dict[str, object]:
    return {"android": {"data": {"call-id": call_id}}}


async def test_a_push_of_an_earlier_call_wakes_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(play, "PATIENCE", 0.05)
    stage = Stage(tmp_path, print)
    stage._pushed("token", message("first"))
    with pytest.raises(DidNotHappen, match="a push for the call arrived"):
        await stage._push_of("second")


async def test_the_push_of_the_call_is_heard_whenever_it_comes(tmp_path: Path) -> None:
    stage = Stage(tmp_path, print)
    waiting = asyncio.create_task(stage._push_of("second"))
    loop = asyncio.get_running_loop()
    loop.call_soon(stage._pushed, "token", message("first"))
    loop.call_soon(stage._pushed, "token", message("second"))
    async with asyncio.timeout(5):
        assert await waiting == stage.pushed["second"]
        assert await stage._push_of("first") == stage.pushed["first"]
