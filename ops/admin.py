"""The local admin socket: JSON over HTTP on a UNIX socket that only the node's own user may open."""

import os
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Protocol

import orjson
from aiohttp import web

from cluster.errors import StoreUnavailable
from ops.errors import NotPossible, StartError

LONGEST_PATH = 107  # bytes that sockaddr_un holds


class Observed(Protocol):
    """What the admin socket shows, and what it can be told to do."""

    @property
    def ready(self) -> bool: ...
    def status(self) -> dict[str, Any]: ...
    async def registrations(self, aor: str | None) -> list[dict[str, Any]]: ...
    async def explained(self, aor: str) -> list[dict[str, Any]]: ...
    async def stored_messages(self, aor: str | None) -> list[dict[str, Any]]: ...
    async def drop_messages(self, aor: str, identity: str) -> dict[str, Any]: ...
    async def retry_messages(self, aor: str) -> dict[str, Any]: ...


class AdminServer:
    """Serves `/status`, `/registrations`, `/registrations/{aor}`, `/explain/push/{aor}`, `/messages`,
    `/messages/{aor}`, `/healthz` and `/readyz`; takes POST to `/messages/{aor}/drop`,
    `/messages/{aor}/drop/{id}` and `/messages/{aor}/retry`."""

    def __init__(self, path: Path, observed: Observed) -> None:
        self.path = path
        self._observed = observed
        application = web.Application()
        application.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/status", self._status),
                web.get("/registrations", self._registrations),
                web.get("/registrations/{aor}", self._registrations),
                web.get("/explain/push/{aor}", self._explained),
                web.get("/messages", self._messages),
                web.get("/messages/{aor}", self._messages),
                web.post("/messages/{aor}/drop", self._drop),
                web.post("/messages/{aor}/drop/{id}", self._drop),
                web.post("/messages/{aor}/retry", self._retry),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)

    async def start(self) -> None:
        """Opens the socket. Raises StartError."""
        path = socket_path(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.unlink(missing_ok=True)
            await self._runner.setup()
            mask = os.umask(0o077)
            try:
                await web.UnixSite(self._runner, path).start()
            finally:
                os.umask(mask)
        except OSError as error:
            await self._runner.cleanup()
            raise StartError(
                f"[node] admin: {self.path} cannot be opened: {error.strerror or error}"
            ) from None

    async def stop(self) -> None:
        """Closes and removes the socket."""
        await self._runner.cleanup()
        self.path.unlink(missing_ok=True)

    async def _healthz(self, _: web.Request) -> web.Response:
        return _json({"alive": True})

    async def _readyz(self, _: web.Request) -> web.Response:
        ready = self._observed.ready
        return _json({"ready": ready}, 200 if ready else 503)

    async def _status(self, _: web.Request) -> web.Response:
        return _json(self._observed.status())

    async def _registrations(self, request: web.Request) -> web.Response:
        return await _answer(self._observed.registrations(request.match_info.get("aor")))

    async def _explained(self, request: web.Request) -> web.Response:
        return await _answer(self._observed.explained(request.match_info["aor"]))

    async def _messages(self, request: web.Request) -> web.Response:
        return await _answer(self._observed.stored_messages(request.match_info.get("aor")))

    async def _drop(self, request: web.Request) -> web.Response:
        identity = request.match_info.get("id", "")
        return await _answer(self._observed.drop_messages(request.match_info["aor"], identity))

    async def _retry(self, request: web.Request) -> web.Response:
        return await _answer(self._observed.retry_messages(request.match_info["aor"]))


async def _answer(asked: Awaitable[object]) -> web.Response:
    """What the node says, or why it cannot."""
    try:
        return _json(await asked)
    except StoreUnavailable as error:
        return _json({"error": str(error)}, 503)
    except NotPossible as error:
        return _json({"error": str(error)}, 409)


def socket_path(path: Path) -> str:
    """The path as the kernel takes it: relative to the working folder where that is shorter."""
    absolute = str(path.absolute())
    relative = os.path.relpath(absolute)
    best = min(absolute, relative, key=len)
    if len(best.encode()) > LONGEST_PATH:
        raise StartError(
            f"[node] admin: {absolute} is too long for a socket; set a path of at most 107 bytes"
        )
    return best


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")
