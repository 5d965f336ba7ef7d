"""MESSAGE to phones of our users: taken at once, refused, or not kept at all (RFC 3428)."""

from __future__ import annotations

import pytest

from cluster.location.record import Record
from node.settings import WakingSettings
from tests.conversations.message_rig import AOR, done, make, node, online, sleeping
from tests.conversations.playbook import Playbook
from tests.conversations.test_wake import FCM, asleep

__all__ = ["node", "sleeping"]


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
