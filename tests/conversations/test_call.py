"""A call from its INVITE to the 200 of its BYE."""

from __future__ import annotations


async def test_call_is_set_up_and_ended(node):
    await node.run("""
    >> alice INVITE sip:bob@example.org
    << alice 100
    << bob INVITE sip:bob@192.0.2.20:5060
        Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK
        Record-Route: <sip:192.0.2.1:5060
        Max-Forwards: 69
    >> bob 100
    == nothing
    >> bob 180
    << alice 180
        !Via: SIP/2.0/UDP 192.0.2.1:
    >> bob 200
    << alice 200
    >> alice ACK sip:bob@192.0.2.20:5060
        Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKack
        Route: <sip:192.0.2.1:5060;lr>
        To: <sip:bob@example.org>;tag=tag-bob
    << bob ACK sip:bob@192.0.2.20:5060
        !Route
    >> bob BYE sip:alice@192.0.2.10:5060
        Route: <sip:192.0.2.1:5060;lr>
        To: <sip:alice@example.org>;tag=alice
    << alice BYE sip:alice@192.0.2.10:5060
    >> alice 200 BYE
    << bob 200
    .. 200
    == nothing
    """)
    assert node.proxy.table.counts == (0, 0)
    assert len(node.proxy.timers) == 0


async def test_nobody_registered_is_404(node):
    await node.run("""
    >> alice INVITE sip:carol@example.org
    << alice 100
    << alice 404
        To: <sip:carol@example.org>;tag=
    >> alice ACK sip:carol@example.org
    .. 40
    == nothing
    """)


async def test_retransmissions_are_absorbed(node):
    await node.run("""
    >> alice INVITE sip:bob@example.org
    << alice 100
    << bob INVITE
    >> alice again
    << alice 100
    >> bob 180
    << alice 180
    >> alice again
    << alice 180
    == nothing
    """)


async def test_invite_and_final_response_are_retransmitted_over_udp(node):
    await node.run("""
    >> alice INVITE sip:bob@example.org
    << alice 100
    << bob INVITE
    .. 0.5
    << bob INVITE
    .. 1.1
    << bob INVITE
    >> bob 486
    << bob ACK
    << alice 486
    .. 0.5
    << alice 486
    >> bob again
    << bob ACK
    >> alice ACK sip:bob@example.org
    .. 100
    == nothing
    """)
    assert node.proxy.table.counts == (0, 0)


async def test_silent_phone_is_408_after_timer_b(node):
    await node.run("""
    >> alice INVITE sip:bob@example.org
    << alice 100
    << bob INVITE
    """)
    node.left.clear()
    node.loop.advance(31)
    node.left.clear()
    await node.run("""
    .. 2
    << alice 408
    """)


async def test_message_is_relayed_and_never_answered_408(node):
    await node.run("""
    >> alice MESSAGE sip:bob@example.org
    << bob MESSAGE sip:bob@192.0.2.20:5060
        !Record-Route
    >> bob 200
    << alice 200
    >> alice again
    << alice 200
    .. 40
    == nothing
    >> alice MESSAGE sip:bob@example.org
    << bob MESSAGE
    """)
    node.loop.advance(100)
    assert not [data for to, data in node.left if to == "alice"]


async def test_unknown_things_pass_untouched(node):
    await node.run("""
    >> alice INVITE sip:bob@example.org
        X-Odd:   spaces  and; "quotes, 	tabs"
        Subject: folded
    << alice 100
    << bob INVITE
        X-Odd:   spaces  and; "quotes, 	tabs"
        Subject: folded
    """)


async def test_push_parameters_never_reach_the_other_side(node):
    await node.run("""
    >> alice INVITE sip:bob@example.org
        Contact: <sip:alice@192.0.2.10;pn-prid=secret;app-id=x;transport=udp>;+sip.instance="<urn:x>"
    << alice 100
    << bob INVITE
        Contact: <sip:alice@192.0.2.10;transport=udp>;+sip.instance="<urn:x>"
    """)


async def test_draining_node_takes_no_new_calls(node):
    node.proxy.admission.draining = True
    await node.run("""
    >> alice INVITE sip:bob@example.org
    << alice 503
        Retry-After: 5
    >> alice MESSAGE sip:bob@example.org
        Call-ID: other
    << bob MESSAGE
    """)


async def test_redis_away_and_nothing_known_is_503(node):
    node.locations.away = True
    node.locations.records.clear()
    await node.run("""
    >> alice INVITE sip:bob@example.org
    << alice 100
    << alice 503
        Retry-After:
    """)


async def test_redis_away_calls_to_known_bindings_go_on(node):
    node.locations.away = True
    await node.run("""
    >> alice INVITE sip:bob@example.org
    << alice 100
    << bob INVITE
    """)


async def test_foreign_domains_only_for_our_users(node):
    node.phone("elsewhere", "udp", "192.0.2.99", 5060)
    await node.run("""
    >> alice INVITE sip:x@192.0.2.99
    << alice 100
    << elsewhere INVITE sip:x@192.0.2.99
    >> bob INVITE sip:x@192.0.2.99
        From: <sip:mallory@evil.example>;tag=m
    << bob 100
    << bob 403
    """)
