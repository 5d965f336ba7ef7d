"""SIP messages as a test sees them: a start line, header fields in order, a body. No checks, nothing
clever.
"""

import re
from dataclasses import dataclass, field

COMPACT = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "l": "content-length",
    "c": "content-type",
    "k": "supported",
    "s": "subject",
    "e": "content-encoding",
}


@dataclass(slots=True)
class Sip:
    """One message."""

    start: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    raw: bytes = b""

    @classmethod
    def parse(cls, raw: bytes) -> "Sip":
        head, _, body = raw.partition(b"\r\n\r\n")
        lines = re.sub(rb"\r\n[ \t]+", b" ", head).decode("utf-8", "replace").split("\r\n")
        fields = [(n.strip(), v.strip()) for n, _, v in (line.partition(":") for line in lines[1:])]
        return cls(lines[0], fields, body, raw)

    def all(self, name: str) -> list[str]:
        """Values of every row of this name, in order."""
        name = name.lower()
        return [v for n, v in self.fields if COMPACT.get(n.lower(), n.lower()) == name]

    def first(self, name: str) -> str:
        """Value of the first row of this name, empty if there is none."""
        return next(iter(self.all(name)), "")

    def values(self, name: str) -> list[str]:
        """All comma separated values (commas in quotes or angle brackets do not count)."""
        rows = self.all(name)
        return [v.strip() for row in rows for v in re.findall(r'(?:"[^"]*"|<[^>]*>|[^,])+', row)]

    @property
    def is_request(self) -> bool:
        return not self.start.startswith("SIP/2.0 ")

    @property
    def status(self) -> int:
        """Status of a response, 0 for a request."""
        return 0 if self.is_request else int(self.start.split()[1])

    @property
    def method(self) -> str:
        """Method of a request, or of the request that a response answers."""
        return self.start.split()[0] if self.is_request else self.first("CSeq").split()[-1]

    @property
    def uri(self) -> str:
        return self.start.split()[1]

    @property
    def call_id(self) -> str:
        return self.first("Call-ID")

    @property
    def branch(self) -> str:
        found = re.search(r";\s*branch\s*=\s*([^;,\s]+)", (self.values("Via") or [""])[0])
        return found[1] if found else ""

    def tag(self, name: str) -> str:
        """Tag of From or To."""
        found = re.search(r";\s*tag\s*=\s*([^;\s]+)", self.first(name).rpartition(">")[2] or self.first(name))
        return found[1] if found else ""

    def __str__(self) -> str:
        return self.raw.decode("utf-8", "replace").rstrip()


def inner_uri(value: str) -> str:
    """URI of a name-addr or addr-spec."""
    found = re.search(r"<([^>]*)>", value)
    return found[1] if found else value.partition(";")[0].strip()


class Frames:
    """Cuts a byte stream into messages by Content-Length; keep-alives are dropped and counted."""

    def __init__(self) -> None:
        self._data = b""
        self.pongs = 0

    def feed(self, data: bytes) -> list[bytes]:
        self._data += data
        out = []
        while True:
            while self._data.startswith(b"\r\n"):
                self._data = self._data[2:]
                self.pongs += 1
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return out
            length = re.search(rb"^(?:content-length|l)\s*:\s*(\d+)", self._data[:end], re.I | re.M)
            if length is None:  # RFC 3261 20.14: on a stream it must be there; phones close the connection
                raise ValueError(
                    f"a message without Content-Length on a stream:\n{self._data[:end].decode()}"
                )
            size = end + 4 + int(length[1])
            if len(self._data) < size:
                return out
            out.append(self._data[:size])
            self._data = self._data[size:]
