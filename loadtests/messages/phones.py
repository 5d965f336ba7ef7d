"""Senders and recipients on one UDP socket: as little work as possible, for it is not what is measured."""

import asyncio
import time
from collections import Counter
from typing import Any

PATIENCE = 30.0
STEP = 0.005  # s between two bursts
_KEPT = (b"Via:", b"From:", b"Call-ID:", b"CSeq:")


class Phones(asyncio.DatagramProtocol):
    """Sends MESSAGE and REGISTER requests, and takes every MESSAGE with 200."""

    def __init__(self, domain: str, body: bytes) -> None:
        self.domain = domain
        self.body = body
        self.taken = 0  # MESSAGE requests answered with 200
        self.answers: Counter[int] = Counter()
        self._sent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        host, port = transport.get_extra_info("sockname")[:2]
        self.here = f"{host}:{port}"

    def datagram_received(self, data: bytes, address: object) -> None:
        if data.startswith(b"SIP/2.0 "):
            self.answers[int(data[8:11])] += 1
        elif data.startswith(b"MESSAGE "):
            self.taken += 1
            rows = data.partition(b"\r\n\r\n")[0].split(b"\r\n")
            kept = [row for row in rows if row.startswith(_KEPT)]
            (to,) = (row for row in rows if row.startswith(b"To:"))
            head = [b"SIP/2.0 200 OK", *kept, to + b";tag=p", b"Content-Length: 0", b"", b""]
            self.transport.sendto(b"\r\n".join(head))

    async def until(self, answers: int = 0, taken: int = 0) -> None:
        """Waits for so many final answers, and messages."""
        deadline = time.monotonic() + PATIENCE
        while self.final < answers or self.taken < taken:
            if time.monotonic() > deadline:
                raise SystemExit(f"waited for {answers} answers and {taken} messages; got {self!r}")
            await asyncio.sleep(STEP)

    @property
    def final(self) -> int:
        return sum(count for status, count in self.answers.items() if status >= 200)

    def register(self, user: str, instance: str, cseq: int = 1) -> None:
        self._send(
            f"REGISTER sip:{self.domain}", "REGISTER", user, f"reg-{user}", cseq,
            f'Contact: <sip:{user}@{self.here}>;+sip.instance="{instance}"\r\nExpires: 3600\r\n', b"",
        )  # fmt: skip

    def message(self, user: str) -> None:
        self._sent += 1
        rows = "Content-Type: text/plain\r\n"
        uri = f"MESSAGE sip:{user}@{self.domain}"
        self._send(uri, "MESSAGE", user, f"{id(self):x}-{self._sent}", 1, rows, self.body)

    async def run(self, users: list[str], count: int, rate: int) -> None:
        """So many messages to these users in turn, until all are answered."""
        before, start, done = self.final, time.monotonic(), 0
        while done < count:
            due = min(count, int((time.monotonic() - start) * rate))
            for number in range(done, due):
                self.message(users[number % len(users)])
            done = due
            await asyncio.sleep(STEP)
        await self.until(answers=before + count)

    def _send(self, start: str, method: str, user: str, call: str, cseq: int, rows: str, body: bytes) -> None:
        sender = user if method == "REGISTER" else "sender"
        self.transport.sendto(
            f"{start} SIP/2.0\r\nVia: SIP/2.0/UDP {self.here};branch=z9hG4bK{call}.{cseq}\r\n"
            f"Max-Forwards: 70\r\n"
            f"From: <sip:{sender}@{self.domain}>;tag=1\r\nTo: <sip:{user}@{self.domain}>\r\n"
            f"Call-ID: {call}\r\nCSeq: {cseq} {method}\r\n{rows}Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )

    def __repr__(self) -> str:
        return f"{dict(self.answers)} and {self.taken} messages"
