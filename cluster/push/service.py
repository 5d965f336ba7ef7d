"""The push service of one node: what the floors above see of this room.

`send` queues a push in Redis; the dispatcher of its partition, here or at another node, sends it. One timer
drives all that is done now and then: signs of life, seizing, confirmations that Redis did not answer.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from cluster.election.election import Election
from cluster.election.term import Term
from cluster.errors import StoreUnavailable
from cluster.events import Emit, silent
from cluster.location.service import LocationService
from cluster.membership import Members
from cluster.push import feed
from cluster.push.confirms import Confirms
from cluster.push.dispatcher import Dispatcher
from cluster.push.events import DispatcherElected, DispatcherResigned, PushFailed, PushSent
from cluster.push.feed import Feed, Item
from cluster.push.http.engine import Engine
from cluster.push.outcomes import LastPush, Outcomes
from cluster.push.partition import PARTITIONS, partition_of
from cluster.push.pokes import Pokes
from cluster.push.providers.catalogue import Catalogue
from cluster.push.providers.provider import Answer
from cluster.push.push import Push
from cluster.push.queue import Queue, sentence
from cluster.push.sender import Sender as RealSender
from cluster.push.settings import ProviderSettings
from cluster.push.watch import Watch
from cluster.redis.address import options_of, parse_url
from cluster.redis.connection import Connection
from cluster.settings import RedisSettings

TICK, TEND = 0.1, 1.0  # s
_PATIENCE = 1.5  # s in which a push is submitted again where Redis did not answer
_PAUSE = 0.05
_ENDING = 2.0  # s that pushes under way are given at the end
_UNFIT = 2.0  # s without Redis after which the partitions are left to others

__all__ = ["LastPush", "PushService"]


class Sender(feed.Sender, Protocol):
    """What sends: `cluster.push.sender.Sender` outside of tests."""

    def lanes(self) -> list[dict[str, Any]]: ...

    async def close(self) -> None: ...


class PushService:
    """One for each node. Make it in the running loop; nothing here raises, unless it says so."""

    def __init__(
        self,
        settings: ProviderSettings,
        redis: RedisSettings,
        locations: LocationService,
        members: Members,
        emit: Emit = silent,
        name: str = "clarion",
        *,
        sender: Sender | None = None,
        catalogue: Catalogue | None = None,
    ) -> None:
        """`name` is the name of the node. Without `sender`, pushes go to the real providers."""
        self._settings = settings
        self._locations = locations
        self._emit = emit
        self._name = name
        push = settings.push
        self._sender = sender
        self._close_sender: Callable[[], Awaitable[None]] | None = None
        self.catalogue: Catalogue = catalogue or Catalogue(settings)
        store = locations.store
        self._queue = Queue(store, redis.prefix, push.max_queue_size)
        self._outcomes = Outcomes(store, redis.prefix, locations.cache, locations.now_ms, emit)
        self._confirms = Confirms(self._queue, self._confirmed)
        options = options_of(redis, parse_url(redis.url), f"clarion-{name}")
        self._pokes = Pokes(options, self._queue.channels, self._poked)
        self._election = Election(
            members.gateway,
            members.etcd_prefix,
            "push",
            PARTITIONS,
            name,
            push.lease_ttl,
            self._elected,
            self._over,
            self._fit,
        )
        self._dispatchers: dict[int, Dispatcher] = {}
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._connected_at = self._tended_at = 0.0
        self._running = False
        self._loaded: set[Connection] = set()
        self._counts = dict.fromkeys(
            ("queued", "refused", "sent", "failed", "withdrawn", "seized", "repeated"), 0
        )

    # -- life

    async def start(self) -> None:
        """Begin to dispatch, as soon as etcd says what."""
        if self._sender is None:
            self._sender, self._close_sender = _sender(self._settings, self.catalogue, self)
        push = self._settings.push
        depth = min(push.lane_size, 2 * push.lane_concurrency)
        self._feed = Feed(self._sender, self.now_ms, self._finished, push.lane_size, depth)
        self._watch = Watch(self._name, self._queue, self._feed, push.takeover, self._seized)
        self._connected_at = self._loop.time()
        self._running = True
        self._election.start()
        self._tick()

    async def drain(self) -> None:
        """Leave dispatching to the others; what is under way is given 2 s. Pushes are still queued."""
        await self._election.drain()
        await self._settle()

    async def close(self) -> None:
        if not self._running:
            return
        await self._election.close()
        await self._settle()
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
        await self._pokes.close()
        if self._sender is not None:
            await self._sender.close()
        if self._close_sender is not None:
            await self._close_sender()

    def reload(self) -> None:
        """Read keys and certificates again where their files have changed."""
        self.catalogue.reload()
        reload = getattr(self._sender, "reload", None)
        if reload is not None:
            reload()

    # -- what the floors above ask for

    def send(self, push: Push, done: Callable[[str], None]) -> None:
        """`done("")` once it is queued, else with one sentence; never before this returns."""
        if not self._running:
            self._loop.call_soon(done, "push notifications are not sent: this node stops, or has not started")
            return
        self._watch.add(push)
        self._submit(push, done, self._loop.time() + _PATIENCE)

    def withdraw(self, push: Push) -> None:
        """Take it back; who has begun to send it does not stop, but does not try again either."""
        if self._running:
            self._watch.forget(push.id)
            self._drop(push.id)
            self._queue.withdraw(push, self._withdrawn)

    def schedule(self, member: str, push: Push, due_ms: int) -> None:
        """Queue it at that time (store's clock); the same member again replaces it."""
        dispatcher = self._dispatchers.get(partition_of(push.token))
        self._queue.schedule(member, push, due_ms, self._scheduled)
        if dispatcher is not None:
            dispatcher.remind(due_ms)

    def unschedule(self, member: str, token: str) -> None:
        """Take a scheduled one back; `token` is the one of its push."""
        self._queue.unschedule(member, token, _ignore)

    async def last(self, aor: str) -> dict[str, LastPush]:
        """What became of the last push of each device. Raises StoreUnavailable."""
        return await self._outcomes.last(aor)

    def now_ms(self) -> int:
        """The store's clock, ms since 1970."""
        return self._locations.now_ms()

    def status(self) -> dict[str, Any]:
        """Dispatchers by partition ("" for none), lanes of this node, counts since it started."""
        holders = self._election.holders
        dispatchers = {f"{n:02}": holders[n].node if n in holders else "" for n in range(PARTITIONS)}
        lanes = self._sender.lanes() if self._sender is not None else []
        return {"dispatchers": dispatchers, "lanes": lanes, "counts": dict(self._counts)}

    # -- queueing

    def _submit(self, push: Push, done: Callable[[str], None], deadline: float) -> None:
        dispatcher = self._dispatchers.get(partition_of(push.token))
        told = functools.partial(self._submitted, push, done, deadline)
        self._queue.submit(push, told, dispatcher is None)
        if dispatcher is not None:
            dispatcher.poke()  # what it asks goes to Redis right behind the push

    def _submitted(self, push: Push, done: Callable[[str], None], deadline: float, reply: Any) -> None:
        if isinstance(reply, StoreUnavailable) and self._running and self._loop.time() < deadline:
            self._loop.call_later(_PAUSE, self._submit, push, done, deadline)  # the same id is queued once
            return
        problem = sentence(reply, self._settings.push.max_queue_size)
        self._counts["refused" if problem else "queued"] += 1
        dispatcher = self._dispatchers.get(partition_of(push.token))
        if problem:
            self._watch.forget(push.id)
        elif dispatcher is not None:
            dispatcher.queued(reply)
        self._loop.call_soon(done, problem)

    def _withdrawn(self, reply: Any) -> None:
        if reply in (1, 2):
            self._counts["withdrawn"] += 1

    def _scheduled(self, reply: Any) -> None:
        if reply != 1:
            self._counts["refused"] += 1

    # -- dispatching

    def _elected(self, terms: list[Term]) -> None:
        takeover = self._settings.push.takeover
        for term in terms:
            self._dispatchers[term.partition] = Dispatcher(
                term, self._name, self._queue, self._feed, takeover, self.now_ms, self._election.outdone
            )
            self._pokes.add(term.partition)
        self._emit(DispatcherElected(tuple(sorted(term.partition for term in terms))))

    def _over(self, terms: list[Term], reason: str) -> Awaitable[None]:
        handed_over: list[Item] = []
        for term in terms:
            term.ended = True
            dispatcher = self._dispatchers.pop(term.partition, None)
            if dispatcher is None:
                continue
            self._pokes.remove(term.partition)
            waiting, under_way = dispatcher.stop()
            handed_over += under_way
            entries = [item.entry for item in waiting]
            for start in range(0, len(entries), 1000):
                some = entries[start : start + 1000]
                self._queue.release(term.partition, dispatcher.who, some, _ignore)
        self._emit(DispatcherResigned(tuple(sorted(term.partition for term in terms)), reason))
        return self._watch.adopt(handed_over)

    def _poked(self, partition: int, withdrawn: str) -> None:
        dispatcher = self._dispatchers.get(partition)
        if withdrawn:
            self._drop(withdrawn)
        elif dispatcher is not None:
            dispatcher.poke()

    def _drop(self, identity: str) -> None:
        item = self._feed.withdraw(identity)
        if item is not None:
            item.holder.confirmed(item)

    def _finished(self, item: Item, answer: Answer, attempts: int) -> None:
        push = item.push
        if answer.outcome == "accepted":
            self._counts["sent"] += 1
            waited = max(0.0, (self.now_ms() - push.created_at) / 1000)
            self._emit(
                PushSent(
                    push.id,
                    lane_of(push),
                    push.event,
                    push.kind,
                    push.aor,
                    push.device,
                    push.call_id,
                    attempts,
                    waited,
                )
            )
        elif answer.reason != "withdrawn":
            self._counts["failed"] += 1
            self._emit(
                PushFailed(
                    push.id,
                    lane_of(push),
                    push.event,
                    push.aor,
                    push.device,
                    push.call_id,
                    answer.outcome,
                    answer.status,
                    answer.reason,
                )
            )
            if answer.outcome == "dead":
                self._outcomes.forget(push, answer)
        self._confirms.add(item, answer)
        if answer.reason != "withdrawn":
            self._outcomes.note(push, answer)  # goes to Redis together with the confirmation

    def _confirmed(self, item: Item, answer: Answer, first: bool) -> None:
        self._watch.forget(item.push.id)
        self._feed.settled(item)
        if not first and answer.outcome == "accepted":
            self._counts["repeated"] += 1

    def _seized(self, count: int) -> None:
        self._counts["seized"] += count

    # -- now and then

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK, self._tick)
        now = self._loop.time()
        for dispatcher in tuple(self._dispatchers.values()):
            dispatcher.tick(now)
        self._watch.tick(now, self._dispatchers.__contains__)
        connections = self._locations.store.topology.connections
        self._load(connections)
        if any(connection.up for connection in connections):
            self._connected_at = now
            self._confirms.retry()
        if now - self._tended_at >= TEND:
            self._tended_at = now
            self._pokes.follow(connections)
            self._feed.tend()

    def _load(self, connections: Iterable[Connection]) -> None:
        up = {connection for connection in connections if connection.up}
        for connection in up - self._loaded:
            self._queue.load(connection)
        self._loaded = up

    def _fit(self) -> bool:
        return self._loop.time() - self._connected_at < _UNFIT

    async def _settle(self) -> None:
        """Wait for what is under way, at most 2 s."""
        end = self._loop.time() + _ENDING
        while len(self._feed) or not self._confirms.idle:
            if self._loop.time() >= end:
                break
            await asyncio.sleep(0.02)


def lane_of(push: Push) -> str:
    """Provider and app, as events name them."""
    return f"{push.provider} {push.app}"


def _sender(
    settings: ProviderSettings, catalogue: Catalogue, service: PushService
) -> tuple[Sender, Callable[[], Awaitable[None]]]:
    """The real one, and how its engine is closed."""
    engine = Engine(max(200, settings.push.lane_concurrency))
    made = RealSender(engine, catalogue.providers, settings.push, service._emit, now_ms=service.now_ms)
    return made, engine.close


def _ignore(_: Any) -> None:
    """Nothing depends on the reply."""
