"""The store of messages, in memory: what is kept, and what devices said, leaves towards the peer `store`.

<< store keeps normal <urn:bob>           a message is stored, of that rank, for these devices
    closed: <urn:tablet>                  devices that have it (or refused it)
    life: 604800                          seconds until it expires
<< store hears <urn:bob> 200              a device is not owed a message any more
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from cluster.errors import StoreUnavailable
from cluster.location.record import Record
from cluster.messages.pending import ANYBODY, RANKS, Claimed, Owed, Pending, Stored

if TYPE_CHECKING:
    from tests.conversations.playbook import Playbook

UNREACHABLE = (408, 430, 503)


class MessageStore:
    """`refuse` is "full" or "total"; `away` makes it unreachable; while `slow` its replies wait."""

    def __init__(self, playbook: Playbook) -> None:
        self._playbook = playbook
        self.refuse = ""
        self.away = False
        self.slow = False
        self.waiting: list = []
        self.kept: dict[str, list[tuple[Pending, set[str]]]] = {}  # with the devices that are owed it
        self.only: set[str] = set()  # messages that are for nobody else
        self.devices: dict[str, dict[str, bool]] = {}
        self.claims: dict[str, int] = {}
        self.calls = 0
        self._fence = 0

    def store(self, pending, owed, closed, done) -> None:
        self.calls += 1
        if self.away:
            done(StoreUnavailable("Redis is away"))
            return
        text = f"keeps {RANKS[pending.rank]} {' '.join(owed)}\r\nclosed: {' '.join(closed)}\r\n"
        text += f"life: {(pending.expires_at - pending.stored_at) // 1000}\r\nkind: {pending.kind}\r\n"
        if self.refuse:
            self._later(done, Stored(self.refuse))
            return
        self._playbook.left.append(("store", text.encode()))
        queue = self.kept.setdefault(pending.aor, [])
        known = self.devices.setdefault(pending.aor, {})
        first = tuple(device for device in owed if not any(device in open for _, open in queue))
        again = any(pending.id == other.id for other, _ in queue)
        if not again:
            queue.append((pending, set(owed)))
            queue.sort(key=lambda kept: kept[0].rank)
            if ANYBODY in closed:
                self.only.add(pending.id)
            known.update(dict.fromkeys((device for device in closed if device != ANYBODY), False) | known)
        self._changed(pending.aor)
        self._later(done, Stored(again=again, first=first))

    def claim(self, aor, seekers, count, done, fence=0) -> None:
        if self.away:
            done(StoreUnavailable("Redis is away"))
            return
        self._fence += 1
        fence = fence or self._fence
        owed = []
        for seeker in seekers:
            for pending, open in self.kept.get(aor, ()):
                if pending.id not in self.only and seeker.named and seeker.device not in self.devices[aor]:
                    open.add(seeker.device)
                if {seeker.device, ANYBODY} & open:
                    owed.append(Owed(pending, seeker.device))
        self._changed(aor)
        self._later(done, Claimed(fence, 0, tuple(owed)))

    def extend(self, aor, fence, done) -> None:
        self._later(done, True)

    def release(self, aor, fence, done) -> None:
        self._later(done, False)

    def confirm(self, aor, marks, done) -> None:
        for mark in marks:
            if mark.status in UNREACHABLE:
                continue
            self._playbook.left.append(("store", f"hears {mark.device} {mark.status}".encode()))
            for pending, open in self.kept.get(aor, []):
                if pending.id == mark.id:
                    open -= {mark.device, ANYBODY} if mark.status < 300 else {mark.device}
        self.kept[aor] = [kept for kept in self.kept.get(aor, []) if kept[1]]
        self._changed(aor)
        self._later(done, None)

    def release_replies(self) -> None:
        """What was slow arrives."""
        self.slow = False
        waiting, self.waiting = self.waiting, []
        for done, value in waiting:
            done(value)

    def _later(self, done, value) -> None:
        if self.slow:
            self.waiting.append((done, value))
        else:
            asyncio.get_running_loop().call_soon(done, value)

    def _changed(self, aor: str) -> None:
        """The record of the location service says who is owed something."""
        queue = self.kept.get(aor, [])
        if not queue:
            self.kept.pop(aor, None)
            self.devices.pop(aor, None)
            said = {}
        else:
            known = self.devices[aor]
            known |= {device: False for _, open in queue for device in open if device not in known}
            said = {device: any(device in open for _, open in queue) for device in known}
            self.devices[aor] = said
        records = self._playbook.locations.records
        record = records.get(aor, Record(aor, known=True))
        if record.messages != said:
            records[aor] = msgspec.structs.replace(record, messages=dict(said))
