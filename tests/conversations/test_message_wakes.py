"""MESSAGE that is kept: whom it wakes, and phones that come back meanwhile."""

from __future__ import annotations

import msgspec

from tests.conversations.message_rig import AOR, make, node, sleeping
from tests.conversations.playbook import Playbook
from tests.conversations.test_wake import FCM, VOIP, asleep, registers

__all__ = ["node", "sleeping"]


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
