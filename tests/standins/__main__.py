"""`python -m tests.standins KIND FOLDER [PORT]`: a stand-in as a process of its own.

Writes pushes.jsonl to FOLDER, and to stdout one line for each thing that happens: "ready {...}",
"push {...}", "refused {...}", "done N". Each line on stdin is JSON:
{"n": N, "fault" | "clear": name, "values": {...}} or
{"n": N, "set": attribute, "value": ...}. It ends with its stdin, so that none outlives a test that died.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, TextIO

from tests.standins.exchange import Record
from tests.standins.kinds import KINDS
from tests.standins.standin import StandIn


def say(word: str, text: str) -> None:
    sys.stdout.write(f"{word} {text}\n")
    sys.stdout.flush()


async def serve(kind: str, folder: Path, port: int) -> None:
    standin = KINDS[kind](folder, port)
    with (folder / "pushes.jsonl").open("a", encoding="ascii") as file:
        standin.told = lambda accepted, record: note(file, accepted, record)
        async with standin:
            told = {"url": standin.url, "ca": standin.ca, "port": standin.port, "options": standin.options()}
            say("ready", json.dumps({**told, "more": standin.more()}))
            await obey(standin)


def note(file: TextIO, accepted: bool, record: Record) -> None:
    line = record.line()
    if accepted:
        file.write(line + "\n")
        file.flush()
    say("push" if accepted else "refused", line)


async def obey(standin: StandIn) -> None:
    """Until stdin ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order: dict[str, Any] = json.loads(line)
        try:
            carry_out(standin, order)
            say("done", json.dumps({"n": order["n"], "error": ""}))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            say("done", json.dumps({"n": order["n"], "error": repr(error)}))


def carry_out(standin: StandIn, order: dict[str, Any]) -> None:
    if "fault" in order:
        standin.fault(order["fault"], **order["values"])
    elif "clear" in order:
        standin.clear(order["clear"])
    else:
        getattr(standin, order["set"])  # raises for an attribute that there is not
        setattr(standin, order["set"], order["value"])


if __name__ == "__main__":
    where = Path(sys.argv[2])
    where.mkdir(parents=True, exist_ok=True)
    asyncio.run(serve(sys.argv[1], where, int(sys.argv[3]) if len(sys.argv) > 3 else 0))
