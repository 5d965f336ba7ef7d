"""A small SIP phone: it says what the scenario makes it say, and remembers what it was told."""

import asyncio
import secrets
from collections.abc import Callable

from node.sip.codec import Message, parse
from node.sip.framing import PING, PONG, Framer

PATIENCE = 8.0  # s that a message is waited for
LONGEST = 65_536  # bytes of a message
SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
Arrived = Callable[["Phone", Message], None]


class DidNotHappen(Exception):
    """Something that the scenario waited for; the text says what."""


class Phone:
    """One user on one UDP socket or one TCP connection."""

    def __init__(self, user: str, domain: str, transport: str, arrived: Arrived) -> None:
        """`arrived` is told every message that comes."""
        self.user = user
        self.domain = domain
        self.uri = f"sip:{user}@{domain}"
        self.transport = transport
        self.local = ("", 0)
        self.push = ""  # parameters of its Contact: where it is woken
        self.news: asyncio.Queue[Message] = asyncio.Queue()
        self._arrived = arrived
        self._wire: asyncio.Transport | asyncio.DatagramTransport | None = None
        self._send: Callable[[bytes], None]
        self._registration = secrets.token_hex(8)
        self._registrations = 0
        self._instance = f"urn:uuid:00000000-0000-4000-8000-{secrets.token_hex(6)}"

    async def connect(self, port: int) -> None:
        """Opens its socket towards a node on loopback."""
        loop = asyncio.get_running_loop()
        remote = ("127.0.0.1", port)
        if self.transport == "udp":
            datagrams, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), remote_addr=remote)
            self._wire, self._send = datagrams, datagrams.sendto
        else:
            stream, _ = await loop.create_connection(lambda: _Stream(self), *remote)
            self._wire, self._send = stream, stream.write
        self.local = self._wire.get_extra_info("sockname")[:2]

    def cut(self) -> None:
        """Its network is gone: no goodbye, no more answers."""
        if self._wire is not None:
            self._wire.abort()
            self._wire = None

    def send(self, data: bytes) -> None:
        """Sends a whole message."""
        if self._wire is None:
            raise DidNotHappen(f"{self.user} lost its connection before it could send")
        self._send(data)

    def received(self, raw: bytes) -> None:
        """A whole message came."""
        message = parse(raw)
        self._arrived(self, message)
        self.news.put_nowait(message)

    async def expect(self, wanted: Callable[[Message], bool], what: str) -> Message:
        """The next message that is wanted; others are passed over. Raises DidNotHappen."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not wanted(message := await self.news.get()):
                    pass
                return message
        except TimeoutError:
            raise DidNotHappen(f"{self.user} waited {PATIENCE:.0f} s for {what}") from None

    @property
    def contact(self) -> str:
        """URI under which it can be reached."""
        host, port = self.local
        return f"sip:{self.user}@{host}:{port};transport={self.transport}"

    async def register(self) -> None:
        """Registers for ten minutes. Raises DidNotHappen."""
        self._registrations += 1
        rows = (
            f"From: <{self.uri}>;tag={secrets.token_hex(4)}\r\nTo: <{self.uri}>\r\n"
            f"Call-ID: {self._registration}\r\nCSeq: {self._registrations} REGISTER\r\n"
            f'Contact: <{self.contact}{self.push}>;+sip.instance="<{self._instance}>"\r\nExpires: 600\r\n'
        )
        self.send(self.request("REGISTER", f"sip:{self.domain}", rows))
        answer = await self.expect(
            lambda m: m.method == "REGISTER" and m.status >= 200, "an answer to REGISTER"
        )
        if answer.status != 200:
            raise DidNotHappen(f"{self.user} registered: it was answered {answer.status} {answer.reason}")

    def request(self, method: str, uri: str, rows: str, body: bytes = b"") -> bytes:
        """A request; `rows` are its header fields but Via, Max-Forwards and those of the body."""
        host, port = self.local
        via = f"SIP/2.0/{self.transport.upper()} {host}:{port};branch=z9hG4bK{secrets.token_hex(8)};rport"
        kind = "Content-Type: application/sdp\r\n" if body else ""
        head = f"{method} {uri} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\n{rows}{kind}"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, phone: Phone) -> None:
        self._phone = phone

    def datagram_received(self, data: bytes, addr: object) -> None:
        if data.strip():
            self._phone.received(data)


class _Stream(asyncio.Protocol):
    def __init__(self, phone: Phone) -> None:
        self._phone = phone
        self._framer = Framer(LONGEST)

    def data_received(self, data: bytes) -> None:
        for message in self._framer.feed(data):
            if message not in (PING, PONG):
                self._phone.received(message)
