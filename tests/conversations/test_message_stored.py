"""MESSAGE that is kept until each device has it, and what the sender hears."""

from __future__ import annotations

import pytest

from cluster.messages.events import MessageDelivered, MessageNotKept, MessageRefused
from node.settings import WakingSettings
from tests.conversations.message_rig import AOR, done, make, node, online, sleeping
from tests.conversations.playbook import Playbook
from tests.conversations.test_wake import FCM, asleep, registers

__all__ = ["node", "sleeping"]


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


async def test_what_a_device_took_while_redis_was_away_is_kept_for_the_others(node: Playbook) -> None:
    asleep(node, FCM, "tablet")
    node.store.away = True
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << bob MESSAGE
        >> bob 200
        << alice 200
        .. 3
        == nothing
        """
    )
    node.store.away = False
    await node.run(
        """
        .. 0.6
        << store keeps normal <urn:tablet>
        << push data message
        .. 40
        == nothing
        """
    )
    assert not [event for event in node.events if isinstance(event, MessageNotKept)]
    assert done(node)


async def test_it_is_said_when_redis_stays_away(node: Playbook) -> None:
    asleep(node, FCM, "tablet")
    node.store.away = True
    await node.run(
        """
        >> alice MESSAGE sip:bob@example.org
        << bob MESSAGE
        >> bob 200
        << alice 200
        .. 32
        == nothing
        """
    )
    (event,) = [event for event in node.events if isinstance(event, MessageNotKept)]
    assert (event.devices, event.reason) == (("<urn:tablet>",), "redis")
    node.store.away = False
    await node.run(".. 5\n== nothing")


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
