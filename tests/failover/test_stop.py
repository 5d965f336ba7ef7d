"""A node is stopped or killed and started again, with stores of its own as on a laptop."""

import asyncio
import signal

from tests.failover.conftest import StartNode
from tests.phones.certificates import Certificates
from tests.phones.clarion import ClarionNode
from tests.phones.sip_client import SipPhone, connected


async def test_kill_and_restart_keeps_registrations(certificates: Certificates) -> None:
    node = await asyncio.to_thread(ClarionNode, certificates, name="laptop")
    try:
        async with (
            SipPhone("alice", "udp", node.address("udp")) as alice,
            SipPhone("bob", "udp", node.address("udp")) as bob,
        ):
            await alice.register()
            node.kill()
            await asyncio.to_thread(node.start)
            calling, called = await connected(bob, alice)
            await asyncio.gather(called.bye(), calling.expect_bye())
    finally:
        await asyncio.to_thread(node.close)


async def test_sigterm_drains_and_ends_with_success(start_node: StartNode) -> None:
    node = start_node("a")
    async with (
        SipPhone("alice", "tcp", node.address("tcp")) as alice,
        SipPhone("bob", "tcp", node.address("tcp")) as bob,
    ):
        await asyncio.gather(alice.register(), bob.register())
        calling = alice.invite(bob.uri)
        called = await bob.incoming()
        called.ring()
        await calling.expect(180)
        node.terminate()

        async def refuse_calls() -> None:
            while True:
                (await alice.incoming(60)).refuse(486)

        refusing = asyncio.create_task(refuse_calls())
        try:
            async with asyncio.timeout(5):
                while True:  # until the node knows that it drains
                    late = bob.invite(alice.uri)
                    refusal = await bob.expect_response(late.invite)
                    late.ack(refusal)
                    if refusal.status == 503:
                        break
                    assert refusal.status == 486, bob.evidence("a call while the node is told to end")
        finally:
            refusing.cancel()
        assert refusal.first("Retry-After"), bob.evidence("a 503 without Retry-After")
        # the call that rings may still be answered
        called.answer()
        response = await calling.expect(200)
        calling.ack(response)
        await called.expect_ack()
        assert await asyncio.to_thread(node.program.wait_end) == 0, node.evidence("did not end well")


async def test_second_signal_ends_at_once(start_node: StartNode) -> None:
    node = start_node("a")
    async with (
        SipPhone("alice", "tcp", node.address("tcp")) as alice,
        SipPhone("bob", "tcp", node.address("tcp")) as bob,
    ):
        await asyncio.gather(alice.register(), bob.register())
        calling = alice.invite(bob.uri)
        called = await bob.incoming()
        called.ring()
        await calling.expect(180)
        node.program.signal(signal.SIGTERM)
        node.program.signal(signal.SIGINT)
        await asyncio.to_thread(node.program.wait_end, 2.5)
