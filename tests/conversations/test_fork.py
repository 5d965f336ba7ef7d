"""Several phones: parallel and serial forking, CANCEL, the best response (RFC 3261 16.7)."""

from __future__ import annotations


async def test_answered_on_one_phone_cancels_the_other(two):
    await two.run("""
    >> alice INVITE sip:bob@example.org
    << alice 100
    << bob INVITE
    << bob2 INVITE
        Record-Route: <sip:
    >> bob 180
    << alice 180
    >> bob2 180
    << alice 180
    >> bob2 200
    << alice 200
    << bob CANCEL sip:bob@192.0.2.20:5060
        Reason: SIP;cause=200;text="Call completed elsewhere"
        CSeq: 1 CANCEL
    >> bob 200 CANCEL
    >> bob 487
    << bob ACK
    == nothing
    """)


async def test_decline_ends_the_call_everywhere(two):
    await two.run("""
    >> alice INVITE sip:bob@example.org
    << alice 100
    << bob INVITE
    << bob2 INVITE
    >> bob 180
    << alice 180
    >> bob2 603
    << bob2 ACK
    << bob CANCEL
        Reason: SIP;cause=600;text="Busy Everywhere"
    >> bob 487 INVITE
    << bob ACK
    << alice 603
    """)


async def test_no_global_decline_lets_the_other_ring(two):
    two.proxy.forward._fork_timers.no_global_decline = True
    await two.run("""
    >> alice INVITE sip:bob@example.org
    << alice 100
    << bob INVITE
    << bob2 INVITE
    >> bob 180
    << alice 180
    >> bob2 603
    << bob2 ACK
    == nothing
    >> bob 200
    << alice 200
    """)


async def test_caller_cancels_with_his_reason(two):
    await two.run("""
    >> alice INVITE sip:bob@example.org
    << alice 100
    << bob INVITE
    << bob2 INVITE
    >> bob 180
    << alice 180
    >> alice CANCEL sip:bob@example.org
        Reason: SIP;cause=200;text="elsewhere"
    << alice 200
        CSeq: 1 CANCEL
    << bob CANCEL
        Reason: SIP;cause=200;text="elsewhere"
    == nothing
    >> bob2 180
    << bob2 CANCEL
    >> bob 200 CANCEL
    >> bob 487 INVITE
    << bob ACK
    >> bob2 487 INVITE
    << bob2 ACK
    << alice 487
        CSeq: 1 INVITE
    """)


async def test_stray_cancel_is_481(node):
    await node.run("""
    >> alice CANCEL sip:bob@example.org
    << alice 481
    """)


async def test_cancel_after_the_answer_changes_nothing(node):
    await node.run("""
    >> alice INVITE sip:bob@example.org
    << alice 100
    << bob INVITE
    >> bob 200
    << alice 200
    >> alice CANCEL sip:bob@example.org
    << alice 200
        CSeq: 1 CANCEL
    == nothing
    """)


async def test_phone_answers_while_it_is_cancelled(node):
    """The 200 crosses the CANCEL: the caller gets it and must end the call itself."""
    await node.run("""
    >> alice INVITE sip:bob@example.org
    << alice 100
    << bob INVITE
    >> bob 180
    << alice 180
    >> alice CANCEL sip:bob@example.org
    << alice 200
    << bob CANCEL
    >> bob 200 INVITE
    << alice 200
        CSeq: 1 INVITE
    """)


async def test_best_response_prefers_what_the_caller_can_mend(two):
    await two.run("""
    >> alice INVITE sip:bob@example.org
    << alice 100
    << bob INVITE
    << bob2 INVITE
    >> bob 486
    << bob ACK
    == nothing
    >> bob2 415
    << bob2 ACK
    << alice 415
    """)


async def test_challenges_of_all_phones_are_passed(two):
    await two.run("""
    >> alice INVITE sip:bob@example.org
    << alice 100
    << bob INVITE
    << bob2 INVITE
    >> bob 407
        Proxy-Authenticate: Digest realm="one"
    << bob ACK
    >> bob2 401
        WWW-Authenticate: Digest realm="two"
    << bob2 ACK
    << alice 401
        WWW-Authenticate: Digest realm="two"
        Proxy-Authenticate: Digest realm="one"
    """)


async def test_urgent_failure_is_held_back_five_seconds(two):
    await two.run("""
    >> alice INVITE sip:bob@example.org
    << alice 100
    << bob INVITE
    << bob2 INVITE
    >> bob2 180
    << alice 180
    >> bob 488
    << bob ACK
    == nothing
    .. 6
    << alice 488
    << bob2 CANCEL
    """)


async def test_groups_of_q_ring_one_after_the_other(node):
    node.phone("late", "udp", "192.0.2.30", 5060)
    node.registered("bob", "late", q=500)
    await node.run("""
    >> alice INVITE sip:bob@example.org
    << alice 100
    << bob INVITE
    >> bob 180
    << alice 180
    == nothing
    .. 10.1
    << late INVITE
    >> late 200
    << alice 200
    << bob CANCEL
    """)


async def test_next_group_at_once_when_the_first_has_failed(node):
    node.phone("late", "udp", "192.0.2.30", 5060)
    node.registered("bob", "late", q=500)
    await node.run("""
    >> alice INVITE sip:bob@example.org
    << alice 100
    << bob INVITE
    >> bob 486
    << bob ACK
    << late INVITE
    >> late 480
    << late ACK
    << alice 486
    """)


async def test_second_200_passes_too(node):
    """Downstream forking: every 2xx is the caller's (RFC 3261 16.7 step 5)."""
    await node.run("""
    >> alice INVITE sip:bob@example.org
    << alice 100
    << bob INVITE
    >> bob 200
    << alice 200
    >> bob 200 INVITE
    << alice 200
    """)


async def test_unanswered_call_ends_with_408_after_the_fork_timeout(node):
    await node.run("""
    >> alice INVITE sip:bob@example.org
    << alice 100
    << bob INVITE
    >> bob 180
    << alice 180
    .. 90.2
    << bob CANCEL
    >> bob 200 CANCEL
    >> bob 487 INVITE
    << bob ACK
    << alice 408
    """)


async def test_silent_phone_does_not_hide_the_answer_of_another(two):
    await two.run("""
    >> alice INVITE sip:bob@example.org
    << alice 100
    << bob INVITE
    << bob2 INVITE
    >> bob2 486
    << bob2 ACK
    """)
    node_left_to_alice = [data for to, data in two.left if to == "alice"]
    assert not node_left_to_alice
    two.loop.advance(33)
    answers = [data for to, data in two.left if to == "alice"]
    assert len(answers) >= 1
    assert answers[0].startswith(b"SIP/2.0 486")


async def test_max_breadth_is_divided_among_the_branches(two):
    await two.run("""
    >> alice INVITE sip:bob@example.org
        Max-Breadth: 7
    << alice 100
    << bob INVITE
        Max-Breadth: 3
    << bob2 INVITE
        Max-Breadth: 3
    """)


async def test_max_breadth_is_begun_where_a_request_forks(two):
    await two.run("""
    >> alice MESSAGE sip:bob@example.org
    << bob MESSAGE
        Max-Breadth: 30
    """)


async def test_max_breadth_exceeded(two):
    await two.run("""
    >> alice INVITE sip:bob@example.org
        Max-Breadth: 1
    << alice 100
    << alice 440
    """)
