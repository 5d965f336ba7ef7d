"""A node's push service alone, in a process that does what it is told, one line of JSON each.

    {"status": true}                      -> {"sent": pushes sent so far, "elsewhere": all partitions are}
    {"run": pushes a second, "seconds"}   -> {"count": pushes queued}, when all of them are

One that is made with `"queues": true` leaves all dispatching to others, so that both halves can be measured.
"""

import argparse
import asyncio
import gc
import itertools
import json
import sys
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
    name = "queues" if plan["queues"] else "sends"
    locations = LocationService(redis)
    await locations.start()
    members = Members(EtcdSettings(endpoints=(plan["etcd"],)))
    await members.join(Member(name=name, epoch="1"), 5.0)
    providers = msgspec.convert(plan["providers"], ProviderSettings)
    service = PushService(providers, redis, locations, members, name=name)
    await service.start()
    if plan["queues"]:
        await service.drain()
    gc.freeze()  # as a node does
    gc.set_threshold(300_000)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        print(json.dumps(await obey(service, plan["app"], json.loads(line))), flush=True)
    await service.close()
    await members.leave()
    await locations.close()


async def obey(service: PushService, app: str, order: dict) -> dict:
    if "run" in order:
        return {"count": await run(service, app, order["run"], order["seconds"])}
    status = service.status()
    held = set(status["dispatchers"].values())
    return {"sent": status["counts"]["sent"], "held_by": sorted(held)}


async def run(service: PushService, app: str, rate: int, seconds: float) -> int:
    """Queues pushes in bursts of 10 ms."""
    done, start, count = 0, time.monotonic(), int(rate * seconds)
    while done < count:
        now = service.now_ms()
        due = min(int((time.monotonic() - start) * rate), count)
        for _ in range(due - done):
            number = next(_numbers)
            token = f"{number:064x}"
            push = Push(
                id=f"{number:08x}-0000-4000-8000-000000000000", provider="apns", app=app, token=token,
                kind="voip", event="call", created_at=now, expires_at=now + 90_000,
                aor=f"{number}@x.org", device="<urn:1>", call_id=token, from_uri="sip:alice@example.org",
                from_name="Alice", loc_key="IC_MSG", loc_args=("Alice",), collapse=token[32:],
            )  # fmt: skip
            service.send(push, lambda problem: None)
            done += 1
        await asyncio.sleep(0.01)
    return count


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("plan", type=Path)
    import uvloop

    uvloop.run(drive(json.loads(parser.parse_args().plan.read_text())))


if __name__ == "__main__":
    main()
