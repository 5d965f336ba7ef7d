"""Conversations: what arrives at a node, and what must leave it.

    >> alice INVITE sip:bob@example.org     a request from alice's flow
    << alice 100                            what must leave next to alice
    << bob INVITE sip:bob@192.0.2.2:5060
        Record-Route: <sip:192.0.2.1        a line that the message must hold (prefix)
    >> bob 180                              bob answers the last request that he got
    .. 5                                    five seconds pass
    << push voip call token                 a push that must be queued; `withdrawn token` takes it back
    << store keeps normal <urn:bob>         a message that must be stored: see `message_store`
    == nothing                              nothing else has left to anybody

Requests get the header fields they need by themselves; indented lines under `>>` are added, or
replace the field of that name; `> text` is the body. Peers are flows:
`playbook.phone("bob", "udp", "192.0.2.2", 5060)`.
The clock is the playbook's own: 32 seconds take no time.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import re
from collections import deque

import msgspec

from cluster.errors import StoreUnavailable
from cluster.location.binding import Binding
from cluster.location.service import Outcome, Record
from cluster.membership import Member
from node.proxy import Proxy
from node.resolve.locator import Destination
from node.settings import NodeRoomSettings, NodeSettings
from node.sip.codec import parse
from node.sip.uri import parse_uri
from node.transport.flow import Listener
from node.transport.token import FlowTokens
from tests.conversations.message_store import MessageStore

NODE = "192.0.2.1"
REASON = {100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 202: "Accepted"}


class Loop:
    """A clock that the playbook moves, over the running event loop."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._due: list = []
        self._count = itertools.count()

    def time(self) -> float:
        return self.now

    def call_at(self, when, callback, *args):
        handle = asyncio.get_running_loop().call_later(86400, lambda: None)
        handle.cancel()
        entry = [when, next(self._count), callback, args, False]
        heapq.heappush(self._due, entry)

        class Handle:
            def cancel(self) -> None:
                entry[4] = True

        return Handle()

    def create_task(self, work):
        return asyncio.get_running_loop().create_task(work)

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self._due and self._due[0][0] <= end:
            when, _, callback, args, cancelled = heapq.heappop(self._due)
            if not cancelled:
                self.now = max(self.now, when)
                callback(*args)
        self.now = end


class PeerFlow:
    """A flow whose other end is the test."""

    serials = itertools.count(1)

    def __init__(self, playbook: Playbook, name: str, transport: str, host: str, port: int, listener) -> None:
        self.name = name
        self.transport = transport
        self.reliable = transport != "udp"
        self.received = host.encode()
        self.rport = port
        self.listener = listener
        self.serial = next(self.serials) if self.reliable else 0
        self.closed = False
        self.token = ""
        self.got: list[bytes] = []
        self._playbook = playbook
        self._watchers: list = []

    def send(self, data: bytes) -> None:
        self._playbook.left.append((self.name, data))

    def watch(self, callback) -> None:
        self._watchers.append(callback)

    def unwatch(self, callback) -> None:
        if callback in self._watchers:
            self._watchers.remove(callback)

    def close(self, reason: str) -> None:
        self.closed = True
        for callback in self._watchers[:]:
            callback(self, reason)


class Locations:
    """The location service as a dictionary; `away` makes it unreachable."""

    def __init__(self, loop: Loop) -> None:
        self.records: dict[str, Record] = {}
        self.away = False
        self.cold = False  # nothing cached: every look-up must fetch
        self.changes: list = []
        self.refuse = ""
        self.connected = True
        self.muted = False  # publications are lost
        self.heard: dict[str, list] = {}
        self._loop = loop

    def now_ms(self) -> int:
        return int(self._loop.now * 1000)

    def cached(self, aor: str) -> Record | None:
        if self.away or self.cold:
            return None
        return self.records.get(aor, Record(aor, ()))

    def subscribe(self, aor: str, heard) -> None:
        self.heard.setdefault(aor, []).append(heard)

    def unsubscribe(self, aor: str, heard) -> None:
        self.heard[aor].remove(heard)
        if not self.heard[aor]:
            del self.heard[aor]

    def publish(self, aor: str, *keys: str) -> None:
        """A registration is heard of."""
        for heard in () if self.muted else tuple(self.heard.get(aor, ())):
            heard(aor, keys)

    async def lookup(self, aor: str) -> Record:
        known = self.records.get(aor)
        return await self.fetch(aor) if known is None or not self.away else known

    async def fetch(self, aor: str) -> Record:
        if self.away:
            raise StoreUnavailable("Redis is away")
        return self.records.get(aor, Record(aor, ()))

    async def register(self, aor, changes, *, max_contacts, wildcard=False, call_id, cseq) -> Outcome:
        if self.away:
            raise StoreUnavailable("Redis is away")
        return self._change(aor, changes, wildcard)

    def submit_register(self, aor, changes, done, *, max_contacts, wildcard=False, call_id, cseq) -> None:
        if self.away:
            done(StoreUnavailable("Redis is away"))
        else:
            outcome = self._change(aor, changes, wildcard)
            done(outcome)
            self.publish(aor, *(change.binding.key for change in changes))

    def _change(self, aor, changes, wildcard) -> Outcome:
        self.changes.append((aor, changes))
        kept = {} if wildcard else {b.key: b for b in self.records.get(aor, Record(aor, ())).bindings}
        for change in changes:
            kept.pop(change.binding.key, None)
            if change.ttl_ms:
                kept[change.binding.key] = _stamped(change, self.now_ms())
        known = self.records.get(aor, Record(aor, ()))
        record = msgspec.structs.replace(known, bindings=tuple(kept.values()), known=True)
        self.records[aor] = record
        return Outcome(record, self.refuse, ())


def _stamped(change, now_ms: int) -> Binding:
    return msgspec.structs.replace(
        change.binding,
        expires_at=now_ms + change.ttl_ms,
        message_expires_at=now_ms + max(change.ttl_ms, change.message_ttl_ms),
        registered_at=now_ms,
    )


class Offer:
    def __init__(self, provider: str, vapid: str = "") -> None:
        self.provider = provider
        self.vapid = vapid


class Pushes:
    """The push service: what is sent leaves towards the peer `push`."""

    def __init__(self, playbook: Playbook) -> None:
        self._playbook = playbook
        self.catalogue = self
        self.unsupported: dict[str, str] = {}  # provider -> why not
        self.broken: set[str] = set()  # providers that are set up, and whose keys cannot be read
        self.problem = ""  # why nothing can be queued
        self.sent: list = []
        self.scheduled: dict = {}
        self.known: dict = {}  # what `last` answers

    def supports(self, provider: str, app: str) -> str:
        return self.unsupported.get(provider, "key cannot be read" if provider in self.broken else "")

    def configured(self, provider: str, app: str) -> bool:
        return provider not in self.unsupported

    def offers(self):
        return (Offer("apns"), Offer("fcm"), Offer("webpush", "BNbN3OiAT"))

    def send(self, push, done) -> None:
        if not self.problem:
            self.sent.append(push)
            text = f"{push.kind} {push.event} {push.token}\r\ncollapse: {push.collapse}\r\nid: {push.id}\r\n"
            text += f"provider: {push.provider} {push.app}\r\nfrom: {push.from_name} {push.from_uri}\r\n"
            self._playbook.left.append(("push", text.encode()))
        asyncio.get_running_loop().call_soon(done, self.problem)

    def withdraw(self, push) -> None:
        self._playbook.left.append(("push", f"withdrawn {push.token}".encode()))

    def schedule(self, member, push, due_ms) -> None:
        self.scheduled[member] = (push, due_ms)

    def unschedule(self, member, token) -> None:
        self.scheduled.pop(member, None)

    async def last(self, aor):
        return self.known

    def now_ms(self) -> int:
        return int(self._playbook.loop.now * 1000)


class Members:
    """Membership as the test says it."""

    def __init__(self) -> None:
        self.snapshot: dict[str, Member] = {}


class Locator:
    """Numeric hosts and what `names` says; names in `.invalid` need (and fail) a real look-up."""

    def __init__(self) -> None:
        self.names: dict[str, tuple[Destination, ...]] = {}
        self.avoided: list[Destination] = []

    def failed(self, destination: Destination) -> None:
        self.avoided.append(destination)

    def locate_now(self, uri: bytes):
        parsed = parse_uri(uri)
        transport = (parsed.params.get("transport") or "udp").lower()
        if parsed.host.endswith(".invalid"):
            return None
        if parsed.host in self.names:
            return self.names[parsed.host]
        return (Destination(transport, parsed.host, parsed.port or 5060, parsed.host),)

    async def locate(self, uri: bytes):
        from node.resolve.locator import LocateError

        raise LocateError(parse_uri(uri).host, "no such name")


class Playbook:
    """One node in memory, its peers, and what left it."""

    def __init__(
        self, settings: NodeRoomSettings | None = None, name: str = "a", messages: bool = False
    ) -> None:
        """With `messages` there is a store of messages."""
        self.left: deque[tuple[str, bytes]] = deque()
        self.loop = Loop()
        self.locations = Locations(self.loop)
        self.members = Members()
        self.locator = Locator()
        self.events: list[object] = []
        self.push = Pushes(self)
        self.store = MessageStore(self) if messages else None
        node = NodeSettings(name=name, domains=("example.org",))
        self.settings = settings or NodeRoomSettings(node=node)
        self.tokens = FlowTokens(name, [b"k" * 32], "epoch-1")
        self.proxy = Proxy(
            self.settings,
            name=name,
            epoch="epoch-1",
            locations=self.locations,
            members=self.members,
            tokens=self.tokens,
            locator=self.locator,
            loop=self.loop,
            emit=self.events.append,
            push=self.push,
            purr_key=b"p" * 32,
            messages=self.store,
        )
        self.listeners = [
            Listener("udp", NODE, 5060),
            Listener("tcp", NODE, 5060),
            Listener("tls", NODE, 5061),
            Listener("tcp", NODE, 5070, internal=True),
        ]
        self.flows: dict[str, PeerFlow] = {}
        self.requests: dict[str, list[bytes]] = {}  # requests that a peer got, not yet answered
        self.last: dict[str, bytes] = {}
        self.refuse_tcp = True
        self.tags: dict[str, str] = {}
        self._counter = itertools.count(1)
        self.proxy.attach(self)

    # what the node sees as its transports

    def flow_to(self, transport: str, host: str, port: int, server_name: str = "", internal: bool = False):
        for flow in self.flows.values():
            if (flow.transport, flow.received.decode(), flow.rport) == (transport, host, port):
                return flow
        return self.phone(f"{transport}:{host}:{port}", transport, host, port, internal=internal)

    def udp_flow(self, listener_port: int, host: str, port: int):
        return self.flow_to("udp", host, port)

    def flow_by_serial(self, serial: int):
        return next((flow for flow in self.flows.values() if flow.serial == serial), None)

    # what the test says

    def phone(self, name: str, transport: str, host: str, port: int, internal: bool = False) -> PeerFlow:
        listener = next(
            listener
            for listener in self.listeners
            if listener.transport == transport and listener.internal == internal
        )
        self.flows[name] = PeerFlow(self, name, transport, host, port, listener)
        return self.flows[name]

    def registered(self, user: str, phone: str, *, by_flow: bool | None = None, **fields) -> Binding:
        """A binding of user@example.org at a peer, straight into the location service."""
        flow = self.flows[phone]
        by_flow = flow.reliable if by_flow is None else by_flow
        uri = f"sip:{user}@{flow.received.decode()}:{flow.rport}"
        if flow.transport != "udp":
            uri += f";transport={flow.transport}"
        now = self.locations.now_ms()
        values = {
            "key": uri, "uri": uri, "params": "", "q": 1000, "expires_at": now + 3_600_000,
            "message_expires_at": now + 3_600_000, "registered_at": now, "call_id": "r", "cseq": 1,
            "node": "a", "epoch": "epoch-1", "reliable": flow.reliable,
            "flow": self.tokens.token(flow) if by_flow else "",
        }  # fmt: skip
        binding = Binding(**(values | fields))
        aor = f"{user}@example.org"
        before = self.locations.records.get(aor, Record(aor, ())).bindings
        known = self.locations.records.get(aor, Record(aor, ()))
        self.locations.records[aor] = msgspec.structs.replace(known, bindings=(*before, binding), known=True)
        return binding

    async def run(self, script: str) -> None:
        """Plays a script; an AssertionError shows the line and what really happened."""
        lines = [line for line in script.splitlines() if line.strip() and not line.strip().startswith("#")]
        index = 0
        while index < len(lines):
            line, extra = lines[index].strip(), []
            indent = len(lines[index]) - len(lines[index].lstrip())
            index += 1
            while index < len(lines) and len(lines[index]) - len(lines[index].lstrip()) > indent:
                extra.append(lines[index].strip())
                index += 1
            sign, _, rest = line.partition(" ")
            if sign == ">>":
                self.arrives(rest, extra)
                await self.settle()
            elif sign == "<<":
                self.leaves(rest, extra, line)
            elif sign == "..":
                self.loop.advance(float(rest))
                await self.settle()
            elif sign == "==":
                assert not self.left, f"nothing should leave, but: {self.shown()}"
            else:
                raise ValueError(line)

    async def settle(self) -> None:
        """Lets Tasks run until nothing more happens."""
        for _ in range(20):
            await asyncio.sleep(0)

    def shown(self) -> str:
        """What left and was not expected yet."""
        return "\n".join(f"{to} {data.decode('utf-8', 'replace')}" for to, data in self.left) or "(nothing)"

    def arrives(self, what: str, extra: list[str]) -> None:
        peer, _, rest = what.partition(" ")
        flow = self.flows[peer]
        self.deliver(self.written(peer, rest, extra), flow)

    def deliver(self, data: bytes, flow: PeerFlow) -> None:
        """Bytes as they come off the wire."""
        self.proxy.received(data, flow)

    def written(self, peer: str, what: str, extra: list[str]) -> bytes:
        first = what.split()[0]
        if first == "again":
            return self.last[peer]
        data = self.response(peer, what, extra) if first.isdigit() else self.request(peer, what, extra)
        self.last[peer] = data
        return data

    def request(self, peer: str, what: str, extra: list[str]) -> bytes:
        """`INVITE sip:bob@example.org`, with what a request needs."""
        method, uri = what.split(" ", 1)
        flow = self.flows[peer]
        host = f"{flow.received.decode()}:{flow.rport}"
        invite = self.requests.get(peer + " sent")
        fields = {
            "Via": f"SIP/2.0/{flow.transport.upper()} {host};branch=z9hG4bK{next(self._counter)}",
            "Max-Forwards": "70",
            "From": f"<sip:{peer}@example.org>;tag={peer}",
            "To": f"<{uri}>",
            "Call-ID": f"call-{peer}",
            "CSeq": f"1 {method}",
            "Contact": f"<sip:{peer}@{host}>",
        }
        if method in ("CANCEL", "ACK") and invite:
            sent = parse(invite[-1])
            fields["Via"] = (sent.first("via") or b"").decode()
            fields["To"] = (sent.first("to") or b"").decode()
        more, body = [], ""
        for line in extra:
            if line.startswith("> "):
                body += line[2:]
                continue
            name, _, value = line.partition(":")
            if name in fields:
                fields[name] = value.strip()
            else:
                more.append(line)
        rows = [f"{method} {uri} SIP/2.0", *(f"{n}: {v}" for n, v in fields.items() if v), *more]
        rows += [f"Content-Length: {len(body)}", "", body]
        data = "\r\n".join(rows).encode()
        if method == "INVITE":
            self.requests.setdefault(peer + " sent", []).append(data)
        return data

    def response(self, peer: str, what: str, extra: list[str]) -> bytes:
        """`180`, or `200 BYE`: the answer to the last request (of that method) that the peer got."""
        words = what.split()
        status = int(words[0])
        got = self.requests[peer]
        wanted = words[1] if len(words) > 1 else None
        data = next(d for d in reversed(got) if (wanted is None and not d.startswith((b"ACK", b"CANCEL")))
                    or (wanted and d.startswith(wanted.encode())))  # fmt: skip
        lines = "".join(line + "\r\n" for line in extra).encode()
        tag = b"" if status == 100 else b"tag-" + peer.encode()
        return parse(data).reply(status, REASON.get(status, "Reason"), tag, b"192.0.2.1", 5060, lines)

    def leaves(self, what: str, extra: list[str], line: str) -> None:
        peer, _, rest = what.partition(" ")
        assert self.left, f"{line!r} should leave, but nothing did"
        index = next((i for i, (to, _) in enumerate(self.left) if to == peer), None)
        assert index is not None, f"{line!r} should leave, but only:\n{self.shown()}"
        _, data = self.left[index]
        del self.left[index]
        text = data.decode("utf-8", "replace")
        first = text.split("\r\n", 1)[0]
        expected = f"SIP/2.0 {rest}" if rest.split()[0].isdigit() else rest
        assert first.startswith(expected), f"{line!r} should leave, but:\n{text}\nthen:\n{self.shown()}"
        for row in extra:
            if row.startswith("!"):  # `!Route` by its beginning, `!~To: .*;tag` by a regular expression
                pattern = row[2:] if row[1] == "~" else re.escape(row[1:])
                assert not re.search(f"(?m)^{pattern}", text), f"{row!r} must not be in:\n{text}"
            else:
                assert f"\r\n{row}" in text, f"{row!r} is not in:\n{text}"
        if peer in ("push", "store"):
            return
        if not first.startswith("SIP/2.0"):
            self.requests.setdefault(peer, []).append(data)
        self.flows[peer].got.append(data)
