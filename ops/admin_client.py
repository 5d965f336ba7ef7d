"""The other end of the admin socket, for the command line."""

import http.client
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from ops.admin import socket_path

TIMEOUT = 10.0


class AdminUnavailable(Exception):
    """No node answers there; the text says what to do."""


def ask(path: Path, *parts: str) -> Any:
    """The decoded answer to GET /part/part. Raises AdminUnavailable."""
    return _asked("GET", path, parts)


def order(path: Path, *parts: str) -> Any:
    """The decoded answer to POST /part/part. Raises AdminUnavailable."""
    return _asked("POST", path, parts)


def _asked(method: str, path: Path, parts: tuple[str, ...]) -> Any:
    connection = _UnixConnection(path)
    try:
        connection.request(method, "/" + "/".join(quote(part, safe="") for part in parts))
        response = connection.getresponse()
        answer = orjson.loads(response.read())
    except (OSError, http.client.HTTPException, orjson.JSONDecodeError) as error:
        raise AdminUnavailable(
            f"no node answers at {path} ({error}); is it running, and is this its folder? "
            "Name the socket with --socket, or the configuration with --config"
        ) from None
    finally:
        connection.close()
    if response.status != 200:
        raise AdminUnavailable(str(answer.get("error", f"the node answered {response.status}")))
    return answer


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(socket_path(self._path))
