"""A connection to Redis that is kept up: found, dialled, greeted, watched, and made again when it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
from collections.abc import Awaitable, Callable
from typing import Any

import hiredis

from cluster.ending import end
from cluster.errors import StoreRefused, StoreUnavailable
from cluster.redis.address import ConnectionOptions
from cluster.redis.clock import StoreClock
from cluster.redis.link import Command, Done, Link, Word

FIRST_PAUSE, LAST_PAUSE = 0.05, 1.0  # s between attempts, doubling, with jitter
_HEALTH_PERIOD = 1.0

Locate = Callable[[], Awaitable[tuple[str, int]]]


class Connection:
    """Hands commands to the present link; while there is none, every command fails at once."""

    def __init__(
        self,
        locate: Locate,
        options: ConnectionOptions,
        *,
        greeting: tuple[tuple[Word, ...], ...] = (),
        on_push: Callable[[list[Any]], None] = lambda _: None,
        on_up: Callable[[Connection], None] = lambda _: None,
        on_down: Callable[[Connection, str], None] = lambda _connection, _reason: None,
        clock: StoreClock | None = None,
    ) -> None:
        """`locate` says where to connect, each time anew. `greeting` are commands sent before anybody else's;
        their refusals are in `refusals`. `on_down(connection, reason)` also reports failed attempts.
        Only a master counts as up. `clock` is set by the answers to the health check."""
        self._locate = locate
        self._options = options
        self._greeting = greeting
        self._on_push = on_push
        self._on_up = on_up
        self._on_down = on_down
        self._clock = clock or StoreClock()
        self._link: Link | None = None
        self._gone: asyncio.Event = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self.up = False
        self.address = ("", 0)
        self.reason = "not connected yet"
        self.refusals: dict[Word, str] = {}

    def start(self) -> None:
        """Begin to connect, and to keep connected, in the background."""
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def close(self) -> None:
        await end(self._task)
        if self._link is not None:
            self._link.give_up("closed by this node")

    async def ready(self, timeout: float) -> bool:
        """Wait until it is up, at most `timeout` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._ready.wait()
        return self.up

    @property
    def link(self) -> object:
        """The present link, another one after each loss; None while there is none."""
        return self._link if self.up else None

    def reconnect(self, reason: str) -> None:
        """Give the present link up; `locate` is asked where to go now."""
        if self._link is not None:
            self._link.give_up(reason)

    def submit(self, command: Command, done: Done) -> None:
        """Send one command; `done` gets the reply, or at once a StoreUnavailable."""
        if self.up:
            self._link.submit(command, done)  # type: ignore[union-attr]
        else:
            done(StoreUnavailable(f"no connection to Redis: {self.reason}"))

    def push(self, words: tuple[Word, ...]) -> None:
        """Send a command that is answered by pushes only."""
        if self.up:
            self._link.push(words)  # type: ignore[union-attr]

    async def call(self, *words: Word) -> Any:
        """One command, its reply. Raises StoreUnavailable."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.submit(words, settle(answer))
        return await answer

    async def _keep(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                await self._dial()
                pause = FIRST_PAUSE
                await self._watch_health()
            except Exception as error:  # whatever it is, there will be a next attempt
                self.reason = str(error) or f"no answer in time ({type(error).__name__})"
                self._on_down(self, self.reason)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LAST_PAUSE)

    async def _dial(self) -> None:
        options = self._options
        self._gone.clear()
        async with asyncio.timeout(options.timeout):
            self.address = host, port = await self._locate()
            _, link = await asyncio.get_running_loop().create_connection(
                lambda: Link(options.timeout, options.limit, self._on_push, self._lost),
                host,
                port,
                ssl=options.tls,
                server_hostname=host if options.tls else None,
            )
        self._link = link
        try:
            await self._greet(link)
        except BaseException:
            link.give_up("the greeting failed")
            raise
        self.up = True
        self._ready.set()
        self._on_up(self)

    async def _greet(self, link: Link) -> None:
        """HELLO, database, role, then the greeting, all in one round trip."""
        options = self._options
        hello: tuple[Word, ...] = ("HELLO", 3)
        if options.password:
            hello += ("AUTH", options.username or "default", options.password)
        commands: list[tuple[Word, ...]] = [(*hello, "SETNAME", options.name)]
        if options.database:
            commands.append(("SELECT", options.database))
        commands += [("ROLE",), ("TIME",), *self._greeting]
        asked = self._clock.asked()
        answers = [_submit(link, words) for words in commands]
        replies = await asyncio.gather(*answers, return_exceptions=True)
        self.refusals = {}
        for words, reply in zip(commands, replies, strict=True):
            if isinstance(reply, StoreRefused):
                if words[0] in ("HELLO", "SELECT") or reply.code == "LOADING":
                    raise reply
                self.refusals[words[0]] = reply.reply
            elif isinstance(reply, BaseException):
                raise reply
            elif words[0] == "TIME":
                self._clock.told(asked, reply)
            elif words[0] == "ROLE" and reply[0] != b"master":
                raise StoreUnavailable(f"{self.address[0]}:{self.address[1]} is a replica, not the master")

    async def _watch_health(self) -> None:
        """Ask the time every second: an answer proves life and tells the store's clock."""
        while self.up:
            self.submit(("TIME",), functools.partial(self._clock.told, self._clock.asked()))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_HEALTH_PERIOD):
                    await self._gone.wait()

    def _lost(self, link: Link, reason: str) -> None:
        if link is not self._link and self._link is not None:
            return
        self._link = None
        self._gone.set()
        self.reason = reason
        if self.up:
            self.up = False
            self._ready.clear()
            self._on_down(self, reason)


def settle(answer: asyncio.Future[Any]) -> Done:
    """A `done` that fulfils a future; a ReplyError becomes StoreRefused."""

    def done(reply: Any) -> None:
        if answer.done():
            return
        if isinstance(reply, hiredis.ReplyError):
            answer.set_exception(StoreRefused(str(reply)))
        elif isinstance(reply, Exception):
            answer.set_exception(reply)
        else:
            answer.set_result(reply)

    return done


def _submit(link: Link, words: tuple[Word, ...]) -> asyncio.Future[Any]:
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    link.submit(words, settle(answer))
    return answer
