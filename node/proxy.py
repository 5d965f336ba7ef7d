"""One SIP node: what the transports deliver, and who gets it.

    bytes -> codec -> transaction table -> (new requests only) route -> fork -> flows

This is the shell around the sans-IO core: it owns the clock, the one timer, the Tasks of
requests that wait, and the counters; it decides nothing that a stage could decide.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

from cluster.location.service import LocationService
from cluster.membership import Members
from node.branch_id import BranchIds
from node.events import CallEnded, result_of
from node.flows import Flows
from node.fork.response_context import ResponseContext
from node.fork.settings import ForkTimers
from node.identity import Identity
from node.messages.attempts import Attempts
from node.messages.drains import Drains
from node.messages.keeping import keeping
from node.messages.kept import Messages
from node.outgoing import Outgoing
from node.record_route import RecordRoute
from node.registrar.offer import PushOffer
from node.registrar.push import contacts_without_push
from node.registrar.registrar import Registrar
from node.request import Request
from node.resolve.locator import Locator
from node.route import METHODS, Route, stage_list
from node.settings import NodeRoomSettings
from node.sip.codec import Message, parse
from node.sip.errors import ParseError
from node.stages.admission import Admission
from node.stages.breadth import Breadth
from node.stages.capabilities import Capabilities
from node.stages.forward import Forward
from node.stages.location import Location
from node.stages.loose_route import LooseRoute
from node.stages.sanity import Sanity
from node.stages.store import Store
from node.stages.wake import Wake
from node.transaction.server_invite import PROCEEDING
from node.transaction.table import TransactionTable
from node.transaction.timers import Timers
from node.transaction.timing import Timing
from node.transport.flow import Flow
from node.transport.token import FlowTokens
from node.transport.transports import Transports
from node.waking.explain import explained
from node.waking.purr import Purr
from node.waking.pushes import Pushes
from node.waking.refresh import Refresh
from node.waking.waker import Waker

log = logging.getLogger("clarion.node")

TIMER_GRAIN = 0.01  # seconds between two looks at the deadlines
DRAIN_PATIENCE = 2.0  # seconds that copies of stored messages have to end when the node stops


class Proxy:
    """Receiver of all messages of one node (`node.transport.receiver.Receiver`)."""

    def __init__(
        self,
        settings: NodeRoomSettings,
        *,
        name: str,
        epoch: str,
        locations: LocationService,
        members: Members,
        tokens: FlowTokens,
        locator: Locator,
        loop: asyncio.AbstractEventLoop,
        emit: Callable[[object], None] | None = None,
        push: Pushes | None = None,
        purr_key: bytes = b"",
        messages: Messages | None = None,
        tell: Callable[[object], None] | None = None,
    ) -> None:
        """`emit` is told `node.events`; None if nobody listens. `tell` is told `cluster.messages.events` even
        then; None: `emit` is. Without `push` nobody is woken, without `messages` none is kept. `purr_key`
        is the cluster's secret for pn-purr (RFC 8599 6). `attach` must follow."""
        self._settings = settings
        self._name = name
        self._epoch = epoch
        self._locations = locations
        self._members = members
        self._tokens = tokens
        self._locator = locator
        self._loop = loop
        self._emit = emit
        self._tell = tell or emit
        self._push = push
        self._purr_key = purr_key
        self._messages = messages if settings.messages.enabled else None
        self.drains: Drains | None = None  # where messages are kept
        self._tasks: set[asyncio.Task[None]] = set()
        self._armed: asyncio.TimerHandle | None = None
        self._armed_for = float("inf")
        self.timers = Timers(self._arm)
        routing = settings.routing
        timing = Timing(routing.t1, routing.t2, routing.t4)
        self.table = TransactionTable(self.timers, timing, loop.time, settings.limits.transactions)
        self._tag = b"c" + secrets.token_hex(8).encode()  # in answers without a transaction
        self.requests = dict.fromkeys((*METHODS, "CANCEL", "other"), 0)  # by method
        self.refused: dict[int, int] = {}  # messages that could not be parsed, by status; 0 silent
        self.calls: dict[int, int] = {}  # ended call set-ups by final status
        self.errors = 0
        self._route: Route | None = None

    def attach(self, transports: Transports) -> None:
        """Builds the stages over open listeners; from here on messages are served."""
        settings = self._settings
        retry_after = settings.limits.retry_after
        self._transports = transports
        self.identity = Identity(self._name, settings.node.domains, transports.listeners)
        branch_ids = BranchIds()
        purr = Purr(self._purr_key) if self._purr_key and self._push is not None else None
        self.admission = Admission(retry_after)
        self.forward = Forward(
            self.table,
            ForkTimers(self.timers, settings.routing),
            Flows(transports, self._tokens, self._members, self._epoch),
            self._locator,
            Outgoing(branch_ids, RecordRoute(self._tokens)),
            self.spawn,
            self._call_ended,
            settings.transport.udp_mtu,
        )
        self.registrar = self._registrar(purr)
        late = settings.waking.fork_late and self._push is not None
        accounts = self._messages is not None and settings.messages.accept == "accounts"
        location = self.location = Location(
            self.identity, self._locations, self._members, retry_after, late, accounts
        )
        if self._push is not None:
            self.forward.waker = Waker(
                self._locations,
                self._push,
                self.timers,
                settings.waking,
                settings.routing.call_fork_timeout,
                location.target,
                self._loop.time,
                self.spawn,
            )
        stages = stage_list(
            Sanity(branch_ids),
            self.admission,
            LooseRoute(self.identity),
            Capabilities(self.identity),
            self.registrar,
            location,
            Breadth(settings.limits.branches),
            Store(self._keep(self._messages) if self._messages is not None else None),
            Wake(self._locations, location.target, purr, settings.waking, self._push is not None),
            self.forward,
        )
        self._busy = b"Retry-After: %d\r\n" % retry_after
        self._route = Route(stages, self.spawn, self._loop.time)

    def _registrar(self, purr: Purr | None) -> Registrar:
        settings = self._settings
        return Registrar(
            self.identity,
            self._epoch,
            self._locations,
            self._tokens,
            settings.registrar,
            settings.limits.retry_after,
            self._emit,
            self._loop.time,
            self._failed,
            PushOffer(self._push.catalogue, purr, settings.waking) if self._push is not None else None,
            Refresh(self._push, settings.waking) if self._push is not None else None,
        )

    def _keep(self, messages: Messages) -> Attempts:
        """Who keeps messages, and delivers them later."""
        attempts = keeping(
            messages,
            self._locations,
            self.location,
            self.forward,
            self._locator,
            self._push,
            self.timers,
            self._loop.time,
            self.spawn,
            self._tell,
            self._settings,
        )
        self.drains = self.registrar.delivery = attempts.drains
        return attempts

    def received(self, raw: bytes, flow: Flow) -> None:
        """One SIP message."""
        try:
            message = parse(raw)
            contact = message.first("contact")
            # Push parameters are nobody else's business; every message pays for this look.
            if contact is not None and contact.lower().find(b"pn-") >= 0 and message.method != "REGISTER":
                message = parse(contacts_without_push(raw))
        except ParseError as error:
            self.broken(error, flow)
            return
        now = self._loop.time()
        if message.is_request:
            self._request(message, flow, now)
        else:
            self.table.response(message, now)

    def broken(self, error: ParseError, flow: Flow) -> None:
        """A message that cannot be served: answered where RFC 3261 wants an answer."""
        message = error.message
        counted = error.status if message else 0
        self.refused[counted] = self.refused.get(counted, 0) + 1
        if message is not None:
            if not flow.reliable and message.top_via:  # where even Via is broken the source is all we have
                flow = self._reply_flow(message, flow)
            self._refuse(message, flow, error.status, error.reason)

    def _refuse(self, message: Message, flow: Flow, status: int, reason: str, insert: bytes = b"") -> None:
        """An answer without a transaction."""
        flow.send(message.reply(status, reason, self._tag, flow.received, flow.rport, insert))

    def _request(self, message: Message, flow: Flow, now: float) -> None:
        method = message.method
        try:
            self.requests[method] += 1
        except KeyError:
            self.requests["other"] += 1
        key = message.key
        server = self.table.server(key)
        if server is not None:
            if method != "ACK":
                server.retransmitted(now)
                return
            if server.acknowledged(now):
                return
        if not flow.reliable and message.via_port != flow.rport:
            flow = self._reply_flow(message, flow)
        if method == "ACK":
            server = None
        elif method == "CANCEL":
            self._cancel(message, flow, now)
            return
        else:
            server = self.table.open(message, key, flow, now)
            if server is None:
                self._refuse(message, flow, 503, "Too many transactions", self._busy)
                return
        if self._route is not None:
            request = Request(message, flow, server, now)
            try:
                self._route.run(request)
            except UnicodeEncodeError:  # text made of the message cannot be stored: octets that are not UTF-8
                request.reply(400, now, "A URI or parameter that is not UTF-8")
            except Exception:
                self._failed(request)

    def _cancel(self, message: Message, flow: Flow, now: float) -> None:
        """RFC 3261 9.2: answered here, and told to the INVITE it means."""
        request = Request(message, flow, self.table.open(message, message.key, flow, now), now)
        invite = self.table.invite_of(message)
        if invite is None:
            request.reply(481, now)
            return
        request.reply(200, now)
        if invite.state != PROCEEDING:
            return
        if invite.context is None:
            invite.cancelled = True
        else:
            reason = b"".join(b"Reason: " + value + b"\r\n" for value in message.all("reason"))
            invite.context.cancel(reason, now)

    def _reply_flow(self, message: Message, flow: Flow) -> Flow:
        """RFC 3261 18.2.2: without rport the answer goes to the port in Via, not to the source."""
        port = message.via_port or 5060
        if port == flow.rport or b";rport" in (message.first("via") or b"").lower():
            return flow
        try:
            return self._transports.udp_flow(flow.listener.port, flow.received.decode(), port)
        except LookupError:  # a port that cannot be: the source is all that is known
            return flow

    def _call_ended(self, context: ResponseContext, status: int, now: float) -> None:
        request = context.request
        self.calls[status] = self.calls.get(status, 0) + 1
        if self._emit is not None:
            message = request.message
            self._emit(
                CallEnded(
                    call_id=message.call_id.decode("utf-8", "replace"),
                    caller=message.from_uri.decode("utf-8", "replace"),
                    callee=message.to_uri.decode("utf-8", "replace"),
                    status=status,
                    result=result_of(status),
                    branches=len(context.branches),
                )
            )

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs what has to wait; a failure is logged and counted, never lost."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.errors += 1
            log.error("A request failed inside the node", exc_info=task.exception())

    def _failed(self, request: Request) -> None:
        self.errors += 1
        log.exception("%s failed inside the node", request.method)
        request.reply(500, request.now)

    def _arm(self, due: float) -> None:
        if due >= self._armed_for:
            return
        if self._armed is not None:
            self._armed.cancel()
        self._armed_for = due
        self._armed = self._loop.call_at(due, self._advance)

    def _advance(self) -> None:
        self._armed = None
        now = self._loop.time()
        due = self.timers.advance(now)
        self._armed_for = float("inf")
        if due != float("inf"):
            self._arm(max(due, now + TIMER_GRAIN))

    async def explain(self, aor: str) -> list[dict[str, Any]]:
        """What a call to each device of a user would do now, and why. Raises StoreUnavailable."""
        record = await self._locations.fetch(aor)
        waker, push = self.forward.waker, self._push
        return explained(
            record,
            self.location.target,
            self.forward.gone,
            push.catalogue.supports if push is not None else None,
            self._settings.waking,
            await push.last(aor) if push is not None else {},
            waker.journal if waker is not None else None,
            self._locations.now_ms(),
        )

    @property
    def idle(self) -> bool:
        """True when no request waits for its final response."""
        return self.forward.open.count == 0 and self.registrar.waiting == 0 and not self._tasks

    async def drain(self, timeout: float) -> bool:
        """Takes no new calls and waits until the running ones are set up, `timeout` seconds
        at most; False when some were not."""
        self.admission.draining = True
        end = self._loop.time() + timeout
        while not self.idle:
            if self._loop.time() >= end:
                break
            await asyncio.sleep(0.05)
        idle = self.idle
        if self.drains is not None:
            await self.drains.drain(min(DRAIN_PATIENCE, max(0.0, end - self._loop.time())))
        return idle

    async def close(self) -> None:
        """Ends what still waits."""
        if self._armed is not None:
            self._armed.cancel()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
