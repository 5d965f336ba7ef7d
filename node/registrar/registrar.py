"""The registrar stage (RFC 3261 10.3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from cluster.errors import StoreUnavailable
from cluster.location.binding import Binding
from cluster.location.service import Change, LocationService, Outcome
from node.events import Registered, RegistrationRefused
from node.fork.target import device_of
from node.identity import Identity
from node.registrar.answer import RegisterAnswer
from node.registrar.contact import Refused, Wanted, read_contacts
from node.registrar.offer import PushOffer, left_to_others
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
from node.waking.refresh import Refresh

if TYPE_CHECKING:
    from node.messages.drains import Drains

EXTENSIONS = frozenset((b"path", b"outbound", b"gruu"))


class Asked:
    """One REGISTER that changes bindings, while Redis works on it."""

    __slots__ = ("aor", "before", "caps", "changes", "request", "wildcard")

    def __init__(
        self, request: Request, aor: str, changes: list[Change], wildcard: bool, caps: bytes
    ) -> None:
        self.request = request
        self.aor = aor
        self.changes = changes
        self.wildcard = wildcard
        self.caps = caps  # Feature-Caps of its 200
        self.before: tuple[Binding, ...] = ()  # what was registered, as far as that is known

    @property
    def only_removes(self) -> bool:
        return self.wildcard or not any(change.ttl_ms for change in self.changes)


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
        clock: Callable[[], float],
        failed: Callable[[Request], None],
        offer: PushOffer | None = None,
        refresh: Refresh | None = None,
    ) -> None:
        """`clock` tells the loop's time; `failed` is told of a request that ran into a fault of ours. Without
        `offer` and `refresh` no phone is woken here."""
        self._identity = identity
        self._epoch = epoch
        self._locations = locations
        self._tokens = tokens
        self._settings = settings
        self._retry_after = b"Retry-After: %d\r\n" % retry_after
        self._answer = RegisterAnswer(settings)
        self._emit = emit
        self._clock = clock
        self._failed = failed
        self._offer = offer
        self._refresh = refresh
        self.delivery: Drains | None = None  # set where messages are stored
        self.waiting = 0  # for Redis, with what a REGISTER changes

    @staticmethod
    def concerns(method: str) -> bool:
        """REGISTER only."""
        return method == "REGISTER"

    def __call__(self, request: Request) -> Verdict | Awaitable[Verdict]:
        """200, or 400, 403, 423, 439, 500, 503 with the reason; REGISTER elsewhere passes."""
        if request.next_route:
            return None
        aor: str | None = None
        try:
            domain = parse_uri(request.uri).host
            if not self._identity.serves(domain) and not self._identity.names_us(request.uri):
                return None
            aor = self._identity.aor(request.message.to_uri)
            if aor is None:
                raise Refused(403, "This domain or user is not served here")
            if request.message.has("require"):
                _require(request.message)
            wanted = read_contacts(request.message, self._settings)
            if wanted is not None and not wanted:
                return self._list(request, aor)
            caps = self._caps(request.message, aor, wanted) if wanted else b""
            changes = [self._one(request, contact) for contact in wanted or ()]
            return self._change(Asked(request, aor, changes, wanted is None, caps))
        except (Refused, ParseError) as refused:
            insert = refused.insert if isinstance(refused, Refused) else b""
            self._refuse(request, aor, refused.status, _reason(refused), insert)
        return TAKEN

    async def _list(self, request: Request, aor: str) -> Verdict:
        """Without a Contact it only asks what is there."""
        try:
            record = await self._locations.fetch(aor)
        except StoreUnavailable as error:
            request.now = self._clock()
            self._unavailable(request, aor, error)
        else:
            lines = self._answer.lines(request.message, record, (), self._locations.now_ms())
            request.reply(200, self._clock(), insert=lines)
        return TAKEN

    def _caps(self, message: Message, aor: str, wanted: list[Wanted]) -> bytes:
        """Feature-Caps for the 200. Raises Refused 555."""
        if not any(contact.push for contact in wanted):
            return b""
        others = left_to_others(message) if message.has("feature-caps") else frozenset()
        for contact in wanted:
            if contact.prid and contact.push.get("pn-provider") in others:
                contact.leave_waking()
        if self._offer is None:
            return b""
        return self._offer.lines(aor, self._offer.check(wanted), others)

    def _change(self, asked: Asked) -> Verdict | Awaitable[Verdict]:
        """Where pushes are scheduled it matters what was there before: which of them to take back."""
        if self._refresh is not None:
            record = self._locations.cached(asked.aor)
            if record is not None:
                asked.before = record.bindings
            elif asked.only_removes:
                return self._look_first(asked)
        self._submit(asked)
        return TAKEN

    async def _look_first(self, asked: Asked) -> Verdict:
        request = asked.request
        try:
            asked.before = (await self._locations.fetch(asked.aor)).bindings
        except StoreUnavailable:
            pass  # the change itself will find out
        request.now = self._clock()
        try:
            self._submit(asked)
        except UnicodeEncodeError:
            self._refuse(request, asked.aor, 400, "A URI or parameter that is not UTF-8")
        except Exception:
            self._failed(request)
        return TAKEN

    def _submit(self, asked: Asked) -> None:
        """Sent to Redis from here; `_changed` answers when it has been done, without a Task in between."""
        message = asked.request.message
        self._locations.submit_register(
            asked.aor,
            asked.changes,
            partial(self._changed, asked),
            max_contacts=self._settings.max_contacts,
            wildcard=asked.wildcard,
            call_id=message.call_id.decode("utf-8", "replace"),
            cseq=message.cseq,
        )
        self.waiting += 1  # where Redis is away `_changed` has been called already; the sum is right

    def _changed(self, asked: Asked, outcome: Outcome | StoreUnavailable) -> None:
        """Comes out of the stream of replies, so nothing may be raised here."""
        self.waiting -= 1
        request = asked.request
        request.now = self._clock()
        try:
            if isinstance(outcome, StoreUnavailable):
                self._unavailable(request, asked.aor, outcome)
            elif outcome.refused:
                self._refuse(request, asked.aor, 500, "CSeq out of order")
            else:
                self._accept(asked, outcome)
        except Exception:
            self._failed(request)

    def _one(self, request: Request, contact: Wanted) -> Change:
        message, flow = request.message, request.flow
        path = _path(message)
        if contact.reg_id and message.via_count > 1 and not any(";ob" in uri for uri in path[:1]):
            raise Refused(439, "First Hop Lacks Outbound Support")
        if path:
            binding = contact.binding(message, path, "", "", "", False)
        else:
            token = self._tokens.token(flow) if _only_by_flow(contact, flow) else ""
            binding = contact.binding(message, (), self._identity.name, self._epoch, token, flow.reliable)
        return Change(binding, contact.ttl * 1000, contact.message_ttl * 1000)

    def _accept(self, asked: Asked, outcome: Outcome) -> None:
        request, changes = asked.request, asked.changes
        message = request.message
        keys = tuple([change.binding.key for change in changes])
        lines = self._answer.lines(message, outcome.record, keys, self._locations.now_ms())
        request.reply(200, request.now, insert=lines + asked.caps)
        if self._refresh is not None:
            self._refresh.changed(asked.aor, asked.before, changes, outcome.record)
        delivery = self.delivery
        if delivery is not None and (outcome.record.messages or delivery.concerns(asked.aor)):
            devices = [device_of(change.binding) for change in changes if change.ttl_ms]
            if devices:
                delivery.registered(asked.aor, outcome.record, devices, request.now)
        if self._emit is None:
            return
        self._emit(
            Registered(
                aor=asked.aor,
                devices=keys,
                expires=max([0, *[change.ttl_ms for change in changes]]) // 1000,
                source=_source(request.flow),
                user_agent=changes[0].binding.user_agent if changes else "",
                call_id=message.call_id.decode("utf-8", "replace"),
            )
        )

    def _unavailable(self, request: Request, aor: str, error: StoreUnavailable) -> None:
        reason = "Registration store unavailable"
        self._refuse(request, aor, 503, reason, self._retry_after, str(error))

    def _refuse(
        self,
        request: Request,
        aor: str | None,
        status: int,
        reason: str,
        insert: bytes = b"",
        detail: str = "",
    ) -> None:
        request.reply(status, request.now, reason, insert)
        if self._emit is None:
            return
        call_id = request.message.call_id.decode("utf-8", "replace")
        why = detail or reason
        self._emit(RegistrationRefused(aor or "", status, why, _source(request.flow), call_id))


def _require(message: Message) -> None:
    """RFC 3261 10.3 step 2. Raises Refused 420 for extensions that we do not know."""
    unknown = [option for option in message.values("require") if option.lower() not in EXTENSIONS]
    if unknown:
        raise Refused(420, "Bad Extension", b"Unsupported: " + b", ".join(unknown) + b"\r\n")


def _only_by_flow(contact: Wanted, flow: Flow) -> bool:
    """True when the phone can be reached over this flow and no other way (RFC 5626 5.2):
    every connection; UDP when asked for (reg-id, ob) or when a NAT changed the address."""
    if flow.reliable:
        return True
    uri = contact.uri
    if contact.reg_id or "ob" in uri.params:
        return True
    return uri.host.encode() != flow.received and is_address(uri.host)


def _path(message: Message) -> tuple[str, ...]:
    values = message.values("path")
    if not values:
        return ()
    return tuple([parse_address(value).uri.decode("utf-8", "replace") for value in values])


def _reason(error: Refused | ParseError) -> str:
    return error.reason if isinstance(error, ParseError) else str(error)


def _source(flow: Flow) -> str:
    return f"{flow.transport}:{flow.received.decode()}:{flow.rport}"
