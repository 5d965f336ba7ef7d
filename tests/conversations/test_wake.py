"""A phone that sleeps is pushed, the call is held, and rings where the phone registers (RFC 8599 5.6)."""

from __future__ import annotations

import msgspec
import pytest

from node.settings import NodeRoomSettings, NodeSettings, RoutingSettings, WakingSettings
from tests.conversations.playbook import Playbook

FCM = {"pn-provider": "fcm", "pn-param": "proj", "pn-prid": "tok"}
VOIP = {"pn-provider": "apns", "pn-param": "ABCDE12345.org.example.app.voip", "pn-prid": "vtok"}
ALERT = {"pn-provider": "apns", "pn-param": "ABCDE12345.org.example.app.remote", "pn-prid": "rtok"}


def settings(**waking) -> NodeRoomSettings:
    node = NodeSettings(name="a", domains=("example.org",))
    return NodeRoomSettings(node=node, waking=WakingSettings(**waking), routing=RoutingSettings())


def asleep(playbook: Playbook, push: dict[str, str], name: str = "bob", user: str = "bob", **fields) -> None:
    """A phone whose TCP connection of a former life of this node is gone."""
    urn = f"<urn:{name}>"
    prid = f"{push['pn-provider']}:{push['pn-param']}:{push['pn-prid']}"
    gone = {"key": urn, "instance": urn, "push": push, "prid": prid, "epoch": "gone", "node": "x"}
    playbook.registered(user, name, **(gone | fields))


def make(push: dict[str, str] | None = None, **waking) -> Playbook:
    """alice, and bob whose phone sleeps; bobnew is the connection that it will come back by."""
    playbook = Playbook(settings(**waking))
    playbook.phone("alice", "udp", "192.0.2.10", 5060)
    playbook.phone("bob", "tcp", "192.0.2.20", 40000)
    playbook.phone("bobnew", "tcp", "192.0.2.20", 41000)
    if push:
        asleep(playbook, push)
    return playbook


def registers(
    playbook: Playbook, flow: str, push: dict[str, str], name: str = "bob", user: str = "bob"
) -> str:
    """Script lines: the phone registers by that flow."""
    params = "".join(f";{key}={value}" for key, value in push.items())
    peer = playbook.flows[flow]
    uri = f"sip:{user}@{peer.received.decode()}:{peer.rport};transport=tcp{params}"
    return f"""
        .. 0.001
        >> {flow} REGISTER sip:example.org
            To: <sip:{user}@example.org>
            From: <sip:{user}@example.org>;tag=r
            Call-ID: reg-{flow}
            Contact: <{uri}>;+sip.instance="<urn:{name}>"
        << {flow} 200
    """


@pytest.fixture
async def fcm() -> Playbook:
    return make(FCM)


async def test_an_android_phone_is_pushed_and_rings_after_it_registered(fcm: Playbook) -> None:
    await fcm.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << push data call tok
            provider: fcm proj
            from:  sip:alice@example.org
        << alice 110 Push sent
            !~To: .*;tag
        == nothing
        """
        + registers(fcm, "bobnew", FCM)
        + """
        << bobnew INVITE sip:bob@192.0.2.20:41000
        >> bobnew 180
        << push withdrawn tok
        << alice 180
        >> bobnew 200
        << alice 200
        == nothing
        """
    )


async def test_a_lost_publication_is_made_up_for(fcm: Playbook) -> None:
    fcm.locations.muted = True
    await fcm.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << push data call
        << alice 110
        """
        + registers(fcm, "bobnew", FCM)
        + """
        == nothing
        .. 2
        << bobnew INVITE
        """
    )


async def test_nobody_comes_within_90_seconds(fcm: Playbook) -> None:
    await fcm.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << push data call
        << alice 110
        .. 89
        == nothing
        .. 1.2
        << push withdrawn tok
        << alice 408
        >> alice ACK sip:bob@example.org
        """
    )
    assert fcm.locations.heard == {}
    assert fcm.proxy.idle


async def test_the_caller_gives_up(fcm: Playbook) -> None:
    await fcm.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << push data call
        << alice 110
        >> alice CANCEL sip:bob@example.org
        << alice 200
        << push withdrawn tok
        << alice 487
        >> alice ACK sip:bob@example.org
        """
        + registers(fcm, "bobnew", FCM)
        + """
        == nothing
        """
    )
    assert fcm.locations.heard == {}


async def test_a_push_that_cannot_be_queued_ends_the_wait(fcm: Playbook) -> None:
    fcm.push.problem = "the queue is full"
    await fcm.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << alice 480
        """
    )
    assert "the queue is full" in (await fcm.proxy.explain("bob@example.org"))[0]["noted"]["text"]


async def test_an_apple_phone_with_a_voip_token_gets_a_voip_push() -> None:
    node = make(VOIP)
    await node.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << push voip call vtok
            provider: apns org.example.app
        << alice 110
        == nothing
        """
    )


async def test_voip_phone_that_comes_after_the_caller_gave_up_gets_invite_and_cancel() -> None:
    node = make(VOIP)
    await node.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << push voip call vtok
        << alice 110
        >> alice CANCEL sip:bob@example.org
            Reason: SIP;cause=200;text="Call completed elsewhere"
        << alice 200
        << push withdrawn vtok
        << alice 487
        >> alice ACK sip:bob@example.org
        """
        + registers(node, "bobnew", VOIP)
        + """
        << bobnew INVITE
        >> bobnew 100
        << bobnew CANCEL
            Reason: SIP;cause=200;text="Call completed elsewhere"
        >> bobnew 200 CANCEL
        >> bobnew 487 INVITE
        << bobnew ACK
        == nothing
        """
    )
    assert node.locations.heard == {}


async def test_an_alert_phone_makes_the_caller_hear_180_and_is_told_what_it_missed() -> None:
    node = make(ALERT, call_remote_push_interval=5.0)
    await node.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << push alert call rtok
        << alice 110
        << alice 180
            !~To: .*;tag
        .. 5
        << push alert call rtok
        .. 5
        << push alert call rtok
        >> alice CANCEL sip:bob@example.org
        << alice 200
        << push withdrawn rtok
        << push alert missed rtok
        << alice 487
        >> alice ACK sip:bob@example.org
        .. 20
        == nothing
        """
    )
    collapses = {push.collapse for push in node.push.sent}
    assert len(collapses) == 1 and collapses != {""}
    assert len({push.id for push in node.push.sent}) == len(node.push.sent)


async def test_answered_elsewhere_is_told_to_the_sleeping_alert_phone() -> None:
    node = make(ALERT)
    node.phone("desk", "udp", "192.0.2.30", 5060)
    node.registered("bob", "desk")
    await node.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << push alert call rtok
        << desk INVITE
        << alice 110
        << alice 180
        >> desk 200
        << push withdrawn rtok
        << push alert accepted rtok
        << alice 200
        == nothing
        """
    )


async def test_declined_elsewhere_is_told_to_the_sleeping_alert_phone() -> None:
    node = make(ALERT)
    node.phone("desk", "udp", "192.0.2.30", 5060)
    node.registered("bob", "desk")
    await node.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << push alert call
        << desk INVITE
        << alice 110
        << alice 180
        >> desk 603
        << push withdrawn
        << push alert declined rtok
        << desk ACK
        << alice 603
        == nothing
        """
    )


async def test_a_busy_desk_phone_does_not_end_the_wait_for_the_mobile(fcm: Playbook) -> None:
    fcm.phone("desk", "udp", "192.0.2.30", 5060)
    fcm.registered("bob", "desk")
    await fcm.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << push data call
        << desk INVITE
        << alice 110
        >> desk 486
        << desk ACK
        == nothing
        """
        + registers(fcm, "bobnew", FCM)
        + """
        << bobnew INVITE
        >> bobnew 200
        << push withdrawn
        << alice 200
        == nothing
        """
    )


async def test_an_urgent_failure_is_held_for_five_seconds_only(fcm: Playbook) -> None:
    fcm.phone("desk", "udp", "192.0.2.30", 5060)
    fcm.registered("bob", "desk")
    await fcm.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << push data call
        << desk INVITE
        << alice 110
        >> desk 488
        << desk ACK
        .. 4
        == nothing
        .. 1.1
        << push withdrawn
        << alice 488
        == nothing
        """
    )


async def test_a_second_device_of_the_user_registers_while_the_call_waits(fcm: Playbook) -> None:
    fcm.phone("tablet", "tcp", "192.0.2.40", 42000)
    await fcm.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << push data call
        << alice 110
        """
        + registers(fcm, "tablet", {}, name="tablet")
        + """
        << tablet INVITE
        >> tablet 200
        << push withdrawn
        << alice 200
        == nothing
        """
    )


async def test_a_phone_that_comes_back_by_another_connection_while_it_rings_is_asked_there(
    fcm: Playbook,
) -> None:
    fcm.phone("third", "tcp", "192.0.2.20", 43000)
    await fcm.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << push data call
        << alice 110
        """
        + registers(fcm, "bobnew", FCM)
        + """
        << bobnew INVITE
        """
        + registers(fcm, "third", FCM)
        + """
        << third INVITE sip:bob@192.0.2.20:43000
        >> third 180
        << push withdrawn
        << alice 180
        >> third 200
        << alice 200
        == nothing
        """
    )
    assert len(fcm.push.sent) == 1, "one push per device and request"


async def test_two_hundreds_race(fcm: Playbook) -> None:
    """The old connection was alive after all: both 200 reach the caller, who acknowledges both."""
    fcm.phone("third", "tcp", "192.0.2.20", 43000)
    await fcm.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << push data call
        << alice 110
        """
        + registers(fcm, "bobnew", FCM)
        + """
        << bobnew INVITE
        """
        + registers(fcm, "third", FCM)
        + """
        << third INVITE
        >> third 200
        << push withdrawn
        << alice 200
        >> bobnew 200
        << alice 200
        == nothing
        """
    )


async def test_the_same_flow_registers_again_and_the_invite_is_sent_again() -> None:
    node = Playbook(settings())
    node.phone("alice", "udp", "192.0.2.10", 5060)
    node.phone("bob", "udp", "192.0.2.20", 5060)
    params = "".join(f";{key}={value}" for key, value in FCM.items())
    again = f"""
        .. 0.001
        >> bob REGISTER sip:example.org
            To: <sip:bob@example.org>
            Call-ID: r
            CSeq: %d REGISTER
            Contact: <sip:bob@192.0.2.20:5060{params}>;+sip.instance="<urn:bob>"
        << bob 200
    """
    await node.run(again % 1)
    await node.run(
        """
        .. 0.001
        >> alice INVITE sip:bob@example.org
        << alice 100
        << push data call tok
        << bob INVITE
        << alice 110
        .. 0.5
        << bob INVITE
        == nothing
        """
        + again % 2
        + """
        << bob INVITE
        >> bob 180
        << push withdrawn
        << alice 180
        == nothing
        """
    )


async def test_a_phone_that_answers_in_time_is_not_pushed() -> None:
    node = make(timeout=2.0)
    node.registered("bob", "bob", push=FCM, prid="fcm:proj:tok")
    await node.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << bob INVITE
        .. 0.1
        >> bob 180
        << alice 180
        .. 5
        == nothing
        """
    )
    noted = (await node.proxy.explain("bob@example.org"))[0]["noted"]["text"]
    assert noted == "no push: it answered 180 after 100 ms"
    assert node.locations.heard == {}, "registrations are listened to only for a phone that is woken"


async def test_the_patience_of_the_contact_goes_first() -> None:
    node = make(timeout=2.0)
    node.registered("bob", "bob", push=FCM | {"pn-timeout": "4"}, prid="fcm:proj:tok")
    await node.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << bob INVITE
        .. 3
        == nothing
        .. 1.1
        << push data call
        << alice 110
        == nothing
        """
    )


async def test_a_connection_that_breaks_wakes_the_phone_at_once() -> None:
    node = make(timeout=10.0)
    node.registered("bob", "bob", push=FCM, prid="fcm:proj:tok")
    await node.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << bob INVITE
        """
    )
    node.flows["bob"].close("reset by peer")
    await node.run(
        """
        .. 0.1
        << push data call
        << alice 110
        == nothing
        """
    )


@pytest.mark.parametrize(
    "lines",
    ["Replaces: x;to-tag=1;from-tag=2", "Priority: non-urgent"],
)
async def test_requests_that_wake_nobody(fcm: Playbook, lines: str) -> None:
    await fcm.run(
        f"""
        >> alice INVITE sip:bob@example.org
            {lines}
        << alice 100
        << alice 480
        == nothing
        """
    )


@pytest.mark.parametrize("content", ["application/im-iscomposing+xml", "message/imdn+xml"])
async def test_messages_that_wake_nobody(fcm: Playbook, content: str) -> None:
    await fcm.run(
        f"""
        >> alice MESSAGE sip:bob@example.org
            Content-Type: {content}
        << alice 480
        == nothing
        """
    )


async def test_a_message_wakes_and_is_delivered_late(fcm: Playbook) -> None:
    await fcm.run(
        """
        >> alice MESSAGE sip:bob@example.org
            Content-Type: text/plain
        << push data message tok
        == nothing
        """
        + registers(fcm, "bobnew", FCM)
        + """
        << bobnew MESSAGE
        >> bobnew 200
        << push withdrawn
        << alice 200
        == nothing
        """
    )


async def test_a_message_to_a_phone_that_does_not_come_is_refused_in_time(fcm: Playbook) -> None:
    await fcm.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << push data message tok
        .. 18
        == nothing
        .. 3
        << alice 480
        == nothing
        """
    )
    assert fcm.proxy.idle


async def test_a_voip_token_alone_is_not_used_for_messages() -> None:
    node = make(VOIP)
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << alice 480
        == nothing
        """
    )


async def test_both_tokens_of_an_apple_phone_are_used_for_what_they_are() -> None:
    both = VOIP | {"pn-param": "ABCDE12345.org.example.app.remote&voip", "pn-prid": "rtok:remote&vtok:voip"}
    node = make(both)
    await node.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << push voip call vtok
        << alice 110
        >> alice MESSAGE sip:bob@example.org
            Call-ID: other
        << push alert message rtok
        == nothing
        """
    )


async def test_a_gruu_waits_for_its_device_only(fcm: Playbook) -> None:
    fcm.phone("tablet", "tcp", "192.0.2.40", 42000)
    await fcm.run(
        """
        >> alice INVITE sip:bob@example.org;gr=urn:bob
        << alice 100
        << push data call
        << alice 110
        """
        + registers(fcm, "tablet", {}, name="tablet")
        + """
        == nothing
        """
        + registers(fcm, "bobnew", FCM)
        + """
        << bobnew INVITE
        == nothing
        """
    )


async def test_the_next_q_group_starts_when_the_sleeping_one_does_not_come() -> None:
    node = make(FCM)
    node.phone("desk", "tcp", "192.0.2.30", 40000)
    node.registered("bob", "desk", q=500)
    await node.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << push data call
        << alice 110
        .. 9
        == nothing
        .. 2
        << desk INVITE
        == nothing
        """
        + registers(node, "bobnew", FCM)
        + """
        << bobnew INVITE
        == nothing
        """
    )


async def test_a_provider_without_set_up_wakes_nobody_and_says_why(fcm: Playbook) -> None:
    fcm.push.unsupported["fcm"] = 'no [fcm."proj"] in the configuration'
    await fcm.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << alice 480
        == nothing
        """
    )
    row = (await fcm.proxy.explain("bob@example.org"))[0]
    assert row["unmet"] == "no pushes to fcm proj"
    assert row["remedy"] == 'no [fcm."proj"] in the configuration'
    assert row["would"] == "a call would fail: the phone cannot be reached, and not be woken"


async def test_a_token_that_the_provider_refused_wakes_nobody(fcm: Playbook) -> None:
    record = fcm.locations.records["bob@example.org"]
    dead = msgspec.structs.replace(record.bindings[0], prid="fcm:proj:-")
    fcm.locations.records["bob@example.org"] = msgspec.structs.replace(record, bindings=(dead,))
    await fcm.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << alice 480
        == nothing
        """
    )
    assert (await fcm.proxy.explain("bob@example.org"))[0]["unmet"] == "the provider refused its push token"


async def test_explain_says_that_parameters_are_missing(fcm: Playbook) -> None:
    fcm.phone("desk", "udp", "192.0.2.30", 5060)
    fcm.registered("bob", "desk")
    rows = {row["device"]: row for row in await fcm.proxy.explain("bob@example.org")}
    assert rows["<urn:bob>"]["would"].startswith("a call would wake it at once by a data push to fcm")
    desk = rows["sip:bob@192.0.2.30:5060"]
    assert desk["unmet"] == "no push parameters" and "pn-provider" in desk["remedy"]


async def test_a_request_within_a_dialog_wakes_by_pn_purr_only(fcm: Playbook) -> None:
    from node.waking.purr import Purr

    word = Purr(b"p" * 32).make("bob@example.org", "<urn:bob>")
    await fcm.run(
        f"""
        >> alice BYE sip:bob@192.0.2.20:40000;transport=tcp;pn-purr={word}
            To: <sip:bob@example.org>;tag=b
        << push data refresh tok
        == nothing
        """
        + registers(fcm, "bobnew", FCM)
        + """
        << bobnew BYE sip:bob@192.0.2.20:41000
        >> bobnew 200
        << push withdrawn
        << alice 200
        == nothing
        """
    )


async def test_every_call_waits_where_set_so() -> None:
    node = make(fork_late=True)
    node.phone("tablet", "tcp", "192.0.2.40", 42000)
    node.registered("bob", "bob", epoch="gone", node="x")
    await node.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        == nothing
        """
        + registers(node, "tablet", {}, name="tablet")
        + """
        << tablet INVITE
        """
    )


async def test_a_call_for_a_user_without_a_phone_waits_where_set_so() -> None:
    node = make(fork_late=True)
    node.phone("tablet", "tcp", "192.0.2.40", 42000)
    await node.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        == nothing
        """
        + registers(node, "tablet", {}, name="tablet")
        + """
        << tablet INVITE
        >> tablet 486
        << tablet ACK
        == nothing
        .. 91
        << alice 486
        """
    )


async def test_a_phone_at_another_node_that_lost_its_connection_is_woken(fcm: Playbook) -> None:
    """The other node answers 430: that is the phone's connection, not the phone."""
    from cluster.membership import Member

    fcm.members.snapshot = {"x": Member(name="x", epoch="gone", internal="tcp:192.0.2.2:5070")}
    fcm.phone("other", "tcp", "192.0.2.2", 5070, internal=True)
    await fcm.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << push data call
        << other INVITE
        << alice 110
        >> other 100
        >> other 430
        << other ACK
        == nothing
        """
        + registers(fcm, "bobnew", FCM)
        + """
        << bobnew INVITE
        >> bobnew 200
        << push withdrawn
        << alice 200
        == nothing
        """
    )


async def test_voip_phone_that_registers_after_it_was_answered_elsewhere() -> None:
    node = make(VOIP)
    node.phone("desk", "udp", "192.0.2.30", 5060)
    node.registered("bob", "desk")
    await node.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << push voip call vtok
        << desk INVITE
        << alice 110
        >> desk 200
        << push withdrawn vtok
        << alice 200
        """
        + registers(node, "bobnew", VOIP)
        + """
        << bobnew INVITE
        >> bobnew 180
        << bobnew CANCEL
            Reason: SIP;cause=200;text="Call completed elsewhere"
        >> bobnew 200 CANCEL
        >> bobnew 487 INVITE
        << bobnew ACK
        == nothing
        """
    )
    assert node.proxy.idle


async def test_voip_phone_that_never_comes_is_forgotten() -> None:
    node = make(VOIP)
    await node.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << push voip call
        << alice 110
        >> alice CANCEL sip:bob@example.org
        << alice 200
        << push withdrawn
        << alice 487
        >> alice ACK sip:bob@example.org
        .. 95
        """
    )
    assert node.locations.heard == {}


async def test_a_caller_need_not_wait_for_a_phone_that_never_responded() -> None:
    """It cannot be cancelled yet (RFC 3261 9.1); its CANCEL follows its first response."""
    node = Playbook(settings())
    node.phone("alice", "udp", "192.0.2.10", 5060)
    node.phone("bob", "tcp", "192.0.2.20", 40000)
    node.registered("bob", "bob")
    await node.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << bob INVITE
        >> alice CANCEL sip:bob@example.org
        << alice 200
        << alice 487
        >> alice ACK sip:bob@example.org
        == nothing
        >> bob 180
        << bob CANCEL
        >> bob 200 CANCEL
        >> bob 487 INVITE
        << bob ACK
        == nothing
        """
    )


async def test_a_failure_of_redis_while_a_call_waits(fcm: Playbook) -> None:
    await fcm.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << push data call
        << alice 110
        """
    )
    fcm.locations.away = True
    await fcm.run(
        """
        .. 10
        == nothing
        """
    )
    fcm.locations.away = False
    fcm.locations.muted = True
    await fcm.run(
        registers(fcm, "bobnew", FCM)
        + """
        .. 2.1
        << bobnew INVITE
        """
    )


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
async def test_a_connection_that_breaks_under_a_request_of_another_node_is_told_as_430(method: str) -> None:
    """That node holds the call, and wakes the phone."""
    node = make()
    node.phone("other", "tcp", "192.0.2.2", 5070, internal=True)
    token = node.tokens.token(node.flows["bob"])
    await node.run(
        f"""
        >> other {method} sip:bob@192.0.2.20:40000;transport=tcp
            Route: <sip:{token}@192.0.2.1:5070;transport=tcp;lr>
        {"<< other 100" if method == "INVITE" else ""}
        << bob {method}
        """
    )
    node.flows["bob"].close("reset by peer")
    await node.run(
        """
        .. 0.01
        << other 430
        == nothing
        """
    )


async def test_a_token_that_is_refused_while_the_call_waits_ends_the_wait(fcm: Playbook) -> None:
    await fcm.run(
        """
        >> alice INVITE sip:bob@example.org
        << alice 100
        << push data call
        << alice 110
        """
    )
    record = fcm.locations.records["bob@example.org"]
    dead = msgspec.structs.replace(record.bindings[0], prid="fcm:proj:-")
    fcm.locations.records["bob@example.org"] = msgspec.structs.replace(record, bindings=(dead,))
    fcm.locations.publish("bob@example.org")
    await fcm.run(
        """
        .. 0.01
        << push withdrawn
        << alice 480
        == nothing
        """
    )
