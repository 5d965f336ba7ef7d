"""Our relay alone in a process, for `loadtests.relay`: opens the calls, says what that cost, and forwards.

    python -m loadtests.relay.drive TABLE CALLS PORT_A PORT_B

Writes the ports of the calls into TABLE, prints one line of JSON, ends with its standard input.
"""

import asyncio
import json
import os
import resource
import sys
import time
from pathlib import Path

from loadtests.compare.cpu import memory_bytes
from relay.address import Address
from relay.pools import Pools
from relay.relay import Relay
from relay.side import Told

TRIED = 200  # sessions that are opened and closed to see what that costs


def open_call(relay: Relay, name: str, ends: list[Told]) -> tuple[int, int]:
    session = relay.open(name)
    session.add_line(4, time.monotonic())
    near = session.line(0).near
    near.tell(ends[0])
    far = session.add_side(0, "far", 4, time.monotonic())
    far.tell(ends[1])
    return near.local.port, far.local.port


def tried(relay: Relay, ends: list[Told]) -> float:
    """CPU seconds of opening and closing one session of one media line."""
    begun = time.process_time()
    for number in range(TRIED):
        open_call(relay, f"trial {number}", ends)
    for number in range(TRIED):
        relay.end(f"trial {number}")
    return (time.process_time() - begun) / TRIED


async def main(table: Path, calls: int, ports: list[int]) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    relay = Relay(Pools(["127.0.0.1"], 20000, 65535, rest=1000), lambda event: None)
    relay.start()
    ends = [Told(Address("127.0.0.1", port), Address("127.0.0.1", port)) for port in ports]
    set_up = tried(relay, ends)

    before = memory_bytes(os.getpid())
    rows = [open_call(relay, str(number), ends) for number in range(calls)]
    memory = (memory_bytes(os.getpid()) - before) / max(calls, 1)
    table.write_text("".join(f"{a} {b}\n" for a, b in rows))
    print(json.dumps({"set_up_us": set_up * 1e6, "memory_kb": memory / 1024, "slow": relay.slow}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    relay.close()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(Path(sys.argv[1]), int(sys.argv[2]), [int(port) for port in sys.argv[3:5]]))
