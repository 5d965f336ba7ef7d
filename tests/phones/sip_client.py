"""A scripted SIP phone: sends exactly what a test says, answers only when a test says so, remembers all it
got.

    async with SipPhone("alice", "tcp", node.address("tcp")) as alice, SipPhone("bob", "udp", ...) as bob:
        await alice.register()
        await bob.register()
        call = await alice.invite(bob.uri)
        ringing = await bob.incoming()
        ringing.ring()
        ...

It never retransmits and never acknowledges by itself; what arrives twice is counted in `repeated`.
"""

import asyncio
import itertools
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.phones.program import DOMAIN, LOOPBACK
from tests.phones.sip_message import Sip, inner_uri
from tests.phones.wire import Wire, connect

PATIENCE = 5.0
SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
Rows = Sequence[tuple[str, str]]
_numbers = itertools.count(1)


class SipPhone:
    """One phone with one address of record on one UDP socket or one connection."""

    def __init__(
        self,
        user: str,
        transport: str,
        server: tuple[str, int],
        *,
        domain: str = DOMAIN,
        ca: Path | None = None,
        instance: str = "",
        reg_id: int = 0,
        local: str = LOOPBACK,
    ) -> None:
        self.user = user
        self.uri = f"sip:{user}@{domain}"
        self.domain = domain
        self.transport = transport
        self.server = server
        self.instance = instance
        self.reg_id = reg_id
        self.with_length = True
        self.received: list[Sip] = []
        self.repeated = 0
        self._ca = ca
        self._local = local
        self._seen: set[bytes] = set()
        self._taken: set[int] = set()
        self._news = asyncio.Condition()
        self._wire: Wire | None = None
        self.register_call_id = uuid.uuid4().hex
        self.register_cseq = 0

    async def __aenter__(self) -> "SipPhone":
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self, server: tuple[str, int] | None = None) -> None:
        """Connects (again, maybe to another server)."""
        self.server = server or self.server
        self._wire = await connect(self.transport, self.server, self._arrived, self._ca, self._local)

    async def close(self) -> None:
        if self._wire is not None:
            await self._wire.close()
            self._wire = None

    @property
    def wire(self) -> Wire:
        assert self._wire is not None, f"{self.user} is not connected"
        return self._wire

    @property
    def contact(self) -> str:
        """URI under which this phone can be reached."""
        host, port = self.wire.local
        return f"sip:{self.user}@{host}:{port};transport={self.transport}"

    # what arrives

    def _arrived(self, raw: bytes) -> None:
        message = Sip.parse(raw)
        self.repeated += raw in self._seen
        self._seen.add(raw)
        self.received.append(message)
        asyncio.get_running_loop().create_task(self._notify())

    async def _notify(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def expect(
        self, wanted: Callable[[Sip], bool], what: str, seconds: float = PATIENCE, twice: bool = False
    ) -> Sip:
        """Waits for a message, takes it and returns it; with `twice` a message may be taken again."""

        def find() -> Sip | None:
            for number, message in enumerate(self.received):
                if (twice or number not in self._taken) and wanted(message):
                    self._taken.add(number)
                    return message
            return None

        try:
            async with asyncio.timeout(seconds), self._news:
                while (found := find()) is None:
                    await self._news.wait()
                return found
        except TimeoutError:
            raise AssertionError(self.evidence(f"waited {seconds:g} s for {what}")) from None

    async def expect_request(self, method: str, seconds: float = PATIENCE) -> Sip:
        return await self.expect(lambda m: m.is_request and m.method == method, method, seconds)

    async def expect_response(self, request: Sip, seconds: float = PATIENCE, final: bool = True) -> Sip:
        """Waits for the (final) response to a request that was sent by `send_request`."""
        method = "INVITE" if request.method == "ACK" else request.method

        def fits(m: Sip) -> bool:
            return (
                m.status >= (200 if final else 101)
                and m.call_id == request.call_id
                and m.first("CSeq").split() == [request.first("CSeq").split()[0], method]
            )

        return await self.expect(fits, f"a response to {request.start}", seconds)

    def forget(self) -> None:
        """Forgets all that came, so that a long run stays fast."""
        self.received.clear()
        self._taken.clear()
        self._seen.clear()

    async def nothing(self, wanted: Callable[[Sip], bool], seconds: float) -> None:
        """Makes sure that no such message comes for so long."""
        try:
            found = await self.expect(wanted, "nothing", seconds)
        except AssertionError:
            return
        raise AssertionError(self.evidence(f"should not have got:\n{found}"))

    def evidence(self, complaint: str) -> str:
        """What an assertion says: the complaint and the last messages that came."""
        if self._wire is not None and self._wire.fault:
            complaint += f"; it got {self._wire.fault}"
        last = "\n\n".join(f"<< {m}" for m in self.received[-8:])
        return f"{self.user}: {complaint}\n--- {len(self.received)} messages came, the last: ---\n{last}"

    # what is sent

    def send(self, data: bytes) -> None:
        """Sends any bytes."""
        self.wire.send(data)

    def via(self, branch: str = "") -> str:
        host, port = self.wire.local
        branch = branch or f"z9hG4bK{uuid.uuid4().hex[:16]}"
        return f"SIP/2.0/{self.transport.upper()} {host}:{port};branch={branch};rport"

    def compose(self, start: str, fields: Rows, body: bytes = b"") -> Sip:
        """Puts a message together; Content-Length is added, unless `with_length` is off."""
        rows = [*fields, *([("Content-Length", str(len(body)))] if self.with_length else [])]
        raw = "\r\n".join([start, *(f"{n}: {v}" for n, v in rows), "", ""]).encode() + body
        return Sip.parse(raw)

    def send_request(
        self, method: str, uri: str, *, to: str = "", fields: Rows = (), body: bytes = b""
    ) -> Sip:
        """Sends a request outside of a dialog; returns it as sent."""
        request = self.compose(
            f"{method} {uri} SIP/2.0",
            [
                ("Via", self.via()),
                ("Max-Forwards", "70"),
                ("From", f"<{self.uri}>;tag={uuid.uuid4().hex[:8]}"),
                ("To", to or f"<{uri}>"),
                ("Call-ID", uuid.uuid4().hex),
                ("CSeq", f"1 {method}"),
                *fields,
            ],
            body,
        )
        self.send(request.raw)
        return request

    def respond(
        self, request: Sip, status: int, reason: str = "", *, fields: Rows = (), body: bytes = b""
    ) -> Sip:
        """Answers a request; the To tag belongs to this phone and this call."""
        to = request.first("To")
        if status > 100 and not request.tag("To"):
            to += f";tag={self.user}-{uuid.uuid5(uuid.NAMESPACE_OID, request.call_id).hex[:8]}"
        rows = [("Via", v) for v in request.values("Via")]
        rows += [("Record-Route", v) for v in request.values("Record-Route") if 101 <= status < 300]
        rows += [("From", request.first("From")), ("To", to)]
        rows += [("Call-ID", request.call_id), ("CSeq", request.first("CSeq")), *fields]
        response = self.compose(f"SIP/2.0 {status} {reason or 'Because'}", rows, body)
        self.send(response.raw)
        return response

    # what a phone does

    async def register(
        self,
        *,
        expires: int | None = 300,
        contact: str = "",
        parameters: str = "",
        fields: Rows = (),
        status: int = 200,
        seconds: float = PATIENCE,
    ) -> Sip:
        """Registers and checks the status of the answer, which is returned."""
        self.register_cseq += 1
        binding = contact or f"<{self.contact}>"
        if self.instance and not contact:
            binding += f';+sip.instance="<{self.instance}>"'
            binding += f";reg-id={self.reg_id}" if self.reg_id else ""
        rows = [
            ("Via", self.via()),
            ("Max-Forwards", "70"),
            ("From", f"<{self.uri}>;tag={uuid.uuid4().hex[:8]}"),
            ("To", f"<{self.uri}>"),
            ("Call-ID", self.register_call_id),
            ("CSeq", f"{self.register_cseq} REGISTER"),
            ("Contact", binding + parameters),
            ("Supported", "path, outbound, gruu"),
        ]
        if expires is not None:
            rows.append(("Expires", str(expires)))
        request = self.compose(f"REGISTER sip:{self.domain} SIP/2.0", [*rows, *fields])
        self.send(request.raw)
        response = await self.expect_response(request, seconds)
        assert response.status == status, self.evidence(f"REGISTER got {response.start}, not {status}")
        return response

    async def message(self, uri: str, text: str, status: int = 200) -> Sip:
        """Sends a MESSAGE and checks the status of the answer."""
        request = self.send_request(
            "MESSAGE", uri, fields=[("Content-Type", "text/plain")], body=text.encode()
        )
        response = await self.expect_response(request)
        assert response.status == status, self.evidence(f"MESSAGE got {response.start}, not {status}")
        return response

    def invite(self, uri: str, *, fields: Rows = (), contact: str = "") -> "Call":
        """Starts a call."""
        rows = [("Contact", f"<{contact or self.contact}>"), ("Content-Type", "application/sdp"), *fields]
        request = self.send_request("INVITE", uri, fields=rows, body=SDP)
        return Call(self, request, calling=True)

    async def incoming(self, seconds: float = PATIENCE) -> "Call":
        """Waits for an INVITE that is not part of a call yet."""
        request = await self.expect(
            lambda m: m.is_request and m.method == "INVITE" and not m.tag("To"), "an INVITE", seconds
        )
        return Call(self, request, calling=False)


class Call:
    """One side of a call: its dialog (RFC 3261 section 12) and what may be done in it."""

    def __init__(self, phone: SipPhone, invite: Sip, calling: bool) -> None:
        self.phone = phone
        self.invite = invite
        self.calling = calling
        self.cseq = 1
        self.local = invite.first("From") if calling else ""
        self.remote = "" if calling else invite.first("From")
        self.target = "" if calling else inner_uri(invite.first("Contact"))
        self.routes = [] if calling else invite.values("Record-Route")

    # caller

    async def expect(self, status: int, seconds: float = PATIENCE) -> Sip:
        """Waits for a response with this status to the (re-)INVITE; any other final one fails at once."""
        cseq = self.invite.first("CSeq")
        response = await self.phone.expect(
            lambda m: (
                m.call_id == self.invite.call_id
                and m.first("CSeq") == cseq
                and (m.status == status or m.status >= 200)
            ),
            f"{status} to its INVITE",
            seconds,
        )
        assert response.status == status, self.phone.evidence(f"INVITE got {response.start}, not {status}")
        if self.calling and 100 < status < 300:
            self.remote = response.first("To")
            self.target = inner_uri(response.first("Contact"))
            self.routes = response.values("Record-Route")[::-1]
        return response

    def ack(self, response: Sip) -> None:
        """Acknowledges a final response to the INVITE: end to end for 2xx, hop by hop otherwise."""
        if response.status < 300:
            self._send("ACK", number=int(self.invite.first("CSeq").split()[0]))
            return
        keep = [("Via", self.invite.first("Via")), *[("Route", v) for v in self.invite.values("Route")]]
        self.phone.send(self._hop("ACK", keep, response.first("To")))

    def cancel(self) -> None:
        keep = [("Via", self.invite.first("Via")), *[("Route", v) for v in self.invite.values("Route")]]
        self.phone.send(self._hop("CANCEL", keep, self.invite.first("To")))

    def _hop(self, method: str, rows: list[tuple[str, str]], to: str) -> bytes:
        number = self.invite.first("CSeq").split()[0]
        rows += [("Max-Forwards", "70"), ("From", self.invite.first("From")), ("To", to)]
        rows += [("Call-ID", self.invite.call_id), ("CSeq", f"{number} {method}")]
        return self.phone.compose(f"{method} {self.invite.uri} SIP/2.0", rows).raw

    # callee

    def ring(self) -> None:
        response = self.phone.respond(
            self.invite, 180, "Ringing", fields=[("Contact", f"<{self.phone.contact}>")]
        )
        self.local = response.first("To")

    def answer(self, contact: str = "") -> None:
        rows = [("Contact", f"<{contact or self.phone.contact}>"), ("Content-Type", "application/sdp")]
        response = self.phone.respond(self.invite, 200, "OK", fields=rows, body=SDP)
        self.local = response.first("To")

    def refuse(self, status: int, reason: str = "") -> None:
        self.phone.respond(self.invite, status, reason)

    async def expect_ack(self, seconds: float = PATIENCE) -> Sip:
        return await self._expect_request("ACK", seconds)

    async def expect_cancel(self, seconds: float = PATIENCE) -> Sip:
        """Waits for the CANCEL; answers it with 200 and the INVITE with 487."""
        request = await self._expect_request("CANCEL", seconds)
        self.phone.respond(request, 200, "OK")
        self.phone.respond(self.invite, 487, "Request Terminated")
        return request

    # both

    async def _expect_request(self, method: str, seconds: float = PATIENCE) -> Sip:
        return await self.phone.expect(
            lambda m: m.is_request and m.method == method and m.call_id == self.invite.call_id,
            f"{method} of its call",
            seconds,
        )

    async def expect_bye(self, seconds: float = PATIENCE) -> Sip:
        """Waits for the BYE and answers it."""
        request = await self._expect_request("BYE", seconds)
        self.phone.respond(request, 200, "OK")
        return request

    async def expect_reinvite(self, seconds: float = PATIENCE) -> Sip:
        """Waits for a re-INVITE and answers it with 200."""
        request = await self._expect_request("INVITE", seconds)
        rows = [("Contact", f"<{self.phone.contact}>"), ("Content-Type", "application/sdp")]
        self.phone.respond(request, 200, "OK", fields=rows, body=SDP)
        return request

    async def reinvite(self) -> Sip:
        """Sends a re-INVITE, waits for its 200 and acknowledges it; the other side must answer meanwhile."""
        rows = [("Contact", f"<{self.phone.contact}>"), ("Content-Type", "application/sdp")]
        self.cseq += 1
        request = self._send("INVITE", fields=rows, body=SDP)
        response = await self.phone.expect_response(request)
        assert response.status == 200, self.phone.evidence(f"re-INVITE got {response.start}")
        self._send("ACK", number=self.cseq)
        return response

    async def bye(self, status: int = 200, seconds: float = PATIENCE) -> Sip:
        """Hangs up and checks the status of the answer; the other side must answer meanwhile."""
        self.cseq += 1
        request = self._send("BYE")
        response = await self.phone.expect_response(request, seconds)
        assert response.status == status, self.phone.evidence(f"BYE got {response.start}, not {status}")
        return response

    def _send(self, method: str, *, number: int = 0, fields: Rows = (), body: bytes = b"") -> Sip:
        rows = [("Via", self.phone.via()), ("Max-Forwards", "70")]
        rows += [("Route", route) for route in self.routes]
        rows += [("From", self.local), ("To", self.remote), ("Call-ID", self.invite.call_id)]
        rows += [("CSeq", f"{number or self.cseq} {method}"), *fields]
        request = self.phone.compose(f"{method} {self.target} SIP/2.0", rows, body)
        self.phone.send(request.raw)
        return request


async def connected(caller: SipPhone, callee: SipPhone, seconds: float = PATIENCE) -> tuple[Call, Call]:
    """A call between two phones that is established: both of its sides."""
    calling = caller.invite(callee.uri)
    called = await callee.incoming(seconds)
    called.ring()
    await calling.expect(180, seconds)
    called.answer()
    response = await calling.expect(200, seconds)
    calling.ack(response)
    await called.expect_ack(seconds)
    return calling, called
