"""The registrar stage (RFC 3261 10.3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from cluster.errors import StoreUnavailable
from cluster.location.service import Change, LocationService, Outcome
from node.events import Registered, RegistrationRefused
from node.identity import Identity
from node.registrar.answer import RegisterAnswer
from node.registrar.contact import Refused, Wanted, read_contacts
from node.request import Request
from node.settings import RegistrarSettings
from node.sip.address import parse_address
from node.sip.codec import Message
from node.sip.errors import ParseError
from node.sip.uri import parse_uri
from node.stages import TAKEN, Verdict
from node.transport.address import is_address
from node.transport.flow import Flow
from node.transport.token import FlowTokens


class Registrar:
    """Takes each REGISTER for a domain of ours."""

    def __init__(
        self,
        identity: Identity,
        epoch: str,
        locations: LocationService,
        tokens: FlowTokens,
        settings: RegistrarSettings,
        retry_after: int,
        emit: Callable[[object], None] | None,
    ) -> None:
        self._identity = identity
        self._epoch = epoch
        self._locations = locations
        self._tokens = tokens
        self._settings = settings
        self._retry_after = b"Retry-After: %d\r\n" % retry_after
        self._answer = RegisterAnswer(settings)
        self._emit = emit

    @staticmethod
    def concerns(method: str) -> bool:
        """REGISTER only."""
        return method == "REGISTER"

    def __call__(self, request: Request) -> Verdict | Awaitable[Verdict]:
        """200, or 400, 403, 423, 439, 500, 503 with the reason; REGISTER elsewhere passes."""
        if request.next_route:
            return None
        try:
            domain = parse_uri(request.uri).host
            if not self._identity.serves(domain) and not self._identity.names_us(request.uri):
                return None
            return self._register(request, self._aor(request.message))
        except ParseError as error:
            request.reply(error.status, request.now, error.reason)
            return TAKEN

    def _aor(self, message: Message) -> str | None:
        return self._identity.aor(message.to_uri)

    async def _register(self, request: Request, aor: str | None) -> Verdict:
        try:
            if aor is None:
                raise Refused(403, "This domain or user is not served here")
            await self._change(request, aor)
        except (Refused, ParseError) as refused:
            self._refuse(request, aor, refused.status, _reason(refused), getattr(refused, "insert", b""))
        except StoreUnavailable as error:
            reason = "Registration store unavailable"
            self._refuse(request, aor, 503, reason, self._retry_after, str(error))
        return TAKEN

    async def _change(self, request: Request, aor: str) -> None:
        message = request.message
        wanted = read_contacts(message, self._settings)
        if wanted is not None and not wanted:
            record = await self._locations.fetch(aor)
            now_ms = self._locations.now_ms()
            request.reply(200, request.now, insert=self._answer.lines(message, record, (), now_ms))
            return
        changes = [self._one(request, contact) for contact in wanted or ()]
        outcome = await self._locations.register(
            aor,
            changes,
            max_contacts=self._settings.max_contacts,
            wildcard=wanted is None,
            call_id=message.call_id.decode("utf-8", "replace"),
            cseq=message.cseq,
        )
        if outcome.refused:
            raise Refused(500, "CSeq out of order")
        self._accept(request, aor, changes, outcome)

    def _one(self, request: Request, contact: Wanted) -> Change:
        message, flow = request.message, request.flow
        path = tuple(parse_address(value).uri.decode("utf-8", "replace") for value in message.values("path"))
        if contact.reg_id and message.via_count > 1 and not any(";ob" in uri for uri in path[:1]):
            raise Refused(439, "First Hop Lacks Outbound Support")
        if path:
            binding = contact.binding(message, path=path)
        else:
            token = self._tokens.token(flow) if _only_by_flow(contact, flow) else ""
            binding = contact.binding(
                message,
                node=self._identity.name,
                epoch=self._epoch,
                flow=token,
                reliable=flow.reliable,
            )
        return Change(binding, contact.ttl * 1000, contact.message_ttl * 1000)

    def _accept(self, request: Request, aor: str, changes: list[Change], outcome: Outcome) -> None:
        message = request.message
        keys = tuple(change.binding.key for change in changes)
        lines = self._answer.lines(message, outcome.record, keys, self._locations.now_ms())
        request.reply(200, request.now, insert=lines)
        if self._emit is None:
            return
        self._emit(
            Registered(
                aor=aor,
                devices=keys,
                expires=max((change.ttl_ms for change in changes), default=0) // 1000,
                source=_source(request.flow),
                user_agent=changes[0].binding.user_agent if changes else "",
                call_id=message.call_id.decode("utf-8", "replace"),
            )
        )

    def _refuse(
        self, request: Request, aor: str | None, status: int, reason: str, insert: bytes, detail: str = ""
    ) -> None:
        request.reply(status, request.now, reason, insert)
        if self._emit is None:
            return
        call_id = request.message.call_id.decode("utf-8", "replace")
        why = detail or reason
        self._emit(RegistrationRefused(aor or "", status, why, _source(request.flow), call_id))


def _only_by_flow(contact: Wanted, flow: Flow) -> bool:
    """True when the phone can be reached over this flow and no other way (RFC 5626 5.2):
    every connection; UDP when asked for (reg-id, ob) or when a NAT changed the address."""
    if flow.reliable:
        return True
    if contact.reg_id or "ob" in contact.uri.params:
        return True
    host = contact.uri.host
    return is_address(host) and host.encode() != flow.received


def _reason(error: Refused | ParseError) -> str:
    return error.reason if isinstance(error, ParseError) else str(error)


def _source(flow: Flow) -> str:
    return f"{flow.transport}:{flow.received.decode()}:{flow.rport}"
