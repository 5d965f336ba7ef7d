"""What goes in and out of a stand-in: requests, replies and the records of pushes."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Request:
    """One request as it arrived; `connection` counts from 1."""

    connection: int
    method: str
    path: str  # with the query
    fields: list[tuple[str, str]]
    body: bytes = b""
    certificate: bytes = b""  # of the client, DER; b"" if it showed none
    version: str = "h2"

    @property
    def headers(self) -> dict[str, str]:
        """By lower-case name; the last one counts."""
        return {name.lower(): value for name, value in self.fields}


@dataclass
class Reply:
    """The answer to a request."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    @classmethod
    def json(cls, status: int, told: object, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
        kind = ("content-type", "application/json; charset=UTF-8")
        return cls(status, (kind, *headers), json.dumps(told).encode())


@dataclass
class Record:
    """One push that was read, accepted or not."""

    token: str
    headers: dict[str, str]
    payload: Any
    status: int
    reason: str = ""
    id: str = ""  # that the service gave it or echoed
    path: str = ""
    method: str = "POST"
    connection: int = 0
    at: float = field(default_factory=time.time)

    def line(self) -> str:
        """As one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=True, default=repr)


class Refused(Exception):
    """The service does not take a request; carries the reply, and the word that tells why."""

    def __init__(self, reply: Reply, reason: str, token: str = "", payload: object = None) -> None:
        super().__init__(reason)
        self.reply = reply
        self.reason = reason
        self.token = token
        self.payload = payload
