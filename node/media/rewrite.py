"""Session descriptions with other addresses: each media line that is relayed gets the relay's.

Nothing else changes: not the origin (o=), so that the phones' own version numbers stay true, not the keys of
SRTP, not the fingerprints of DTLS, not the phones' own ICE candidates.
"""

from __future__ import annotations

import zlib

import msgspec

from node.media.sdp import Description, Media

LAST_PREFERENCE = 1  # ICE: below everything that the phones found themselves (RFC 8445 5.1.2)


class Relayed(msgspec.Struct, frozen=True):
    """Where one media line is received now. `rtcp` 0: it shares the port (rtcp-mux)."""

    address: str
    port: int
    rtcp: int = 0


def rewritten(description: Description, relayed: dict[int, Relayed], mark: bool = True) -> bytes:
    """The description with these media lines (by index) at the relay. With `mark` it says that no further
    relay is wanted (a=nortpproxy:yes)."""
    replaced: dict[int, bytes] = {}
    added: dict[int, list[bytes]] = {}  # after a line
    shared = _session_address(description, relayed)
    if shared is not None and description.connection is not None:
        replaced[description.connection.line] = _connection(shared)
    for index, to in relayed.items():
        media = description.media[index]
        _move(description, media, to, replaced, added, inherits=shared is not None)
    if mark and relayed and not description.unrelayed:
        first = description.media[0].line
        added.setdefault(first - 1, []).append(b"a=nortpproxy:yes\r\n")
    out = []
    for number, line in enumerate(description.lines):
        out.append(replaced.get(number, line))
        extra = added.get(number)
        if extra:
            if not out[-1].endswith(b"\n"):
                out[-1] += b"\r\n"
            out += extra
    return b"".join(out)


def _session_address(description: Description, relayed: dict[int, Relayed]) -> Relayed | None:
    """What the session's c= line may say instead: the one address of all who go by it."""
    if description.connection is None or description.connection.address in ("0.0.0.0", "::"):
        return None
    found: Relayed | None = None
    for index, media in enumerate(description.media):
        if media.connection is not None or media.rejected:
            continue
        to = relayed.get(index)
        if to is None or (found is not None and found.address != to.address):
            return None
        found = to
    return found


def _move(
    description: Description,
    media: Media,
    to: Relayed,
    replaced: dict[int, bytes],
    added: dict[int, list[bytes]],
    inherits: bool,
) -> None:
    kind, _, rest = description.lines[media.line].partition(b" ")
    _, _, rest = rest.partition(b" ")
    if not media.bundle_only:
        replaced[media.line] = b"%b %d %b" % (kind, to.port, rest)
    if media.connection is not None:
        if not description.held(media):
            replaced[media.connection.line] = _connection(to)
    elif not inherits and not description.held(media):
        added.setdefault(_after_title(description, media), []).append(_connection(to))
    if media.rtcp_line >= 0:
        replaced[media.rtcp_line] = _rtcp(media, to)
    elif to.rtcp and to.rtcp != to.port + 1:
        added.setdefault(media.end - 1, []).append(b"a=rtcp:%d\r\n" % to.rtcp)
    if media.last_candidate >= 0:
        added.setdefault(media.last_candidate, []).extend(candidates(to, media.mux))


def _after_title(description: Description, media: Media) -> int:
    """c= stands behind i=, if there is one (RFC 8866 9)."""
    following = media.line + 1
    if following < media.end and description.lines[following].startswith(b"i="):
        return following
    return media.line


def _connection(to: Relayed) -> bytes:
    return f"c=IN IP{_version(to.address)} {to.address}\r\n".encode()


def _version(address: str) -> int:
    return 6 if ":" in address else 4


def _rtcp(media: Media, to: Relayed) -> bytes:
    port = to.rtcp or to.port
    if media.rtcp_address:
        return f"a=rtcp:{port} IN IP{_version(to.address)} {to.address}\r\n".encode()
    return b"a=rtcp:%d\r\n" % port


def candidates(to: Relayed, mux: bool) -> list[bytes]:
    """ICE candidates of the relay (RFC 8839 5.1), of the lowest priority there is."""
    lines = [_candidate(to, 1, to.port)]
    if not mux and to.rtcp:
        lines.append(_candidate(to, 2, to.rtcp))
    return lines


def _candidate(to: Relayed, component: int, port: int) -> bytes:
    foundation = zlib.crc32(to.address.encode())
    priority = (LAST_PREFERENCE << 8) + 256 - component  # type preference 0, as of a relay
    return (
        f"a=candidate:{foundation} {component} UDP {priority} {to.address} {port} typ relay "
        f"raddr {to.address} rport {port}\r\n"
    ).encode()
