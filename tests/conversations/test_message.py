"""MESSAGE to phones of our users: taken at once, or kept until each device has it (RFC 3428)."""

from __future__ import annotations

import msgspec
import pytest

from cluster.location.record import Record
from cluster.messages.events import MessageDelivered, MessageNotKept, MessageRefused
from cluster.messages.settings import MessagesSettings
from node.settings import NodeRoomSettings, NodeSettings, WakingSettings
from tests.conversations.playbook import Playbook
from tests.conversations.test_wake import FCM, VOIP, asleep, registers

AOR = "bob@example.org"


def make(waking: WakingSettings | None = None, **messages) -> Playbook:
    """alice, and connections of bob's devices, none of which is registered."""
    node = NodeSettings(name="a", domains=("example.org",))
    settings = NodeRoomSettings(
        node=node, waking=waking or WakingSettings(), messages=MessagesSettings(**messages)
    )
    playbook = Playbook(settings, messages=True)
    playbook.phone("alice", "udp", "192.0.2.10", 5060)
    playbook.phone("bob", "tcp", "192.0.2.20", 40000)
    playbook.phone("bobnew", "tcp", "192.0.2.20", 41000)
    playbook.phone("tablet", "tcp", "192.0.2.21", 40000)
    playbook.phone("desk", "udp", "192.0.2.22", 5060)
    return playbook


def online(playbook: Playbook, name: str = "bob", **fields) -> None:
    """A device with an instance on an open connection."""
    urn = f"<urn:{name}>"
    playbook.registered("bob", name, **({"key": urn, "instance": urn} | fields))


@pytest.fixture
async def node() -> Playbook:
    """bob's phone is online."""
    playbook = make()
    online(playbook)
    return playbook


@pytest.fixture
async def sleeping() -> Playbook:
    """bob's phone sleeps and can be woken."""
    playbook = make()
    asleep(playbook, FCM)
    return playbook


def done(playbook: Playbook) -> bool:
    """Nobody waits for an answer any more."""
    return playbook.proxy.forward.open.count == 0 and playbook.proxy.idle


# -- taken at once


async def test_what_an_online_device_takes_at_once_costs_no_store(node: Playbook) -> None:
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
            Content-Type: text/plain
            > hello
        << bob MESSAGE sip:bob@192.0.2.20:40000
        == nothing
        >> bob 200
        << alice 200
        .. 40
        == nothing
        """
    )
    assert node.store.calls == 0 and done(node)


async def test_a_repeated_request_gets_the_same_answer(sleeping: Playbook) -> None:
    await sleeping.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << store keeps
        << push data message tok
        << alice 202
        >> alice again
        << alice 202
        == nothing
        """
    )


async def test_a_refusal_of_the_only_device_is_the_senders(node: Playbook) -> None:
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << bob MESSAGE
        >> bob 415
        << alice 415
        .. 40
        == nothing
        """
    )
    assert node.store.calls == 0 and done(node)


async def test_the_best_refusal_of_all_devices_is_the_senders(node: Playbook) -> None:
    online(node, "tablet")
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << bob MESSAGE
        << tablet MESSAGE
        >> bob 486
        == nothing
        >> tablet 415
        << alice 415
        == nothing
        """
    )
    assert done(node)


async def test_devices_of_every_q_are_asked_together(node: Playbook) -> None:
    online(node, "tablet", q=100)
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << bob MESSAGE
        << tablet MESSAGE
        >> tablet 200
        >> bob 200
        << alice 200
        .. 40
        == nothing
        """
    )
    assert node.store.calls == 0


async def test_two_flows_of_one_device_get_one_copy(node: Playbook) -> None:
    node.locations.records.clear()
    online(node, "bob", key="<urn:bob>;reg-id=1", reg_id=1)
    node.registered("bob", "bobnew", key="<urn:bob>;reg-id=2", instance="<urn:bob>", reg_id=2)
    node.flows["bob"].close("reset by peer")
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << bobnew MESSAGE
        >> bobnew 200
        << alice 200
        == nothing
        """
    )


# -- stored


async def test_a_sleeping_device_is_stored_for_and_woken(sleeping: Playbook) -> None:
    await sleeping.run(
        """
        >> alice MESSAGE sip:bob@example.org
            Content-Type: text/plain
            > hello
        << store keeps normal <urn:bob>
            closed: \r
            life: 604800
            kind: message
        << push data message tok
            provider: fcm proj
        << alice 202
        .. 40
        == nothing
        """
    )
    (push,) = sleeping.push.sent
    assert push.expires_at - push.created_at == 604_800_000
    assert done(sleeping)
    (explained,) = await sleeping.proxy.explain(AOR)
    assert explained["noted"]["text"] == "a data push was queued for a message"
    ((pending, _),) = sleeping.store.kept[AOR]
    assert pending.request.startswith(b"MESSAGE sip:bob@example.org SIP/2.0\r\n")
    assert pending.request.endswith(b"\r\n\r\nhello")
    for field in (b"\r\nVia:", b"\r\nMax-Forwards:", b"\r\nRoute:"):
        assert field not in pending.request
    assert b"\r\nDate: " in pending.request
    assert (pending.call_id, pending.sender) == ("call-alice", "sip:alice@example.org")


async def test_it_is_delivered_when_the_device_registers(sleeping: Playbook) -> None:
    await sleeping.run(
        """
        >> alice MESSAGE sip:bob@example.org
            Call-ID: one
        << store keeps
        << push data message
        << alice 202
        >> alice MESSAGE sip:bob@example.org
            Call-ID: two
        << store keeps
        << push data message
        << alice 202
        """
        + registers(sleeping, "bobnew", FCM)
        + """
        << bobnew MESSAGE
            Call-ID: one
        == nothing
        >> bobnew 200
        << bobnew MESSAGE
            Call-ID: two
        >> bobnew 200
        << store hears <urn:bob> 200
        << store hears <urn:bob> 200
        == nothing
        """
    )
    assert sleeping.store.kept == {}
    delivered = [event.call_id for event in sleeping.events if isinstance(event, MessageDelivered)]
    assert delivered == ["one", "two"]


async def test_a_silent_device_is_stored_for_after_a_moment_and_its_late_2xx_is_relayed() -> None:
    node = make()
    online(node, push=FCM, prid="fcm:proj:tok")
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << bob MESSAGE
        .. 0.4
        == nothing
        .. 0.1
        << store keeps normal <urn:bob>
        << push data message tok
        == nothing
        >> bob 200
        << push withdrawn tok
        << store hears <urn:bob> 200
        << alice 200
        .. 40
        == nothing
        """
    )
    assert node.store.kept == {} and done(node)
    assert len([event for event in node.events if isinstance(event, MessageDelivered)]) == 1


async def test_a_device_with_patience_is_pushed_when_that_is_over() -> None:
    node = make(WakingSettings(timeout=3.0))
    online(node, push=FCM, prid="fcm:proj:tok")
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << bob MESSAGE
        .. 0.6
        << store keeps
        .. 2.2
        == nothing
        .. 0.3
        << push data message tok
        .. 2
        << alice 202
        == nothing
        """
    )


async def test_patience_ends_when_the_connection_breaks() -> None:
    node = make(WakingSettings(timeout=3.0))
    online(node, push=FCM, prid="fcm:proj:tok")
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << bob MESSAGE
        .. 0.6
        << store keeps
        == nothing
        """
    )
    node.flows["bob"].close("reset by peer")
    await node.run(
        """
        .. 0.01
        << push data message tok
        << alice 202
        .. 5
        == nothing
        """
    )


async def test_one_that_answers_within_its_patience_is_not_pushed() -> None:
    node = make(WakingSettings(timeout=3.0))
    online(node, push=FCM, prid="fcm:proj:tok")
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << bob MESSAGE
        .. 0.6
        << store keeps
        >> bob 200
        << store hears <urn:bob> 200
        << alice 200
        .. 10
        == nothing
        """
    )
    (explained,) = await node.proxy.explain(AOR)
    assert explained["noted"]["text"] == "no push: it answered 200"


async def test_after_5_seconds_the_sender_hears_202_and_the_device_may_still_take_it(node: Playbook) -> None:
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << bob MESSAGE
        .. 0.6
        << store keeps normal <urn:bob>
        .. 4.3
        == nothing
        .. 0.2
        << alice 202
        >> bob 200
        << store hears <urn:bob> 200
        == nothing
        """
    )
    assert node.store.kept == {} and done(node)


async def test_the_sender_need_not_wait_longer_than_configured() -> None:
    node = make(accept_timeout=0.2)
    online(node)
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << bob MESSAGE
        .. 0.3
        << store keeps
        << alice 202
        == nothing
        """
    )


async def test_a_late_refusal_ends_it_for_that_device(node: Playbook) -> None:
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << bob MESSAGE
        .. 0.6
        << store keeps normal <urn:bob>
        >> bob 486
        << store hears <urn:bob> 486
        << alice 202
        == nothing
        """
    )
    assert node.store.kept == {}
    assert [event.status for event in node.events if isinstance(event, MessageRefused)] == [486]


@pytest.mark.parametrize("status", [408, 503])
async def test_unavailable_is_stored_at_once(node: Playbook, status: int) -> None:
    await node.run(
        f"""
        >> alice MESSAGE sip:bob@example.org
        << bob MESSAGE
        >> bob {status}
        << store keeps normal <urn:bob>
        """
    )
    assert node.left[0][0] == "alice" and node.left[0][1].startswith(b"SIP/2.0 202")


async def test_a_connection_that_breaks_is_stored_for_and_woken_at_once() -> None:
    node = make()
    online(node, push=FCM, prid="fcm:proj:tok")
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << bob MESSAGE
        """
    )
    node.flows["bob"].close("reset by peer")
    await node.run(
        """
        .. 0.01
        << store keeps normal <urn:bob>
        << push data message tok
        << alice 202
        == nothing
        """
    )
    assert done(node)


async def test_two_devices_the_one_that_took_it_is_closed_and_the_other_is_owed(node: Playbook) -> None:
    asleep(node, FCM, "tablet")
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << bob MESSAGE
        == nothing
        >> bob 200
        << store keeps normal <urn:tablet>
            closed: <urn:bob>
        << push data message tok
        << alice 200
        == nothing
        """
    )
    assert done(node)


async def test_a_2xx_waits_until_the_rest_is_stored(node: Playbook) -> None:
    asleep(node, FCM, "tablet")
    node.store.slow = True
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << bob MESSAGE
        >> bob 200
        << store keeps normal <urn:tablet>
        .. 3
        == nothing
        """
    )
    node.store.release_replies()
    await node.settle()
    await node.run(
        """
        << push data message tok
        << alice 200
        == nothing
        """
    )


async def test_a_2xx_while_it_is_being_stored_is_confirmed_afterwards(node: Playbook) -> None:
    node.store.slow = True
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << bob MESSAGE
        .. 0.6
        << store keeps normal <urn:bob>
        >> bob 200
        == nothing
        """
    )
    node.store.release_replies()
    await node.settle()
    await node.run(
        """
        << store hears <urn:bob> 200
        << alice 200
        == nothing
        """
    )
    assert node.store.kept == {}


async def test_202_waits_until_it_is_stored(sleeping: Playbook) -> None:
    sleeping.store.slow = True
    await sleeping.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << store keeps normal <urn:bob>
        .. 8
        == nothing
        """
    )
    assert not sleeping.proxy.idle
    sleeping.store.release_replies()
    await sleeping.settle()
    await sleeping.run(
        """
        << push data message tok
        << alice 202
        == nothing
        """
    )


# -- not stored after all


@pytest.mark.parametrize(
    ("refuse", "status", "reason"), [("full", "480 The recipient's message queue is full", "max_per_user"),
                                     ("total", "503", "max_total")]
)  # fmt: skip
async def test_a_full_store_is_told_to_the_sender(
    sleeping: Playbook, refuse: str, status: str, reason: str
) -> None:
    sleeping.store.refuse = refuse
    await sleeping.run(
        f"""
        >> alice MESSAGE sip:bob@example.org
        << alice {status}
            {"Retry-After: 5" if refuse == "total" else "!Retry-After"}
        == nothing
        """
    )
    (event,) = [event for event in sleeping.events if isinstance(event, MessageNotKept)]
    assert (event.reason, event.devices, event.aor) == (reason, ("<urn:bob>",), AOR)
    assert done(sleeping)


async def test_without_redis_the_sender_hears_503_and_when_to_come_back(sleeping: Playbook) -> None:
    sleeping.store.away = True
    await sleeping.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << alice 503
            Retry-After: 5
        == nothing
        """
    )
    assert done(sleeping)


async def test_without_redis_a_silent_device_may_take_it_until_the_sender_has_waited(node: Playbook) -> None:
    node.store.away = True
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << bob MESSAGE
        .. 3
        == nothing
        >> bob 200
        << alice 200
        >> alice MESSAGE sip:bob@example.org
            Call-ID: other
        << bob MESSAGE
        .. 4.9
        == nothing
        .. 0.2
        << alice 503
            Retry-After: 5
        """
    )
    assert done(node)


async def test_who_took_it_counts_even_if_the_rest_could_not_be_stored(node: Playbook) -> None:
    asleep(node, FCM, "tablet")
    node.store.refuse = "full"
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << bob MESSAGE
        >> bob 200
        << alice 200
        == nothing
        """
    )
    (event,) = [event for event in node.events if isinstance(event, MessageNotKept)]
    assert (event.reason, event.devices) == ("max_per_user", ("<urn:tablet>",))


async def test_a_request_longer_than_what_is_kept_is_refused() -> None:
    node = make(max_size=1000)
    asleep(node, FCM)
    await node.run(
        f"""
        >> alice MESSAGE sip:bob@example.org
            > {"x" * 1000}
        << alice 513
        == nothing
        """
    )
    assert node.store.calls == 0 and done(node)


# -- in which order


async def test_a_device_that_is_owed_something_gets_the_older_ones_first(node: Playbook) -> None:
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
            Call-ID: one
        << bob MESSAGE
            Call-ID: one
        .. 0.6
        << store keeps normal <urn:bob>
        >> alice MESSAGE sip:bob@example.org
            Call-ID: two
        << store keeps normal <urn:bob>
        << alice 202
        == nothing
        >> bob 200
        << store hears <urn:bob> 200
        << alice 200
        .. 1
        << bob MESSAGE
            Call-ID: two
        >> bob 200
        << store hears <urn:bob> 200
        == nothing
        """
    )
    assert node.store.kept == {}


async def test_nothing_overtakes_what_is_just_being_stored(node: Playbook) -> None:
    node.store.slow = True
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
            Call-ID: one
        << bob MESSAGE
        .. 0.6
        << store keeps
        """
    )
    node.locations.records[AOR] = msgspec.structs.replace(node.locations.records[AOR], messages={})
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
            Call-ID: two
        << store keeps
        == nothing
        """
    )


async def test_messages_are_stored_in_the_order_in_which_they_came(node: Playbook) -> None:
    """The second could be stored at once; it waits for the moment of the first."""
    asleep(node, FCM, "tablet")
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
            Call-ID: one
        << bob MESSAGE
        .. 0.2
        >> alice MESSAGE sip:bob@example.org;gr=urn:tablet
            Call-ID: two
        >> alice MESSAGE sip:bob@example.org;gr=urn:tablet
            Call-ID: three
        == nothing
        .. 0.3
        << store keeps normal <urn:tablet> <urn:bob>
        << store keeps normal <urn:tablet>
        << store keeps normal <urn:tablet>
        << push data message tok
        << push data message tok
        << alice 202
        << push data message tok
        << alice 202
        == nothing
        """
    )
    assert [pending.call_id for pending, _ in node.store.kept[AOR]] == ["one", "two", "three"]


async def test_one_that_need_not_be_stored_lets_the_next_go_at_once(node: Playbook) -> None:
    asleep(node, FCM, "tablet")
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org;gr=urn:bob
            Call-ID: one
        << bob MESSAGE
        >> alice MESSAGE sip:bob@example.org;gr=urn:tablet
            Call-ID: two
        == nothing
        >> bob 200
        << alice 200
        << store keeps normal <urn:tablet>
        << push data message tok
        << alice 202
        == nothing
        """
    )
    assert done(node)


async def test_two_at_a_time_to_a_device_that_falls_silent_are_stored_in_order(node: Playbook) -> None:
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
            Call-ID: one
        << bob MESSAGE
        .. 0.3
        >> alice MESSAGE sip:bob@example.org
            Call-ID: two
        << bob MESSAGE
        """
    )
    node.flows["bob"].close("reset by peer")
    await node.run(
        """
        .. 0.01
        << store keeps normal <urn:bob>
        << store keeps normal <urn:bob>
        << alice 202
            Call-ID: one
        << alice 202
            Call-ID: two
        == nothing
        """
    )
    assert [pending.call_id for pending, _ in node.store.kept[AOR]] == ["one", "two"]
    assert done(node)


@pytest.mark.parametrize(
    ("priority", "kept"),
    [("emergency", "emergency"), ("Urgent", "urgent"), ("non-urgent", "non-urgent"), ("odd", "normal")],
)
async def test_priority_is_kept(sleeping: Playbook, priority: str, kept: str) -> None:
    await sleeping.run(
        f"""
        >> alice MESSAGE sip:bob@example.org
            Priority: {priority}
        << store keeps {kept} <urn:bob>
        {"" if kept == "non-urgent" else "<< push data message tok"}
        << alice 202
        == nothing
        """
    )


# -- for whom


async def test_a_gruu_is_for_its_device_only(node: Playbook) -> None:
    asleep(node, FCM, "tablet")
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org;gr=urn:tablet
        << store keeps normal <urn:tablet>
            closed: * <urn:bob>
        << push data message tok
        << alice 202
        == nothing
        """
    )


async def test_a_gruu_reaches_a_device_that_takes_messages_only() -> None:
    node = make()
    asleep(node, FCM, expires_at=node.locations.now_ms() - 1)
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org;gr=urn:bob
        << store keeps normal <urn:bob>
        << push data message tok
        << alice 202
        """
    )


async def test_a_device_without_a_name_is_owed_nothing_in_particular() -> None:
    node = make()
    node.registered("bob", "desk")
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << desk MESSAGE
        .. 0.5
        << store keeps normal *
        << desk MESSAGE
        >> desk 200
        << store hears sip:bob@192.0.2.22:5060 200
        << alice 200
        == nothing
        """
    )
    assert node.store.kept == {}


async def test_nobody_waits_for_a_device_without_a_name_when_another_has_it(node: Playbook) -> None:
    node.registered("bob", "desk")
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << bob MESSAGE
        << desk MESSAGE
        >> bob 200
        << alice 200
        .. 0.5
        << desk MESSAGE
        >> desk 200
        == nothing
        """
    )
    assert node.store.calls == 0 and done(node)


async def test_a_known_user_without_registrations_is_stored_for() -> None:
    node = make()
    node.locations.records[AOR] = Record(AOR, known=True)
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << store keeps normal *
        << alice 202
        >> alice INVITE sip:bob@example.org
        << alice 100
        << alice 404
        """
        + registers(node, "bobnew", {})
        + """
        << bobnew MESSAGE sip:bob@192.0.2.20:41000
        >> bobnew 200
        << store hears <urn:bob> 200
        == nothing
        """
    )


@pytest.mark.parametrize("uri", ["sip:bob@example.org;gr=urn:bob", "sips:bob@example.org"])
async def test_a_known_users_unknown_device_is_not_found(uri: str) -> None:
    node = make()
    node.locations.records[AOR] = Record(AOR, known=True)
    await node.run(
        f"""
        >> alice MESSAGE {uri}
        << alice 404
        == nothing
        """
    )


async def test_bindings_only_if_set_so() -> None:
    node = make(accept="bindings")
    node.locations.records[AOR] = Record(AOR, known=True)
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << alice 404
        >> alice MESSAGE sip:nobody@example.org
            Call-ID: other
        << alice 404
        == nothing
        """
    )


async def test_who_was_never_registered_is_not_found() -> None:
    await make().run(
        """
        >> alice MESSAGE sip:nobody@example.org
        << alice 404
        == nothing
        """
    )


# -- what is not kept


@pytest.mark.parametrize(
    "lines",
    ["Expires: 0", "Content-Type: application/im-iscomposing+xml",
     "Content-Type: message/CPIM\n            > Content-Type: application/im-iscomposing+xml"],
)  # fmt: skip
async def test_what_is_about_this_moment_is_not_kept(lines: str) -> None:
    node = make()
    online(node, epoch="gone", node="x")
    await node.run(
        f"""
        >> alice MESSAGE sip:bob@example.org
            {lines}
        << alice 480
        == nothing
        """
    )
    node.locations.records[AOR] = Record(AOR, known=True)
    await node.run(
        f"""
        >> alice MESSAGE sip:bob@example.org
            {lines}
            Call-ID: other
        << alice 404
        == nothing
        """
    )
    assert node.store.calls == 0


async def test_the_senders_of_a_conference_hear_its_answer() -> None:
    node = make()
    online(node, params=";isfocus")
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << bob MESSAGE
        .. 1
        >> bob 503
        << alice 480
        == nothing
        """
    )
    assert node.store.calls == 0


async def test_delivery_notices_are_kept_and_wake_nobody(sleeping: Playbook) -> None:
    await sleeping.run(
        """
        >> alice MESSAGE sip:bob@example.org
            Content-Type: message/imdn+xml
        << store keeps normal <urn:bob>
            kind: \r
        << alice 202
        == nothing
        """
    )


async def test_an_expires_is_kept(sleeping: Playbook) -> None:
    await sleeping.run(
        """
        >> alice MESSAGE sip:bob@example.org
            Expires: 90
        << store keeps normal <urn:bob>
            life: 90
        << push data message tok
        << alice 202
        """
    )
    (push,) = sleeping.push.sent
    assert push.expires_at - push.created_at == 90_000
    assert b"\r\nExpires: 90\r\n" in sleeping.store.kept[AOR][0][0].request


async def test_a_message_within_a_dialog_goes_its_way(node: Playbook) -> None:
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
            To: <sip:bob@example.org>;tag=x
        << bob MESSAGE
        .. 3
        >> bob 486
        << alice 486
        """
    )
    assert node.store.calls == 0


async def test_the_node_that_holds_a_flow_stores_nothing_for_another(node: Playbook) -> None:
    node.phone("other", "tcp", "192.0.2.2", 5070, internal=True)
    token = node.tokens.token(node.flows["bob"])
    await node.run(
        f"""
        >> other MESSAGE sip:bob@192.0.2.20:40000;transport=tcp
            Route: <sip:{token}@192.0.2.1:5070;transport=tcp;lr>
        << bob MESSAGE
        .. 1
        == nothing
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
    assert node.store.calls == 0


async def test_storage_can_be_turned_off() -> None:
    node = make(enabled=False)
    asleep(node, FCM)
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << push data message tok
        .. 18
        == nothing
        .. 3
        << alice 480
        """
    )
    assert node.store.calls == 0


# -- pushes


async def test_only_the_first_that_waits_wakes_if_set_so() -> None:
    node = make(wake="first")
    asleep(node, FCM)
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
            Call-ID: one
        << store keeps
        << push data message tok
        << alice 202
        >> alice MESSAGE sip:bob@example.org
            Call-ID: two
        << store keeps
        << alice 202
        == nothing
        """
    )


async def test_a_phone_that_cannot_be_woken_for_messages_is_stored_for() -> None:
    node = make()
    asleep(node, VOIP)
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << store keeps normal <urn:bob>
        << alice 202
        == nothing
        """
    )
    (explained,) = await node.proxy.explain(AOR)
    assert explained["noted"]["text"] == "no push: its only push token is for calls (VoIP)"


async def test_a_push_that_cannot_be_queued_is_noted_and_the_message_is_kept(sleeping: Playbook) -> None:
    sleeping.push.problem = "the queue is full"
    await sleeping.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << store keeps
        << alice 202
        == nothing
        """
    )
    (explained,) = await sleeping.proxy.explain(AOR)
    assert explained["noted"]["text"] == "no push: the queue is full"


# -- phones that come back while the sender waits


async def test_a_phone_that_registers_from_elsewhere_within_the_moment_is_asked_there_as_well(
    node: Playbook,
) -> None:
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << bob MESSAGE
        """
        + registers(node, "bobnew", {})
        + """
        .. 0.5
        << store keeps normal <urn:bob>
        << bobnew MESSAGE
        >> bobnew 200
        << store hears <urn:bob> 200
        << alice 200
        .. 40
        == nothing
        """
    )
    assert node.store.kept == {}


async def test_a_phone_that_registers_from_elsewhere_after_it_is_asked_there_at_once(node: Playbook) -> None:
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << bob MESSAGE
        .. 0.6
        << store keeps normal <urn:bob>
        """
        + registers(node, "bobnew", {})
        + """
        << bobnew MESSAGE
        >> bobnew 200
        << store hears <urn:bob> 200
        << alice 200
        .. 40
        == nothing
        """
    )


async def test_a_phone_that_came_back_unheard_while_it_was_stored_gets_it(sleeping: Playbook) -> None:
    sleeping.store.slow = True
    await sleeping.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << store keeps normal <urn:bob>
        """
    )
    record = sleeping.locations.records[AOR]
    said, sleeping.locations.records[AOR] = record.messages, msgspec.structs.replace(record, messages={})
    await sleeping.run(registers(sleeping, "bobnew", FCM) + "== nothing")
    record = sleeping.locations.records[AOR]
    sleeping.locations.records[AOR] = msgspec.structs.replace(record, messages=said)
    sleeping.store.release_replies()
    await sleeping.settle()
    await sleeping.run(
        """
        << push data message tok
        << alice 202
        << bobnew MESSAGE
        >> bobnew 200
        << store hears <urn:bob> 200
        == nothing
        """
    )


# -- voicemail


@pytest.mark.parametrize("wakes", [True, False])
async def test_a_message_summary_wakes_if_set_so(wakes: bool) -> None:
    node = make(WakingSettings(message_summaries=wakes))
    asleep(node, FCM)
    await node.run(
        f"""
        >> alice NOTIFY sip:bob@example.org
            Event: message-summary
        {"<< push data summary tok" if wakes else "<< alice 480"}
        == nothing
        """
    )
    assert node.store.calls == 0
