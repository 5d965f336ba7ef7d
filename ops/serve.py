"""`clarion serve`: everything around a node, from the data folder to the last signal."""

import asyncio
import gc
import logging
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import click
import uvloop
from msgspec.structs import replace

from node.settings import TlsSettings
from node.transport.address import parse_listen
from ops.admin import AdminServer
from ops.assembly import build
from ops.banner import banner, exposed
from ops.config.load import Loaded
from ops.data_folder import DataFolder
from ops.development_ca import certificates
from ops.embedded import EmbeddedStores
from ops.errors import StartError
from ops.event_log import EventLog
from ops.listen import require_free
from ops.log import start_log
from ops.place import admin_socket, settle
from ops.settings import Settings
from ops.systemd import Systemd

log = logging.getLogger("clarion.serve")


def run(loaded: Loaded, join: Path | None = None) -> int:
    """Runs a node until a signal ends it; returns the exit code."""
    start_log(loaded.settings.log.level)
    try:
        settings = settle(loaded, join)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, join))
    except StartError as error:
        click.echo(f"clarion: {error}", err=True)
        return 1
    return 0


async def _serve(settings: Settings, join: Path | None) -> None:
    stopping = _signals()
    systemd = Systemd()
    async with AsyncExitStack() as stack:
        folder = DataFolder(Path(settings.node.data))
        stack.callback(folder.release)
        require_free(settings.node.listen, "[node] listen")
        require_free([settings.node.internal] if settings.node.internal else [], "[node] internal")
        for text in exposed(settings):
            log.warning("[auth] mode is open and %s is not loopback: anybody there may be anybody", text)
        stores = EmbeddedStores(settings, folder)
        await stores.start()
        stack.push_async_callback(stores.stop)
        settings = stores.settings
        settings, trust = _certified(settings, folder, join)
        events = EventLog(settings.log.events, settings.node.name)
        stack.push_async_callback(events.close)

        node = await build(settings, folder.path, events, stores.children)
        stack.push_async_callback(node.stop)
        await node.start()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, node.reload)
        admin = AdminServer(admin_socket(settings), node)
        await admin.start()
        stack.push_async_callback(admin.stop)

        _settle_memory()
        click.echo(banner(settings, trust, bool(stores.children)))
        systemd.ready(f"serving as {settings.node.name}")
        stack.callback(systemd.close)
        await stopping.wait()
        systemd.stopping("draining")
        log.info("draining, at most %.0f s; a second signal ends at once", settings.node.drain_timeout)
        await node.drain(settings.node.drain_timeout)
    log.info("stopped")


def _signals() -> asyncio.Event:
    """An event that the first SIGTERM or SIGINT sets; the second ends the process at once."""
    stopping = asyncio.Event()

    def on_signal() -> None:
        if stopping.is_set():
            # children die with us (PR_SET_PDEATHSIG); peers see the lease expire
            os._exit(1)
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    return stopping


def _certified(settings: Settings, folder: DataFolder, join: Path | None) -> tuple[Settings, Path | None]:
    """Settings with a certificate, and the development CA's file if that made it."""
    wants_tls = any(text.startswith("tls:") for text in settings.node.listen)
    if settings.tls.cert or not wants_tls:
        return settings, None
    names = {"localhost", "127.0.0.1", "::1", *settings.node.domains}
    names |= {parse_listen(text)[1] for text in settings.node.listen}
    if settings.node.advertise:
        names.add(settings.node.advertise.rsplit(":", 1)[0].strip("[]"))
    made = certificates(folder.path / "tls", (join.absolute() if join else folder.path) / "ca", names)
    tls = TlsSettings(
        cert=str(made.cert),
        key=str(made.key),
        ca=settings.tls.ca or str(made.ca),
        verify_servers=settings.tls.verify_servers,
    )
    return replace(settings, tls=tls), made.ca


def _settle_memory() -> None:
    """What lives now lives for ever: the collector need not look at it again."""
    gc.collect()
    gc.freeze()
    # Bindings and transactions hold no cycles: a young collection finds nothing and walks over all that
    # is alive. The threshold is what a thousand calls a second keep alive (10 % of a call's CPU at 50,000).
    gc.set_threshold(300_000, 20, 100)
