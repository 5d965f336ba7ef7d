"""Private stores: they keep what was answered, come back when they die, and never outlive the node."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import redis.asyncio

from ops.data_folder import DataFolder
from ops.embedded import EmbeddedStores, joined
from ops.errors import StartError
from ops.settings import Settings


async def stores_in(folder: Path) -> tuple[EmbeddedStores, DataFolder]:
    data = DataFolder(folder)
    stores = EmbeddedStores(Settings(), data)
    await stores.start()
    return stores, data


async def test_what_was_answered_survives_kill_9_and_the_ports_stay(tmp_path: Path) -> None:
    stores, data = await stores_in(tmp_path)
    url = stores.settings.redis.url
    async with redis.asyncio.from_url(url) as client:
        await client.set("a", "1")
    for child in stores.children:
        os.kill(child.pid, signal.SIGKILL)
    await stores.stop()
    data.release()

    stores, data = await stores_in(tmp_path)
    assert stores.settings.redis.url == url
    assert joined(Settings(), tmp_path) == stores.settings
    async with redis.asyncio.from_url(url) as client:
        assert await client.get("a") == b"1"
    await stores.stop()
    data.release()
    assert [child.pid for child in stores.children] == [0, 0]


async def test_a_child_that_dies_is_started_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stores, data = await stores_in(tmp_path)
    child = stores.children[0]
    first = child.pid
    os.kill(first, signal.SIGKILL)
    async with redis.asyncio.from_url(stores.settings.redis.url) as client:
        async with asyncio.timeout(20):
            while child.restarts == 0 or "serves again" not in caplog.text:
                await asyncio.sleep(0.02)
        assert await client.ping()
    assert child.pid != first
    assert "embedded redis ended (signal SIGKILL), starting it again in 0.2 s" in caplog.text
    await stores.stop()
    data.release()


async def test_a_program_that_cannot_start_says_where_to_look(tmp_path: Path) -> None:
    data = DataFolder(tmp_path)
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "appendonlydir").write_text("in the way")
    stores = EmbeddedStores(Settings(), data)
    with pytest.raises(StartError, match=r"the embedded redis ended at once; .*redis\.log"):
        await stores.start()
    assert all(child.pid == 0 for child in stores.children)
    data.release()


async def test_without_programs_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.embedded.find_redis", lambda: None)
    data = DataFolder(tmp_path)
    with pytest.raises(StartError, match=r"clarion\[embedded\].*redis-server.*\[redis\] url"):
        EmbeddedStores(Settings(), data)
    data.release()


NODE = """
import asyncio, sys
from pathlib import Path
from ops.data_folder import DataFolder
from ops.embedded import EmbeddedStores
from ops.settings import Settings

async def main():
    stores = EmbeddedStores(Settings(), DataFolder(Path(sys.argv[1])))
    await stores.start()
    print(*[child.pid for child in stores.children], flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_kill_9_of_the_node_leaves_no_child_behind(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", NODE, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=root
    ) as node:
        assert node.stdout is not None
        children = [psutil.Process(int(pid)) for pid in node.stdout.readline().split()]
        assert len(children) == 2
        node.kill()
    gone, alive = psutil.wait_procs(children, timeout=10)
    # in a container without a reaper a dead orphan stays as a zombie
    assert all(child.status() == psutil.STATUS_ZOMBIE for child in alive)
    assert len(gone) + len(alive) == 2
