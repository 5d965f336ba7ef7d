"""One side of a media line: the sockets that one phone sends to and hears from."""

from __future__ import annotations

import socket
from typing import NamedTuple

from relay.address import Address
from relay.flows import Counters, Options
from relay.forward import Forwarder
from relay.pools import Pools


class Told(NamedTuple):
    """What signalling said last of the phone at a side, see `Latch.tell`."""

    media: Address
    rtcp: Address
    via: str = ""
    natted: bool = False
    asymmetric: bool = False


class SideRecord(NamedTuple):
    """A side as another node needs it to continue the streams."""

    name: str
    local: Address
    rtcp_port: int  # of ours; 0 for none apart
    told: Told | None
    source: Address | None
    rtcp_source: Address | None


class Shared(NamedTuple):
    """What all sessions of a relay have in common."""

    forwarder: Forwarder
    pools: Pools
    sides: dict[int, Side]  # by the flow of their media


class Side:
    """Opens at once; PortsExhausted or OSError if it cannot. Its ports stay the same while it is open."""

    __slots__ = ("_sockets", "flow", "line", "local", "name", "rtcp_flow", "session", "shared", "told")

    def __init__(
        self,
        name: str,
        session: str,
        line: int,
        shared: Shared,
        family: int,
        options: Options,
        *,
        mux: bool = False,
        now: float,
        at: SideRecord | None = None,
    ) -> None:
        """A side of line number `line` of a session. `family`: 4 or 6, of the phone.

        `mux`: one port for RTP and RTCP, or no RTCP at all.
        `at`: take the ports of this record instead of any.
        """
        self.name, self.session, self.line = name, session, line
        self.shared = shared
        self.told: Told | None = None
        forwarder, pools = shared.forwarder, shared.pools
        self._sockets: list[socket.socket] = (
            pools.open(family, mux, now)
            if at is None
            else pools.open_at(at.local.host, [at.local.port] + [at.rtcp_port] * bool(at.rtcp_port), now)
        )
        self.local = Address(*self._sockets[0].getsockname()[:2])
        self.rtcp_flow: int | None = None
        flows: list[int] = []
        try:
            flows.append(forwarder.add(self._sockets[0].fileno(), options))
            if len(self._sockets) == 2:
                flows.append(forwarder.add(self._sockets[1].fileno(), options._replace(rtcp=True, raw=False)))
        except BaseException:
            for flow in flows:
                forwarder.remove(flow)
            pools.close(self._sockets, now)
            raise
        self.flow = flows[0]
        if len(flows) == 2:
            self.rtcp_flow = flows[1]
            forwarder.beside(self.flow, self.rtcp_flow)
        shared.sides[self.flow] = self

    @property
    def rtcp_port(self) -> int:
        """Our port for RTCP, 0 where it comes to the port of RTP."""
        return int(self._sockets[1].getsockname()[1]) if len(self._sockets) == 2 else 0

    def tell(self, told: Told, moved: bool = False) -> None:
        """Signalling says where the phone is, again and again. ValueError for what is no IP address."""
        for flow, where in ((self.flow, told.media), (self.rtcp_flow, told.rtcp)):
            if flow is not None:
                self.shared.forwarder.tell(
                    flow, where.host, where.port,
                    via=told.via, natted=told.natted, moved=moved, asymmetric=told.asymmetric,
                )  # fmt: skip
        self.told = told

    def restore(self, record: SideRecord) -> None:
        """Continue with what another node knew."""
        if record.told is not None:
            self.tell(record.told)
        for flow, source in ((self.flow, record.source), (self.rtcp_flow, record.rtcp_source)):
            if flow is not None and source is not None:
                self.shared.forwarder.restore(flow, source.host, source.port)

    def record(self) -> SideRecord:
        """What another node needs to continue."""
        rtcp = self.rtcp_counters()
        return SideRecord(
            self.name, self.local, self.rtcp_port, self.told, self.counters().source, rtcp and rtcp.source
        )

    def counters(self) -> Counters:
        """What came and left at the port of RTP."""
        return self.shared.forwarder.read(self.flow)

    def rtcp_counters(self) -> Counters | None:
        """The same for the port of RTCP, if it has one apart."""
        return None if self.rtcp_flow is None else self.shared.forwarder.read(self.rtcp_flow)

    def close(self, now: float) -> None:
        """Forget the flows, close the sockets, give back the ports."""
        del self.shared.sides[self.flow]
        self.shared.forwarder.remove(self.flow)
        if self.rtcp_flow is not None:
            self.shared.forwarder.remove(self.rtcp_flow)
        self.shared.pools.close(self._sockets, now)
