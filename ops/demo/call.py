"""A call between two phones: each side's dialog (RFC 3261 12), moved on by the scenario."""

import secrets

from node.sip.codec import Message
from ops.demo.phone import SDP, DidNotHappen, Phone


class Caller:
    """The side that calls."""

    def __init__(self, phone: Phone, callee: str) -> None:
        """Sends the INVITE to the URI `callee`."""
        self._phone = phone
        self.call_id = secrets.token_hex(8)
        self._from = f"<{phone.uri}>;tag={secrets.token_hex(4)}"
        self._dialog: Message | None = None  # the 200
        rows = self._rows("INVITE", 1, f"<{callee}>") + f"Contact: <{phone.contact}>\r\n"
        phone.send(phone.request("INVITE", callee, rows, SDP))

    async def expect(self, status: int) -> Message:
        """Waits for a response to the INVITE, passing over provisional ones. Raises DidNotHappen."""
        what = f"{status} to its INVITE"
        answer = await self._phone.expect(
            lambda m: m.method == "INVITE" and (m.status == status or m.status >= 200), what
        )
        if answer.status != status:
            raise DidNotHappen(f"{self._phone.user} waited for {what}, got {answer.status} {answer.reason}")
        if status == 200:
            self._dialog = answer
        return answer

    def acknowledge(self) -> None:
        """ACK of the 200."""
        self._in_dialog("ACK", 1)

    async def hang_up(self) -> None:
        """BYE and its answer. Raises DidNotHappen."""
        self._in_dialog("BYE", 2)
        await self._phone.expect(lambda m: m.method == "BYE" and m.status == 200, "200 to its BYE")

    async def hung_up(self) -> None:
        """Answers the BYE of the other side. Raises DidNotHappen."""
        await _answer_bye(self._phone)

    def _in_dialog(self, method: str, number: int) -> None:
        dialog = self._dialog
        if dialog is None:
            raise DidNotHappen(f"{self._phone.user} sent {method}: its call was not answered")
        routes = [value.decode() for value in reversed(dialog.values("record-route"))]
        rows = self._rows(method, number, _text(dialog, "to")) + _routes(routes)
        self._phone.send(self._phone.request(method, _target(dialog), rows))

    def _rows(self, method: str, number: int, to: str) -> str:
        return f"From: {self._from}\r\nTo: {to}\r\nCall-ID: {self.call_id}\r\nCSeq: {number} {method}\r\n"


class Callee:
    """The side that is called."""

    def __init__(self, phone: Phone, invite: Message) -> None:
        self._phone = phone
        self._invite = invite
        self._tag = secrets.token_hex(4)

    @classmethod
    async def incoming(cls, phone: Phone) -> "Callee":
        """Waits for an INVITE. Raises DidNotHappen."""
        return cls(phone, await phone.expect(lambda m: m.is_request and m.method == "INVITE", "an INVITE"))

    def ring(self) -> None:
        """180."""
        self._answer(180, "Ringing")

    async def pick_up(self) -> None:
        """200 and its ACK. Raises DidNotHappen."""
        self._answer(200, "OK", SDP)
        await self._phone.expect(lambda m: m.is_request and m.method == "ACK", "the ACK of its 200")

    async def hung_up(self) -> None:
        """Answers the BYE of the other side. Raises DidNotHappen."""
        await _answer_bye(self._phone)

    async def hang_up(self) -> None:
        """BYE and its answer. Raises DidNotHappen."""
        invite = self._invite
        routes = [value.decode() for value in invite.values("record-route")]
        rows = (
            f"From: {_text(invite, 'to')};tag={self._tag}\r\nTo: {_text(invite, 'from')}\r\n"
            f"Call-ID: {invite.call_id.decode()}\r\nCSeq: 1 BYE\r\n" + _routes(routes)
        )
        self._phone.send(self._phone.request("BYE", _target(invite), rows))
        await self._phone.expect(lambda m: m.method == "BYE" and m.status == 200, "200 to its BYE")

    def _answer(self, status: int, reason: str, body: bytes = b"") -> None:
        rows = b"".join(b"Record-Route: " + value + b"\r\n" for value in self._invite.values("record-route"))
        rows += f"Contact: <{self._phone.contact}>\r\n".encode()
        rows += b"Content-Type: application/sdp\r\n" if body else b""
        self._phone.send(_reply(self._invite, status, reason, self._tag.encode(), rows, body))


async def _answer_bye(phone: Phone) -> None:
    bye = await phone.expect(lambda m: m.is_request and m.method == "BYE", "a BYE")
    phone.send(_reply(bye, 200, "OK"))


def _reply(
    request: Message, status: int, reason: str, tag: bytes = b"", rows: bytes = b"", body: bytes = b""
) -> bytes:
    # it came from where its Via says: nothing to note there
    return request.reply(status, reason, tag, request.via_host, request.via_port, rows, body)


def _target(message: Message) -> str:
    """URI of its Contact."""
    contact = _text(message, "contact")
    return contact.partition("<")[2].partition(">")[0] or contact


def _text(message: Message, name: str) -> str:
    return (message.first(name) or b"").decode()


def _routes(routes: list[str]) -> str:
    return "".join(f"Route: {route}\r\n" for route in routes)
