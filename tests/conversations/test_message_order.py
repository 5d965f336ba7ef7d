"""MESSAGE that is kept: in which order, and for whom."""

from __future__ import annotations

import msgspec
import pytest

from cluster.location.record import Record
from tests.conversations.message_rig import AOR, done, make, node, sleeping
from tests.conversations.playbook import Playbook
from tests.conversations.test_wake import FCM, asleep, registers

__all__ = ["node", "sleeping"]


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
