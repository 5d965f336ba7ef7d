"""Requests to etcd's HTTP/JSON gateway, at whichever endpoint answers.

One endpoint is current. A time-out, a connection error or gRPC code 14 (no leader, no quorum) makes the next
one current and closes the watch streams pinned to the old one, which may be frozen with its sockets open
and would keep them silent for ever. Code 16 authenticates anew. A transaction is sent again only if it
surely did not reach etcd; everything else here may be done twice without harm.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Sequence

import aiohttp
import orjson

from cluster.errors import BadAddress, CoordinatorRefused, CoordinatorUnavailable
from cluster.etcd.wire import Json, KeyValue, TxnResult, key_value, prefix_end, revision, text
from cluster.events import CoordinatorBack, CoordinatorLost, Emit, silent
from cluster.settings import EtcdSettings

FIRST_PAUSE, LAST_PAUSE = 0.05, 1.0  # s between attempts, doubling, with jitter
UNAUTHENTICATED = 16
_UNAVAILABLE, _INVALID_ARGUMENT = 14, 3
_UNSENT = (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError)


class Gateway:
    """One client for all rooms of this floor. Make it inside the running loop; close it at the end."""

    def __init__(self, settings: EtcdSettings, emit: Emit = silent) -> None:
        """Raises BadAddress."""
        if isinstance(settings.endpoints, str) or not settings.endpoints:
            raise BadAddress("[etcd] endpoints: expected a list of URLs, http://host:2379")
        self._settings = settings
        self._endpoints = tuple(endpoint.rstrip("/") for endpoint in settings.endpoints)
        self._emit = emit
        self._current = random.randrange(len(self._endpoints))  # nodes spread over the members
        self._tls = _context(settings) if any(e.startswith("https:") for e in self._endpoints) else None
        self._session: aiohttp.ClientSession | None = None
        self._token = ""
        self._streams: set[aiohttp.ClientResponse] = set()
        self._lost = False
        self._answered_at = time.monotonic()
        self._back_at = 0.0
        self._gap = 0.6 * settings.lease_ttl  # a silence that long may have cost leases
        alone = len(self._endpoints) == 1
        self._attempt_limit = settings.timeout if alone else max(0.5, settings.timeout / 2)

    @property
    def endpoint(self) -> str:
        return self._endpoints[self._current]

    @property
    def available(self) -> bool:
        """Whether the last request was answered."""
        return not self._lost

    @property
    def settled(self) -> bool:
        """Whether it has answered for a whole lease time without a silence that may have cost leases."""
        now = time.monotonic()
        return now - self._answered_at < self._gap and now - self._back_at > self._settings.lease_ttl

    async def close(self) -> None:
        self.close_streams()
        if self._session is not None:
            await self._session.close()

    # -- keys

    async def get(self, key: str) -> KeyValue | None:
        """Raises CoordinatorUnavailable, as everything here."""
        answer = await self.request("/v3/kv/range", {"key": text(key)})
        rows = answer.get("kvs", ())
        return key_value(rows[0]) if rows else None

    async def range(self, prefix: str) -> tuple[tuple[KeyValue, ...], int]:
        """All keys with that prefix, and the revision at which they were so."""
        answer = await self.request("/v3/kv/range", {"key": text(prefix), "range_end": prefix_end(prefix)})
        return tuple(key_value(row) for row in answer.get("kvs", ())), revision(answer)

    async def put(self, key: str, value: bytes, lease: int = 0) -> int:
        """Returns the revision of the write."""
        body = {"key": text(key), "value": text(value), "lease": str(lease)}
        return revision(await self.request("/v3/kv/put", body))

    async def delete(self, key: str) -> int:
        """Returns how many keys were deleted, 0 or 1."""
        return int((await self.request("/v3/kv/deleterange", {"key": text(key)})).get("deleted", 0))

    async def txn(
        self, compare: Sequence[Json], success: Sequence[Json], failure: Sequence[Json] = ()
    ) -> TxnResult:
        """One transaction (parts in wire.py). After CoordinatorUnavailable it may have happened."""
        body = {"compare": list(compare), "success": list(success), "failure": list(failure)}
        answer = await self.request("/v3/kv/txn", body, once=True)
        return TxnResult(
            bool(answer.get("succeeded", False)), revision(answer), tuple(answer.get("responses", ()))
        )

    # -- leases

    async def grant(self, ttl: int) -> tuple[int, int]:
        """A new lease of `ttl` s; returns its id and the ttl that etcd granted (it has a minimum)."""
        answer = await self.request("/v3/lease/grant", {"TTL": str(ttl), "ID": "0"})
        return int(answer["ID"]), int(answer["TTL"])

    async def keep_alive(self, lease: int) -> int:
        """Renew once; returns the ttl, 0 if the lease is gone."""
        answer = await self.request("/v3/lease/keepalive", {"ID": str(lease)})
        return int(answer.get("result", answer).get("TTL", 0))

    async def time_to_live(self, lease: int) -> int:
        """Seconds that are left of a lease, -1 if it is gone."""
        return int((await self.request("/v3/lease/timetolive", {"ID": str(lease)})).get("TTL", 0))

    async def revoke(self, lease: int) -> None:
        """End a lease and delete its keys; fine if it is gone already."""
        try:
            await self.request("/v3/lease/revoke", {"ID": str(lease)})
        except CoordinatorRefused as error:
            if error.code != 5:  # not found
                raise

    # -- transport

    async def request(self, path: str, body: Json, *, once: bool = False) -> Json:
        """POST to the current endpoint, then to the others, until twice the timeout has passed; with `once`
        a request that may have been carried out is not repeated. Raises CoordinatorUnavailable."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + 2 * self._settings.timeout
        pause, reason, authenticated = FIRST_PAUSE, "", False
        while (left := deadline - loop.time()) > 0:
            endpoint = self.endpoint
            try:
                answer = await self._post(endpoint, path, body, min(left, self._attempt_limit))
            except CoordinatorRefused as error:
                if self._wants_token(error) and not authenticated:
                    authenticated = True
                    await self._authenticate(endpoint)
                    continue
                if error.code != _UNAVAILABLE:
                    raise
                reason = f"{endpoint}: {error.message}"
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                reason = f"{endpoint}: {error or type(error).__name__}"
                if once and not isinstance(error, _UNSENT):
                    self.rotate(endpoint)
                    break
            else:
                self._found(endpoint)
                return answer
            self.rotate(endpoint)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, LAST_PAUSE)
        self._missed(reason)
        raise CoordinatorUnavailable(f"etcd does not answer: {reason}")

    def rotate(self, endpoint: str) -> None:
        """Leave an endpoint that failed, unless somebody has done so already; its streams end too."""
        if self.endpoint == endpoint:
            self._current = (self._current + 1) % len(self._endpoints)
            self.close_streams()

    def close_streams(self) -> None:
        streams, self._streams = self._streams, set()
        for stream in streams:
            stream.close()

    async def open_stream(self, path: str, body: Json) -> aiohttp.ClientResponse:
        """A streaming request (watch) to the current endpoint; `forget_stream` it at the end."""
        if self._settings.username and not self._token:
            await self._authenticate(self.endpoint)
        limit = aiohttp.ClientTimeout(total=None, sock_connect=self._attempt_limit)
        data = orjson.dumps(body)
        async with asyncio.timeout(self._attempt_limit):
            stream = await self._client().post(
                self.endpoint + path, data=data, headers=self._headers(), timeout=limit
            )
        self._streams.add(stream)
        return stream

    def forget_stream(self, stream: aiohttp.ClientResponse) -> None:
        self._streams.discard(stream)
        stream.close()

    def forget_token(self) -> None:
        """A stream was refused for its token: the next one authenticates anew."""
        self._token = ""

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._tls if self._tls is not None else True)
            self._session = aiohttp.ClientSession(connector=connector)
        return self._session

    def _headers(self) -> dict[str, str]:
        return {"Authorization": self._token} if self._token else {}

    async def _post(self, endpoint: str, path: str, body: Json, limit: float) -> Json:
        timeout = aiohttp.ClientTimeout(total=limit)
        data = orjson.dumps(body)
        client = self._client()
        async with client.post(endpoint + path, data=data, headers=self._headers(), timeout=timeout) as reply:
            answer: Json = orjson.loads(await reply.read())
            if reply.status == 200 and "error" not in answer:
                return answer
        raise refusal(answer)

    async def _authenticate(self, endpoint: str) -> None:
        self._token = ""
        body = {"name": self._settings.username, "password": self._settings.password}
        try:
            answer = await self._post(endpoint, "/v3/auth/authenticate", body, self._attempt_limit)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            self.rotate(endpoint)
            raise CoordinatorUnavailable(f"etcd does not authenticate: {endpoint}: {error}") from error
        self._token = answer.get("token", "")

    def _wants_token(self, error: CoordinatorRefused) -> bool:
        if not self._settings.username:
            return False
        return error.code == UNAUTHENTICATED or (
            error.code == _INVALID_ARGUMENT and "user name" in error.message
        )

    def _found(self, endpoint: str) -> None:
        now = time.monotonic()
        if now - self._answered_at > self._gap:
            self._back_at = now
        self._answered_at = now
        if self._lost:
            self._lost = False
            self._emit(CoordinatorBack(endpoint))

    def _missed(self, reason: str) -> None:
        if not self._lost:
            self._lost = True
            self._emit(CoordinatorLost(reason))


def refusal(answer: Json) -> CoordinatorRefused:
    """The error inside an answer: plain, or wrapped by a stream."""
    inner = answer.get("error")
    error: Json = inner if isinstance(inner, dict) else answer
    code = error.get("grpc_code") or error.get("code") or 2
    return CoordinatorRefused(int(code), str(error.get("message") or inner or answer))


def _context(settings: EtcdSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca or None)
        if settings.cert:
            context.load_cert_chain(settings.cert, settings.key or None)
    except (OSError, ssl.SSLError) as error:
        raise BadAddress(f"[etcd] ca, cert or key cannot be used: {error}") from error
    return context
