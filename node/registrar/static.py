"""Static registrations: bindings that a file gives, for gateways and phones that never register.

One address of record a line, then its contacts, separated by commas or blanks; `#` begins a
comment. The file is read again after a while and on SIGHUP. What it gives lives a little
longer than until the next reading, so a line that is taken out is forgotten by itself.
"""

from __future__ import annotations

from pathlib import Path

from cluster.location.binding import Binding
from cluster.location.service import Change, LocationService
from node.identity import Identity
from node.sip.address import parse_address
from node.sip.errors import ParseError
from node.sip.uri import parse_uri

GRACE = 30  # seconds
FAR_TOO_MANY = 1000


class StaticFile:
    """Keeps the bindings of one file alive."""

    def __init__(self, path: str, refresh: float, identity: Identity, locations: LocationService) -> None:
        self._path = Path(path)
        self._ttl_ms = int(1000 * (refresh + GRACE))
        self._identity = identity
        self._locations = locations
        self.problems: list[str] = []  # of the last reading: "line 3: ..."

    async def load(self) -> int:
        """Reads the file and registers what it says; returns the number of contacts.

        Raises OSError when it cannot be read, StoreUnavailable when Redis is away.
        """
        entries = self.parse(self._path.read_text())
        count = 0
        for aor, contacts in entries.items():
            changes = [Change(self._binding(uri), self._ttl_ms, self._ttl_ms) for uri in contacts]
            await self._locations.register(aor, changes, max_contacts=FAR_TOO_MANY, call_id="static", cseq=0)
            count += len(changes)
        return count

    def parse(self, text: str) -> dict[str, list[str]]:
        """Contacts by address of record; lines that cannot be used go to `problems`."""
        self.problems = []
        entries: dict[str, list[str]] = {}
        for number, line in enumerate(text.splitlines(), 1):
            words = line.partition("#")[0].replace(",", " ").split()
            if not words:
                continue
            try:
                aor = self._identity.aor(_uri(words[0]))
                contacts = [str(parse_uri(_uri(word))) for word in words[1:]]
            except ParseError as error:
                self.problems.append(f"line {number}: {error.reason}")
                continue
            if aor is None or not contacts:
                self.problems.append(f"line {number}: expected a user of our domains and a contact")
            else:
                entries.setdefault(aor, []).extend(contacts)
        return entries

    def _binding(self, uri: str) -> Binding:
        return Binding(
            key="static:" + uri,
            uri=uri,
            params="",
            q=1000,
            expires_at=0,
            message_expires_at=0,
            registered_at=0,
            call_id="",
            cseq=0,
        )


def _uri(word: str) -> bytes:
    raw = word if ":" in word.partition("@")[0] else "sip:" + word
    return parse_address(raw.encode()).uri if "<" in raw else raw.encode()
