"""Requests that are answered before they go anywhere."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        ("foo:bar", 416),
        ("sip:bob@example.org?Route=x", 400),
        ("tel:+123", 416),
        ("sip:bob@exa mple", 400),
        ("sip:nobody@example.org", 404),
    ],
)
async def test_request_uris(node, uri, status):
    await node.run(f"""
    >> alice MESSAGE {uri}
        To: <sip:bob@example.org>
    << alice {status}
    """)


async def test_max_forwards(node):
    await node.run("""
    >> alice MESSAGE sip:bob@example.org
        Max-Forwards: 0
    << alice 483
    """)


async def test_proxy_require(node):
    await node.run("""
    >> alice INVITE sip:bob@example.org
        Proxy-Require: warp, drive
    << alice 420
        Unsupported: warp, drive
    """)


async def test_loop(node):
    """A binding that points back to the address of record."""
    node.phone("self", "udp", "192.0.2.1", 5060)
    node.locations.records.clear()
    node.registered("loop", "self", uri="sip:loop@example.org")
    await node.run("""
    >> alice MESSAGE sip:loop@example.org
    """)
    seen = 0
    data = b""
    while node.left and seen < 80:
        _, data = node.left.popleft()
        seen += 1
        if data.startswith(b"SIP/2.0 482"):
            break
        node.deliver(data, node.flows["self"])
        await node.settle()
    assert data.startswith(b"SIP/2.0 482")
    assert 2 <= seen < 5, "the loop was not seen"
    assert node.proxy.errors == 0


async def test_options_to_the_node(node):
    await node.run("""
    >> alice OPTIONS sip:example.org
    << alice 200
        Allow: INVITE
        Supported: path, outbound, gruu
    """)


async def test_broken_requests_are_answered_and_broken_answers_are_not(node):
    node.deliver(b"INVITE sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1\r\n"
                 b"From: <sip:a@b>;tag=1\r\nTo: <sip:bob@example.org>\r\nCSeq: 1 INVITE\r\n\r\n",
                 node.flows["alice"])  # fmt: skip
    await node.run("<< alice 400 Missing Call-ID")
    node.deliver(b"SIP/2.0 200 OK\r\n\r\n", node.flows["alice"])
    node.deliver(b"garbage", node.flows["alice"])
    assert not node.left


async def test_response_that_nobody_asked_for_is_dropped(node):
    rows = (
        b"SIP/2.0 200 OK",
        b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKforged",
        b"Via: SIP/2.0/UDP 192.0.2.10",
        b"From: <sip:a@b>;tag=1",
        b"To: <sip:bob@example.org>;tag=2",
        b"Call-ID: 1",
        b"CSeq: 1 INVITE",
    )
    node.deliver(b"\r\n".join((*rows, b"", b"")), node.flows["bob"])
    assert not node.left
    assert node.proxy.table.unmatched == 1
