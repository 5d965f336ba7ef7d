"""REGISTER as phones send it (RFC 3261 10, 3327, 5626, 5627)."""

from __future__ import annotations

import pytest


def stored(node, user: str = "alice"):
    return {b.key: b for b in node.locations.records[f"{user}@example.org"].bindings}


async def test_binding_is_stored_and_listed(node):
    await node.run("""
    >> alice REGISTER sip:example.org
        To: <sip:alice@example.org>
        Contact: <sip:alice@192.0.2.10:5060>;q=0.5
        Expires: 3600
    << alice 200
        Contact: <sip:alice@192.0.2.10:5060>;q=0.5;expires=3600
        Supported: path, outbound, gruu
    """)
    (binding,) = stored(node).values()
    assert (binding.node, binding.flow, binding.q) == ("a", "", 500)


async def test_connection_is_remembered_as_a_flow(node):
    node.phone("tina", "tls", "192.0.2.40", 50001)
    await node.run("""
    >> tina REGISTER sip:example.org
        To: <sip:tina@example.org>
        Contact: <sip:tina@10.0.0.9;transport=tls>;+sip.instance="<urn:uuid:7>"
        Supported: gruu
    << tina 200
        Contact: <sip:tina@10.0.0.9;transport=tls>;+sip.instance="<urn:uuid:7>";expires=600;pub-gruu="sip:tin
    >> alice INVITE sip:tina@example.org
    << alice 100
    << tina INVITE sip:tina@10.0.0.9;transport=tls
    """)


async def test_query_lists_bindings(node):
    await node.run("""
    >> bob REGISTER sip:example.org
        To: <sip:bob@example.org>
        Contact:
    << bob 200
        Contact: <sip:bob@192.0.2.20:5060>;expires=3600
    """)


@pytest.mark.parametrize(
    ("rows", "status", "row"),
    [
        (["Contact: *"], 400, ""),
        (["Contact: *, <sip:a@b>", "Expires: 0"], 400, ""),
        (["Contact: <mailto:a@b>"], 400, ""),
        (["Contact: <sip:a@b>;expires=10"], 423, "Min-Expires: 60"),
        (["Contact: <sip:a@b>;q=7"], 400, ""),
        (["To: <sip:alice@elsewhere.example>"], 403, ""),
        (["Contact: " + ", ".join(f"<sip:a{i}@b>" for i in range(13))], 403, ""),
    ],
)
async def test_refusals(node, rows, status, row):
    lines = "\n".join(" " * 12 + r for r in rows)
    to = "" if any(r.startswith("To") for r in rows) else "\n            To: <sip:alice@example.org>"
    await node.run(f"""
    >> alice REGISTER sip:example.org{to}
{lines}
    << alice {status}
        {row or "CSeq: 1 REGISTER"}
    """)


async def test_wildcard_clears(node):
    await node.run("""
    >> bob REGISTER sip:example.org
        To: <sip:bob@example.org>
        Contact: *
        Expires: 0
    << bob 200
        !Contact
    """)
    assert not stored(node, "bob")


async def test_redis_away_is_503_with_retry_after(node):
    node.locations.away = True
    await node.run("""
    >> alice REGISTER sip:example.org
        To: <sip:alice@example.org>
    << alice 503
        Retry-After: 5
    """)


async def test_cseq_out_of_order(node):
    node.locations.refuse = "cseq"
    await node.run("""
    >> alice REGISTER sip:example.org
        To: <sip:alice@example.org>
    << alice 500 CSeq out of order
    """)


async def test_push_parameters_are_kept_and_shown_to_their_owner_only(node):
    await node.run("""
    >> alice REGISTER sip:example.org
        To: <sip:alice@example.org>
        Contact: <sip:alice@192.0.2.10;pn-provider=apns;pn-prid=TOKEN;pn-param=T.app>;+sip.instance="<urn:1>"
    << alice 200
        Contact: <sip:alice@192.0.2.10;pn-provider=apns;pn-prid=TOKEN;pn-param=T.app>
    >> bob REGISTER sip:example.org
        To: <sip:alice@example.org>
        Contact: <sip:alice@192.0.2.20>
    << bob 200
        Contact: <sip:alice@192.0.2.10>;+sip.instance="<urn:1>"
        !Contact: <sip:alice@192.0.2.10;pn
    """)
    binding = stored(node)["<urn:1>"]
    assert binding.push == {"pn-provider": "apns", "pn-prid": "TOKEN", "pn-param": "T.app"}
    assert binding.prid == "apns:T.app:TOKEN"


async def test_path_is_stored_returned_and_used(node):
    node.phone("edge", "udp", "192.0.2.90", 5060)
    await node.run("""
    >> edge REGISTER sip:example.org
        To: <sip:pat@example.org>
        Contact: <sip:pat@10.1.1.1>
        Path: <sip:192.0.2.90;lr>
        Supported: path
    << edge 200
        Path: <sip:192.0.2.90;lr>
    >> alice MESSAGE sip:pat@example.org
    << edge MESSAGE sip:pat@10.1.1.1
        Route: <sip:192.0.2.90;lr>
    """)


async def test_outbound_registration(node):
    node.phone("tina", "tcp", "192.0.2.40", 50001)
    await node.run("""
    >> tina REGISTER sip:example.org
        To: <sip:tina@example.org>
        Contact: <sip:tina@192.0.2.40;transport=tcp>;reg-id=1;+sip.instance="<urn:uuid:7>"
        Supported: outbound
    << tina 200
        Require: outbound
    """)
    assert "<urn:uuid:7>;reg-id=1" in stored(node, "tina")


async def test_message_expires_outlives_the_binding_for_messages(node):
    await node.run("""
    >> alice REGISTER sip:example.org
        To: <sip:alice@example.org>
        Contact: <sip:alice@192.0.2.10:5060>;expires=60;message-expires=604800
    << alice 200
    .. 120
    >> bob INVITE sip:alice@example.org
    << bob 100
    << bob 404
    >> bob MESSAGE sip:alice@example.org
    << alice MESSAGE
    """)
