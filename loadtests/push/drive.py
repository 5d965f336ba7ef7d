"""Queues, dispatches, sends and confirms pushes at a steady rate in one process, and tells what one cost.

All of it happens here, so the figure is the sum of the node that queues and the node that dispatches.
"""

import argparse
import asyncio
import gc
import itertools
import json
import time
from pathlib import Path

import msgspec

from cluster.location.service import LocationService
from cluster.membership import Member, Members
from cluster.push.push import Push
from cluster.push.service import PushService
from cluster.push.settings import ProviderSettings
from cluster.settings import EtcdSettings, RedisSettings

_numbers = itertools.count(1)


async def drive(plan: dict) -> None:
    redis = RedisSettings(url=plan["redis"])
    etcd = EtcdSettings(endpoints=(plan["etcd"],))
    locations = LocationService(redis)
    await locations.start()
    members = Members(etcd)
    await members.join(Member(name="drive", epoch="1"), 5.0)
    providers = msgspec.convert(plan["providers"], ProviderSettings)
    service = PushService(providers, redis, locations, members, name="drive")
    await service.start()
    while "" in service.status()["dispatchers"].values():  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    gc.freeze()  # as a node does
    gc.set_threshold(300_000)
    for rate in plan["rates"]:
        await run(service, plan["app"], rate, 1.0)  # connections and tokens
        count = int(rate * plan["seconds"])
        before, began = service.status()["counts"]["sent"], time.process_time()
        start = time.monotonic()
        await run(service, plan["app"], rate, plan["seconds"])
        while service.status()["counts"]["sent"] < before + count:
            await asyncio.sleep(0.01)
            if time.monotonic() - start > plan["seconds"] + 20:
                break
        cost = 1e6 * (time.process_time() - began) / count
        took = time.monotonic() - start
        print(json.dumps({"rate": rate, "count": count, "us": cost, "seconds": took}), flush=True)
    await service.close()
    await members.leave()
    await locations.close()


async def run(service: PushService, app: str, rate: int, seconds: float) -> None:
    """Queues pushes in bursts of 10 ms."""
    done, start = 0, time.monotonic()
    while (elapsed := time.monotonic() - start) < seconds or done < rate * seconds:
        now = service.now_ms()
        for _ in range(min(int(elapsed * rate), int(rate * seconds)) - done):
            number = next(_numbers)
            token = f"{number:064x}"
            push = Push(
                id=f"{number:08x}-0000-4000-8000-000000000000", provider="apns", app=app, token=token,
                kind="voip", event="call", created_at=now, expires_at=now + 90_000,
                aor=f"{number}@x.org", device="<urn:1>",
                call_id=token, from_uri="sip:alice@example.org", from_name="Alice", loc_key="IC_MSG",
                loc_args=("Alice",), collapse=token[32:],
            )  # fmt: skip
            service.send(push, lambda problem: None)
            done += 1
        await asyncio.sleep(0.01)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("plan", type=Path)
    import uvloop

    uvloop.run(drive(json.loads(parser.parse_args().plan.read_text())))


if __name__ == "__main__":
    main()
