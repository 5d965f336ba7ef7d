"""The requests to one server: a multi handle of libcurl with its connections, driven by the running loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from functools import partial

import pycurl

from cluster.push.http.failure import failure
from cluster.push.http.message import Connection, Done, HttpRequest, HttpResponse
from cluster.push.http.target import stamps
from cluster.push.http.transfer import Transfer, Unwritable

CONNECTIONS = 4  # at most; a second one where the streams of the first are used up, or it is being ended
CONNECTIONS_HTTP1 = 16
ALONE = 1.0  # s at most that the first request on a connection keeps the others waiting
SLACK = 0.05  # s that who waits is given more than who is waited for, whose reason then holds for both
UNSURE = 30.0  # s without a request, after which the server may have closed the connection
STREAMS = 1000  # on one connection at most; servers usually set less
WAITING = 10  # times the concurrency: requests that may wait for their turn
LOOK_AGAIN = 1.0  # s between two looks at the files of the connection
_NEVER = float("inf")
_READ, _WRITE = pycurl.CSELECT_IN, pycurl.CSELECT_OUT

Waiting = tuple[HttpRequest, Done, float]


class Pool:
    """Made for one server and one way to reach it; `serves` tells when another one has to take its place.

    libcurl goes on with a connection once made, though nothing comes back on it or the certificate file has
    changed. So a pool that has gone stale gets no new requests, and ends with its last one.

    The first request on a new connection goes alone, the others wait for its answer or a second: only then is
    it known how many streams the server allows. APNs allows one until it has seen a good access token, and
    libcurl would begin with a hundred.
    """

    def __init__(
        self, host: str, connection: Connection, concurrency: int, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.host = host
        self.used_at = loop.time()
        self._connection = connection
        self._concurrency = concurrency
        self._loop = loop
        self._stamps = stamps(connection)
        self._looked = self._answered_at = self.used_at
        self._silent = False
        self._fresh = True  # nothing has been answered on its newest connection
        self._http1 = self._version_known = False
        self._alone: asyncio.TimerHandle | None = None
        self._closed = False
        self._ended = asyncio.Event()
        self._free: list[Transfer] = []
        self._busy: dict[pycurl.Curl, tuple[Transfer, float]] = {}
        self._waiting: deque[Waiting] = deque()
        self._soon: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = self._due = _NEVER  # when it comes, and when libcurl wants it
        self._overdue: asyncio.TimerHandle | None = None
        self._watched: dict[int, int] = {}
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, CONNECTIONS)
        self._multi.setopt(pycurl.M_MAXCONNECTS, CONNECTIONS)
        self._multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, STREAMS)

    @property
    def under_way(self) -> int:
        """Requests that are not done yet."""
        return len(self._busy) + len(self._waiting)

    def serves(self, now: float) -> bool:
        """Whether new requests may use it: its server answers and its certificate files are the same."""
        if now - self._looked >= LOOK_AGAIN:
            self._looked = now
            if stamps(self._connection) != self._stamps:
                return False
        return not self._silent

    def send(self, request: HttpRequest, done: Done) -> None:
        """`done` is called later, once."""
        now = self._loop.time()
        if not self._busy and now - self.used_at > UNSURE:
            self._fresh = True
        self.used_at = now
        if self._may_begin() and not self._waiting:
            self._begin(request, done, request.timeout, now)
        elif len(self._waiting) < WAITING * self._concurrency:
            self._wait(request, done, now + request.timeout + SLACK)
        else:
            self._end_soon(done, f"{self.host}: too many requests wait for it")

    def close(self, reason: str = "closed") -> None:
        """Ends every request and connection now."""
        self._closed = True
        for timer in (self._soon, self._timer, self._overdue, self._alone):
            if timer is not None:
                timer.cancel()
        busy, self._busy = self._busy, {}
        for easy, (transfer, _) in busy.items():
            self._multi.remove_handle(easy)
            self._give(transfer.done, HttpResponse(0, error=reason))
            transfer.close()
        for transfer in self._free:
            transfer.close()
        self._free.clear()
        while self._waiting:
            self._give(self._waiting.popleft()[1], HttpResponse(0, error=reason, unprocessed=True))
        for fd in list(self._watched):
            self._watch(pycurl.POLL_REMOVE, fd, None, None)
        # libcurl waits here for the names that it is still looking up, which takes as long as the DNS wants
        threading.Thread(target=self._end_connections, name="push-close", daemon=True).start()

    async def closed(self, seconds: float) -> None:
        """Waits for the end of its connections after `close`, so long at most."""
        try:
            await asyncio.wait_for(self._ended.wait(), seconds)
        except TimeoutError:
            pass

    def _end_connections(self) -> None:
        self._multi.close()
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._ended.set)

    def _may_begin(self) -> bool:
        return len(self._busy) < (1 if self._fresh else self._concurrency)

    def _wait(self, request: HttpRequest, done: Done, until: float) -> None:
        self._waiting.append((request, done, until))
        if self._fresh and self._alone is None:
            self._alone = self._loop.call_later(ALONE, self._end_alone)
        if self._overdue is None or until < self._overdue.when():
            if self._overdue is not None:
                self._overdue.cancel()
            self._overdue = self._loop.call_at(until, self._end_overdue)

    def _end_alone(self) -> None:
        self._alone = None
        self._fresh = False
        self._begin_waiting(self._loop.time())

    def _begin_waiting(self, now: float) -> None:
        while self._waiting and self._may_begin():
            request, done, until = self._waiting.popleft()
            self._begin(request, done, max(until - now, 0.001), now)

    def _end_overdue(self) -> None:
        now = self._loop.time()
        self._overdue = None
        waiting, self._waiting = self._waiting, deque()
        for request, done, until in waiting:
            if until > now:
                self._wait(request, done, until)
            else:
                self._end_soon(done, f"{self.host}: no turn within {request.timeout:g} s")

    def _begin(self, request: HttpRequest, done: Done, seconds: float, now: float) -> None:
        try:
            transfer = self._free.pop() if self._free else Transfer(self._connection, self._connecting)
        except Unwritable as error:
            self._end_soon(done, f"{self.host}: {error}")
            return
        try:
            transfer.begin(request, done, seconds)
        except Unwritable as error:
            self._free.append(transfer)
            self._end_soon(done, f"{self.host}: {error}")
            return
        self._busy[transfer.easy] = (transfer, now)
        self._multi.add_handle(transfer.easy)

    def _end_soon(self, done: Done, text: str) -> None:
        response = HttpResponse(0, error=text, unprocessed=True)
        self._loop.call_soon(self._give, done, response)

    def _connecting(self) -> None:
        self._fresh = not self._http1
        self._version_known = False

    # -- libcurl asks

    def _watch(self, what: int, fd: int, _multi: object, _data: object) -> None:
        if self._closed and what != pycurl.POLL_REMOVE:
            return
        before = self._watched.get(fd, 0)  # after `close` nothing: another thread may ask then
        wanted = 0 if what == pycurl.POLL_REMOVE else what
        if wanted & pycurl.POLL_IN and not before & pycurl.POLL_IN:
            self._loop.add_reader(fd, partial(self._act, fd, _READ))
        elif before & pycurl.POLL_IN and not wanted & pycurl.POLL_IN:
            self._loop.remove_reader(fd)
        if wanted & pycurl.POLL_OUT and not before & pycurl.POLL_OUT:
            self._loop.add_writer(fd, partial(self._act, fd, _WRITE))
        elif before & pycurl.POLL_OUT and not wanted & pycurl.POLL_OUT:
            self._loop.remove_writer(fd)
        if wanted:
            self._watched[fd] = wanted
        else:
            self._watched.pop(fd, None)

    def _set_timer(self, milliseconds: int) -> None:
        """libcurl changes its mind twice a request: a timer that comes too early is set anew only then."""
        if milliseconds == 0:
            if self._soon is None and not self._closed:
                self._soon = self._loop.call_soon(self._act_soon)
            return
        self._due = _NEVER if milliseconds < 0 else self._loop.time() + milliseconds / 1000
        if self._due < self._timer_at and not self._closed:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(self._due, self._time_out)
            self._timer_at = self._due

    def _act_soon(self) -> None:
        self._soon = None
        self._act(pycurl.SOCKET_TIMEOUT, 0)

    def _time_out(self) -> None:
        self._timer, self._timer_at = None, _NEVER
        if self._due > self._loop.time() + 0.001:
            if self._due != _NEVER:
                self._timer = self._loop.call_at(self._due, self._time_out)
                self._timer_at = self._due
            return
        self._due = _NEVER
        self._act(pycurl.SOCKET_TIMEOUT, 0)

    # -- libcurl is told

    def _act(self, fd: int, ready: int) -> None:
        if self._closed:
            return
        self._multi.socket_action(fd, ready)
        queued = 1
        while queued and not self._closed:
            queued, answered, failed = self._multi.info_read()
            for easy in answered:
                self._finish(easy, 0, "")
            for easy, code, detail in failed:
                self._finish(easy, code, detail)

    def _finish(self, easy: pycurl.Curl, code: int, detail: str) -> None:
        entry = self._busy.pop(easy, None)
        if entry is None:
            return  # a `done` before this one closed the pool
        transfer, started = entry
        self._multi.remove_handle(easy)
        now = self.used_at = self._loop.time()
        if code == 0 or transfer.cut:
            response = transfer.response()
            self._answered(easy, now)
        else:
            response = failure(easy, code, detail, self.host, self._connection, transfer.limit)
            timed_out = code == pycurl.E_OPERATION_TIMEDOUT
            self._silent = self._silent or (timed_out and self._answered_at < started)
            if self._fresh and (timed_out or response.unprocessed):
                self._give_up_waiting(response)
        done, transfer.done = transfer.done, None
        self._free.append(transfer)
        self._begin_waiting(now)
        self._give(done, response)

    def _answered(self, easy: pycurl.Curl, now: float) -> None:
        self._answered_at = now
        self._fresh = False
        if self._alone is not None:
            self._alone.cancel()
            self._alone = None
        if not self._version_known:
            self._version_known = True
            self._http1 = easy.getinfo(pycurl.INFO_HTTP_VERSION) < pycurl.CURL_HTTP_VERSION_2_0
            most = CONNECTIONS_HTTP1 if self._http1 else CONNECTIONS
            self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, most)
            self._multi.setopt(pycurl.M_MAXCONNECTS, most)

    def _give_up_waiting(self, response: HttpResponse) -> None:
        """There is no connection, or nothing comes back on it: that holds for those who waited for it too."""
        response = HttpResponse(0, error=response.error, unprocessed=True)
        while self._waiting:
            self._loop.call_soon(self._give, self._waiting.popleft()[1], response)

    def _give(self, done: Callable[[HttpResponse], None] | None, response: HttpResponse) -> None:
        if done is None:
            return
        try:
            done(response)
        except Exception as error:
            self._loop.call_exception_handler(
                {"message": f"what waited for {self.host} failed", "exception": error}
            )
