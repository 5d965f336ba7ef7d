"""A provider that accepts everything: HTTP/2 over TLS, as cheap as Python allows, in a process of its own.

It notes when each push came, by the last part of its path, and writes all of it to a file at the end.
"""

import argparse
import asyncio
import json
import signal
import ssl
import time
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events

came: list[tuple[str, float]] = []


class Peer(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport  # of uvloop or asyncio
        config = h2.config.H2Configuration(
            client_side=False, header_encoding="utf-8", validate_inbound_headers=False
        )
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1000})
        self.paths: dict[int, str] = {}
        transport.write(self.h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                path = next(value for name, value in event.headers if name == ":path")
                self.paths[event.stream_id] = path.rpartition("/")[2]
            elif isinstance(event, h2.events.DataReceived):
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                came.append((self.paths.pop(event.stream_id), time.time()))
                self.h2.send_headers(event.stream_id, [(":status", "200")], end_stream=True)
        self.transport.write(self.h2.data_to_send())


async def serve(folder: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    context.set_alpn_protocols(["h2"])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Peer, "127.0.0.1", 0, ssl=context)
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    (folder / "port.new").write_text(str(server.sockets[0].getsockname()[1]))
    (folder / "port.new").rename(folder / "port")
    await ended.wait()
    (folder / "came.json").write_text(json.dumps(came))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    import uvloop

    uvloop.run(serve(parser.parse_args().folder))


if __name__ == "__main__":
    main()
