"""Flows: a phone is reached over the connection that it opened, and no other (RFC 5626)."""

from __future__ import annotations

from node.resolve.locator import Destination


async def test_request_goes_over_the_phones_own_connection(node):
    node.phone("tina", "tcp", "192.0.2.40", 50001)
    node.registered("tina", "tina")
    await node.run("""
    >> alice INVITE sip:tina@example.org
    << alice 100
    << tina INVITE sip:tina@192.0.2.40:50001;transport=tcp
        Via: SIP/2.0/TCP 192.0.2.1:5060
    """)
    rows = [r for r in node.flows["tina"].got[0].decode().split("\r\n") if r.startswith("Record-Route")]
    assert len(rows) == 2, rows
    assert "@192.0.2.1:5060;transport=tcp;lr" in rows[0]
    assert rows[1] == "Record-Route: <sip:192.0.2.1:5060;transport=udp;lr>" or "udp" in rows[1]


async def test_connection_gone_is_asleep_at_once(node):
    tina = node.phone("tina", "tcp", "192.0.2.40", 50001)
    node.registered("tina", "tina")
    tina.close("reset")
    await node.run("""
    >> alice INVITE sip:tina@example.org
    << alice 100
    << alice 480
    """)


async def test_other_phone_on_the_same_address_does_not_get_the_call(node):
    node.phone("tina", "tcp", "192.0.2.40", 50001)
    node.registered("tina", "tina")
    node.flows["tina"].close("reset")
    node.phone("mallory", "tcp", "192.0.2.40", 50001)
    await node.run("""
    >> alice INVITE sip:tina@example.org
    << alice 100
    << alice 480
    == nothing
    """)


async def test_connection_breaks_while_ringing_is_asked(node):
    tina = node.phone("tina", "tcp", "192.0.2.40", 50001)
    node.registered("tina", "tina")
    await node.run("""
    >> alice INVITE sip:tina@example.org
    << alice 100
    << tina INVITE
    """)
    tina.close("reset")
    await node.run("<< alice 480")


async def test_dialog_follows_the_tokens_both_ways(node):
    node.phone("tina", "tcp", "192.0.2.40", 50001)
    node.phone("carl", "tls", "192.0.2.50", 50002)
    node.registered("tina", "tina")
    await node.run("""
    >> carl INVITE sip:tina@example.org
    << carl 100
    << tina INVITE
    """)
    got = node.flows["tina"].got[0].decode()
    rows = [r.partition(": ")[2] for r in got.split("\r\n") if r.startswith("Record-Route")]
    await node.run(f"""
    >> tina 200
    << carl 200
    >> carl ACK sip:tina@192.0.2.40:50001;transport=tcp
        Via: SIP/2.0/TLS 192.0.2.50:50002;branch=z9hG4bKack
        To: <sip:tina@example.org>;tag=tag-tina
        Route: {rows[1]}, {rows[0]}
    << tina ACK
        !Route
    >> tina BYE sip:carl@192.0.2.50:50002
        To: <sip:carl@example.org>;tag=carl
        Route: {rows[0]}
        Route: {rows[1]}
    << carl BYE
        !Route
    >> carl 200 BYE
    << tina 200
    """)


async def test_falsified_token_is_refused(node):
    node.phone("tina", "tcp", "192.0.2.40", 50001)
    token = node.tokens.token(node.flows["tina"])
    forged = token[:-4] + ("AAAA" if not token.endswith("AAAA") else "BBBB")
    await node.run(f"""
    >> alice BYE sip:tina@192.0.2.40:50001;transport=tcp
        To: <sip:tina@example.org>;tag=t
        Route: <sip:{forged}@192.0.2.1:5060;transport=tcp;lr>
    << alice 403
    """)


async def test_gone_flow_is_430_and_a_gruu_finds_the_new_one(node):
    tina = node.phone("tina", "tcp", "192.0.2.40", 50001)
    token = node.tokens.token(tina)
    tina.close("gone")
    node.phone("tina2", "tcp", "192.0.2.40", 50009)
    node.registered("tina", "tina2", instance="<urn:uuid:1>")
    await node.run(f"""
    >> alice BYE sip:tina@192.0.2.40:50001;transport=tcp
        To: <sip:tina@example.org>;tag=t
        Route: <sip:{token}@192.0.2.1:5060;transport=tcp;lr>
    << alice 480
    >> alice BYE sip:tina@example.org;gr=urn:uuid:1
        CSeq: 2 BYE
        To: <sip:tina@example.org>;tag=t
        Route: <sip:{token}@192.0.2.1:5060;transport=tcp;lr>
    << tina2 BYE
    """)


async def test_second_flow_of_a_device_is_tried_when_the_first_failed(node):
    first = node.phone("tina", "tcp", "192.0.2.40", 50001)
    node.phone("tina2", "tcp", "192.0.2.40", 50002)
    node.registered("tina", "tina", instance="<urn:uuid:1>", reg_id=1)
    node.registered("tina", "tina2", instance="<urn:uuid:1>", reg_id=2)
    await node.run("""
    >> alice INVITE sip:tina@example.org
    << alice 100
    << tina INVITE
    == nothing
    """)
    first.close("reset")
    await node.run("<< tina2 INVITE")


async def test_nat_phone_by_udp_is_reached_at_its_source(node):
    node.phone("nat", "udp", "203.0.113.7", 31000)
    node.registered("nat", "nat", uri="sip:nat@10.0.0.5:5060", by_flow=True)
    await node.run("""
    >> alice MESSAGE sip:nat@example.org
    << nat MESSAGE sip:nat@10.0.0.5:5060
    """)


async def test_answer_goes_to_the_port_in_via_unless_rport_is_asked(node):
    node.phone("source", "udp", "192.0.2.60", 33333)
    node.phone("named", "udp", "192.0.2.60", 5060)
    await node.run("""
    >> source OPTIONS sip:example.org
        Via: SIP/2.0/UDP 192.0.2.60:5060;branch=z9hG4bKx1
    << named 200
    >> source OPTIONS sip:example.org
        Via: SIP/2.0/UDP 192.0.2.60:5060;branch=z9hG4bKx2;rport
    << source 200
        Via: SIP/2.0/UDP 192.0.2.60:5060;branch=z9hG4bKx2;rport=33333;received=192.0.2.60
    """)


async def test_phone_of_another_node_by_its_internal_transport(node):
    from cluster.membership import Member

    node.members.snapshot = {"b": Member(name="b", epoch="e2", internal="tcp:192.0.2.2:5070")}
    node.registered(
        "zoe", "bob", uri="sip:zoe@192.0.2.77:5060", node="b", epoch="e2", flow="tok", reliable=True
    )
    node.phone("b", "tcp", "192.0.2.2", 5070, internal=True)
    await node.run("""
    >> alice INVITE sip:zoe@example.org
    << alice 100
    << b INVITE sip:zoe@192.0.2.77:5060
        Route: <sip:tok@192.0.2.2:5070;transport=tcp;lr>
        Record-Route: <sip:192.0.2.1:5070;transport=tcp
    """)


async def test_phone_of_a_dead_node_is_asleep_at_once(node):
    node.registered(
        "zoe", "bob", uri="sip:zoe@192.0.2.77:5060", node="b", epoch="e2", flow="tok", reliable=True
    )
    await node.run("""
    >> alice INVITE sip:zoe@example.org
    << alice 100
    << alice 480
    """)


async def test_long_request_goes_by_tcp_and_by_udp_if_there_is_none(node):
    node.phone("bobtcp", "tcp", "192.0.2.20", 5060)
    await node.run(f"""
    >> alice MESSAGE sip:bob@example.org
        X-Long: {"x" * 1400}
    << bobtcp MESSAGE
        Via: SIP/2.0/TCP 192.0.2.1:5060
    """)
    node.flows["bobtcp"].close("refused")
    await node.run("<< bob MESSAGE")


async def test_next_destination_when_the_first_does_not_answer(node):
    node.phone("one", "udp", "192.0.2.71", 5060)
    node.phone("two", "tcp", "192.0.2.72", 5060)
    node.locator.names["gateway.example"] = (
        Destination("udp", "192.0.2.71", 5060, "gateway.example"),
        Destination("tcp", "192.0.2.72", 5060, "gateway.example"),
    )
    await node.run("""
    >> alice INVITE sip:x@gateway.example
    << alice 100
    << one INVITE
    """)
    node.loop.advance(33)
    node.left = type(node.left)(item for item in node.left if item[0] != "one")
    await node.run("""
    << two INVITE sip:x@gateway.example
    >> two 200
    << alice 200
    """)
    assert [hop.host for hop in node.locator.avoided] == ["192.0.2.71"]


async def test_next_destination_when_the_first_is_unavailable(node):
    node.phone("one", "udp", "192.0.2.71", 5060)
    node.phone("two", "tcp", "192.0.2.72", 5060)
    node.locator.names["gateway.example"] = (
        Destination("udp", "192.0.2.71", 5060, "gateway.example"),
        Destination("tcp", "192.0.2.72", 5060, "gateway.example"),
    )
    await node.run("""
    >> alice INVITE sip:x@gateway.example
    << alice 100
    << one INVITE
    >> one 503
    << one ACK
    << two INVITE
    >> two 486
    << two ACK
    << alice 486
    """)


async def test_name_that_cannot_be_found(node):
    await node.run("""
    >> alice INVITE sip:x@nowhere.invalid
    << alice 100
    << alice 404
    """)
