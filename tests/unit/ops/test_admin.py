"""The admin socket and its client."""

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import StoreUnavailable
from ops.admin import AdminServer, socket_path
from ops.admin_client import AdminUnavailable, ask, order
from ops.errors import NotPossible, StartError


class Node:
    """What the admin socket sees of a node."""

    ready = True

    def status(self) -> dict[str, Any]:
        return {"node": {"name": "a"}}

    async def registrations(self, aor: str | None) -> list[dict[str, Any]]:
        if aor == "away@localhost":
            raise StoreUnavailable("Redis is away")
        return [{"aor": aor or "all"}]

    async def explained(self, aor: str) -> list[dict[str, Any]]:
        if aor == "away@localhost":
            raise StoreUnavailable("Redis is away")
        return [{"device": aor}]

    async def stored_messages(self, aor: str | None) -> list[dict[str, Any]]:
        if aor == "off@localhost":
            raise NotPossible("[messages] enabled is false")
        return [{"aor": aor or "all"}]

    async def drop_messages(self, aor: str, identity: str) -> dict[str, Any]:
        return {"dropped": [aor, identity]}

    async def retry_messages(self, aor: str) -> dict[str, Any]:
        raise StoreUnavailable("Redis is away")


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    server = AdminServer(tmp_path / "sub" / "admin.sock", Node())
    await server.start()
    yield server
    await server.stop()
    assert not server.path.exists()


async def asked(server: AdminServer, *parts: str) -> Any:
    return await asyncio.to_thread(ask, server.path, *parts)


async def test_answers(server: AdminServer) -> None:
    assert await asked(server, "status") == {"node": {"name": "a"}}
    assert await asked(server, "registrations") == [{"aor": "all"}]
    assert await asked(server, "registrations", "o'/ñ@localhost") == [{"aor": "o'/ñ@localhost"}]
    assert await asked(server, "explain", "push", "o'/ñ@localhost") == [{"device": "o'/ñ@localhost"}]
    assert await asked(server, "healthz") == {"alive": True}
    assert await asked(server, "readyz") == {"ready": True}


async def ordered(server: AdminServer, *parts: str) -> Any:
    return await asyncio.to_thread(order, server.path, *parts)


async def test_messages_are_shown_dropped_and_tried_again(server: AdminServer) -> None:
    assert await asked(server, "messages") == [{"aor": "all"}]
    assert await asked(server, "messages", "o'/ñ@localhost") == [{"aor": "o'/ñ@localhost"}]
    dropped = await ordered(server, "messages", "a@b", "drop")
    assert dropped == {"dropped": ["a@b", ""]}
    dropped = await ordered(server, "messages", "a@b", "drop", "i/d")
    assert dropped == {"dropped": ["a@b", "i/d"]}
    with pytest.raises(AdminUnavailable, match="Redis is away"):
        await ordered(server, "messages", "a@b", "retry")
    with pytest.raises(AdminUnavailable, match=r"\[messages\] enabled is false"):
        await asked(server, "messages", "off@localhost")


async def test_looking_does_not_change_anything(server: AdminServer) -> None:
    with pytest.raises(AdminUnavailable):
        await asked(server, "messages", "a@b", "drop")


async def test_only_its_own_user_may_open_it(server: AdminServer) -> None:
    assert stat.S_IMODE(server.path.stat().st_mode) & 0o077 == 0


async def test_a_store_that_is_away_is_said(server: AdminServer) -> None:
    with pytest.raises(AdminUnavailable, match="Redis is away"):
        await asked(server, "registrations", "away@localhost")
    with pytest.raises(AdminUnavailable, match="Redis is away"):
        await asked(server, "explain", "push", "away@localhost")


async def test_a_stale_socket_is_replaced(server: AdminServer) -> None:
    again = AdminServer(server.path, Node())
    await again.start()
    assert await asked(again, "healthz") == {"alive": True}
    await again.stop()


def test_no_node_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AdminUnavailable, match=r"no node answers at .*admin\.sock.*--socket"):
        ask(tmp_path / "admin.sock", "status")


def test_a_path_too_long_for_a_socket_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"\[node\] admin: .* too long"):
        socket_path(tmp_path / ("x" * 120))
