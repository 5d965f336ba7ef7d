"""The target set of a request for a user of ours (RFC 3261 16.5).

A request that already knows its way (a flow token, or a Route that leads on) passes. One for
an address of record of ours gets the bindings that the location service has; a GRUU selects
the bindings of one device, also in the middle of a dialog, since phones use it as Contact.

A binding is reached over the phone's own flow. When another node holds the flow, the request
goes to that node's internal transport with the flow token in Route; when that node is known
to be dead, the target is asleep and its branch fails at once.
"""

from __future__ import annotations

from collections.abc import Awaitable

from cluster.errors import StoreUnavailable
from cluster.location.binding import Binding
from cluster.location.service import LocationService, Record
from cluster.membership import Members
from node.fork.target import Target, groups
from node.identity import Identity
from node.request import Request
from node.sip.codec_python import METHODS
from node.sip.errors import ParseError
from node.sip.uri import parse_uri
from node.stages import TAKEN, Verdict

CACHE = 65_536
KNOWN = frozenset(METHODS.values())
Groups = list[list[Target]]


class Location:
    """Looks users up; holds what it made of a record until the record changes."""

    def __init__(
        self,
        identity: Identity,
        locations: LocationService,
        members: Members,
        retry_after: int,
        late: bool = False,
        accounts: bool = False,
    ) -> None:
        """With `late` a call for a user without a phone passes: it waits for one to register. With
        `accounts` a MESSAGE passes for users who have registered before: it is kept for them."""
        self._identity = identity
        self._locations = locations
        self._members = members
        self._late = late
        self._accounts = accounts
        self._retry_after = b"Retry-After: %d\r\n" % retry_after
        self._for_calls: dict[str, tuple[Record, object, int, Groups]] = {}
        self._for_messages: dict[str, tuple[Record, object, int, Groups]] = {}

    def __call__(self, request: Request) -> Verdict | Awaitable[Verdict]:
        """Sets the groups; 404, 480, 403 or 503 when there is nobody to ask."""
        if request.next_route or (request.flow_token and request.uri.find(b";gr") < 0):
            return None  # a GRUU finds the device even when the flow of its dialog broke
        try:
            aor = self._identity.aor(request.uri)
        except ParseError as error:
            request.reply(error.status, request.now, error.reason)
            return TAKEN
        if aor is None:
            return None if request.message.to_tag else self._foreign(request)
        request.aor = aor
        record = self._locations.cached(aor)
        if record is None:
            return self._fetch(request, aor)
        return self._target(request, record)

    def _foreign(self, request: Request) -> Verdict:
        """The request leaves our domains: only for who is in one (or within a dialog)."""
        if request.flow.listener.internal:
            return None
        try:
            caller = parse_uri(request.message.from_uri)
            target = parse_uri(request.uri)
        except ParseError as error:
            request.reply(error.status, request.now, error.reason)
            return TAKEN
        if target.scheme not in ("sip", "sips"):
            request.reply(416, request.now)
        elif self._identity.names_us(request.uri) or (not target.user and self._identity.serves(target.host)):
            # for nobody but this node, which would have to know the method itself (RFC 3261 21.5.2)
            request.reply(404 if request.method in KNOWN else 501, request.now)
        elif not self._identity.serves(caller.host):
            request.reply(403, request.now, "Neither caller nor callee is served here")
        else:
            return None
        return TAKEN

    async def _fetch(self, request: Request, aor: str) -> Verdict:
        try:
            record = await self._locations.lookup(aor)
        except StoreUnavailable:
            request.reply(503, request.now, "Location service unavailable", self._retry_after)
            return TAKEN
        return self._target(request, record)

    def _target(self, request: Request, record: Record) -> Verdict:
        uri = request.uri
        request.record = record
        if uri.find(b";gr") >= 0 and "gr" in (params := parse_uri(uri).params):
            found = self._device(record, params["gr"] or "", request.method == "MESSAGE")
            if not found and request.flow_token:
                return None
        else:
            found = self._groups(record, request.method == "MESSAGE")
        if not found:
            if self._late and request.invite and not request.message.to_tag:
                request.groups = []  # whoever registers while the call waits is asked
                return None
            if self._accounts and record.known and _for_a_user(request):
                request.groups = []
                return None
            request.reply(404, request.now)
            return TAKEN
        if uri[:5].lower() == b"sips:":
            found = _secure_only(found)
            if not found:
                warning = b'Warning: 380 clarion "SIPS not allowed: no secure binding"\r\n'
                request.reply(480, request.now, insert=warning)
                return TAKEN
        request.groups = found
        return None

    def _groups(self, record: Record, message: bool) -> Groups:
        """Target groups of a record, remade when record, members or expiry ask for it."""
        made = self._for_messages if message else self._for_calls
        now_ms = self._locations.now_ms()
        known = made.get(record.aor)
        members = self._members.snapshot
        if known is not None and known[0] is record and known[1] is members and now_ms < known[2]:
            return known[3]
        found = [b for b in record.bindings if _valid(b, message, now_ms)]
        if len(found) == 1:  # nearly every user
            until = found[0].message_expires_at if message else found[0].expires_at
            result = [[self.target(found[0])]]
        else:
            until = min((b.message_expires_at if message else b.expires_at for b in found), default=now_ms)
            result = groups([self.target(binding) for binding in found])
        if len(made) >= CACHE:
            made.clear()
        made[record.aor] = (record, members, until, result)
        return result

    def _device(self, record: Record, gr: str, message: bool) -> Groups:
        """Targets of the one device that a GRUU names (RFC 5627 5.1)."""
        now_ms = self._locations.now_ms()
        found = [
            binding
            for binding in record.bindings
            if binding.instance.strip("<>") == gr and _valid(binding, message, now_ms)
        ]
        return groups([self.target(binding) for binding in found])

    def target(self, binding: Binding) -> Target:
        """The target of one binding."""
        uri = request_uri(binding.uri)
        device = binding.instance if binding.reg_id else ""
        if binding.path:
            return Target(
                uri, binding.q, tuple(p.encode() for p in binding.path), device=device, binding=binding
            )
        if binding.node in ("", self._identity.name):
            return Target(uri, binding.q, flow_token=binding.flow, device=device, binding=binding)
        member = self._members.snapshot.get(binding.node)
        if member is None or (binding.reliable and member.epoch != binding.epoch):
            return Target(uri, binding.q, device=device, asleep=bool(binding.flow), binding=binding)
        route = internal_route(member.internal, binding.flow)
        return Target(uri, binding.q, (route,), device=device, internal=True, binding=binding)


def request_uri(contact: str) -> bytes:
    """A Contact URI as it may stand in a Request-URI: header fields and the method parameter
    have no place there (RFC 3261 16.5, 19.1.1)."""
    raw = contact.encode()
    if "?" not in contact and ";method=" not in contact.lower():
        return raw
    uri = parse_uri(raw).without_params(("method",))
    return str(uri).removesuffix("?" + uri.headers).encode()


def internal_route(internal: str, token: str) -> bytes:
    """Route URI of another node: `tcp:127.0.0.1:5070` and a flow token (may be empty)."""
    transport, _, address = internal.partition(":")
    user = f"{token}@" if token else ""
    return f"sip:{user}{address};transport={transport};lr".encode()


def _for_a_user(request: Request) -> bool:
    """A MESSAGE for nobody's device in particular, nor for those that TLS reaches."""
    if request.method != "MESSAGE" or request.message.to_tag:
        return False
    return request.uri.find(b";gr") < 0 and request.uri[:5].lower() != b"sips:"


def _valid(binding: Binding, message: bool, now_ms: int) -> bool:
    return (binding.message_expires_at if message else binding.expires_at) > now_ms


def _secure_only(found: Groups) -> Groups:
    """RFC 5630 3.1: a SIPS request goes to SIPS contacts or over TLS only."""
    secure = [
        [
            target
            for target in group
            if target.uri.startswith(b"sips:") or b"transport=tls" in target.uri.lower()
        ]
        for group in found
    ]
    return [group for group in secure if group]
