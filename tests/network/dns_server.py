"""A DNS server on loopback for nodes under test: it answers from rows of a zone file."""

import contextlib
import socket
import threading
from collections.abc import Callable

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

Rows = Callable[[str, str], list[str]]
"""Asked with a lower-case name without the last dot and a type; returns the data of the records."""


class DnsServer:
    """Answers each question with what `rows` returns; remembers the questions."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.questions: list[tuple[str, str]] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, name="dns", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """As `[transport] dns_servers` takes it."""
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            data, peer = self._socket.recvfrom(4096)
            if not data:
                return
            with contextlib.suppress(dns.exception.DNSException, OSError):
                self._socket.sendto(self._answer(dns.message.from_wire(data)), peer)

    def _answer(self, query: dns.message.Message) -> bytes:
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.questions.append((name, kind))
        answer = dns.message.make_response(query)
        rows = self._rows(name, kind)
        if rows:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *rows))
        return answer.to_wire()

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self._socket.getsockname())
        self._thread.join(2)
        self._socket.close()
