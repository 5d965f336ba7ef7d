"""`python -m tests.standins KIND --folder F [--port P] [--fast]`: a stand-in as a process of its own.

Keys and certificates are in the folder, accepted pushes go to its pushes.jsonl. To stdout goes one line for
each thing that happens: "ready {...}" (with the port), "push {...}", "refused {...}", "done {...}". Each line
on stdin is JSON: {"n": N, "fault" | "clear": name, "values": {...}}, {"n": N, "set": attribute, "value": ...}
or {"n": N, "write": true}. It ends with its stdin, so that none outlives a test that died.

With --fast it judges nothing and says nothing of single pushes; token and time of each are kept, and
written to pushes.jsonl at "write" and at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any, TextIO

import uvloop

from tests.standins.exchange import Record
from tests.standins.kinds import KINDS
from tests.standins.standin import StandIn


def say(word: str, text: str) -> None:
    sys.stdout.write(f"{word} {text}\n")
    sys.stdout.flush()


async def serve(kind: str, folder: Path, port: int, fast: bool) -> None:
    standin = KINDS[kind](folder, port)
    standin.fast = fast
    with (folder / "pushes.jsonl").open("a", encoding="ascii") as file:
        standin.told = lambda accepted, record: note(file, accepted, record)
        async with standin:
            told = {"url": standin.url, "ca": standin.ca, "port": standin.port, "options": standin.options()}
            say("ready", json.dumps({**told, "more": standin.more()}))
            await obey(standin, file)
        write(standin, file)


def note(file: TextIO, accepted: bool, record: Record) -> None:
    line = record.line()
    if accepted:
        file.write(line + "\n")
        file.flush()
    say("push" if accepted else "refused", line)


def write(standin: StandIn, file: TextIO) -> None:
    """What came to a fast one since the last time."""
    file.writelines(f'{{"token": {json.dumps(token)}, "at": {at:.6f}}}\n' for token, at in standin.came)
    file.flush()
    standin.came.clear()


async def obey(standin: StandIn, file: TextIO) -> None:
    """Until stdin ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order: dict[str, Any] = json.loads(line)
        try:
            carry_out(standin, order, file)
            say("done", json.dumps({"n": order["n"], "error": ""}))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            say("done", json.dumps({"n": order["n"], "error": repr(error)}))


def carry_out(standin: StandIn, order: dict[str, Any], file: TextIO) -> None:
    if "fault" in order:
        standin.fault(order["fault"], **order["values"])
    elif "clear" in order:
        standin.clear(order["clear"])
    elif "write" in order:
        write(standin, file)
    else:
        getattr(standin, order["set"])  # raises for an attribute that there is not
        setattr(standin, order["set"], order["value"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.standins", description=__doc__.split("\n")[0])
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("--folder", type=Path, required=True, help="keys, certificates and pushes.jsonl")
    parser.add_argument("--port", type=int, default=0, help="of 127.0.0.1; 0 for any (told at the start)")
    parser.add_argument("--fast", action="store_true", help="only count: for measurements")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    served = serve(options.kind, options.folder, options.port, options.fast)
    # asyncio shows a client why its handshake failed (greeting.py); uvloop is faster
    if options.fast:
        uvloop.run(served)
    else:
        asyncio.run(served)


if __name__ == "__main__":
    main()
