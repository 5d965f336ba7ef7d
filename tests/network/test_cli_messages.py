"""Stored messages on a node with stores of its own: they outlive it, and an operator sees and moves them."""

import asyncio
import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.phones.certificates import Certificates
from tests.phones.clarion import ClarionNode, clarion_command
from tests.phones.fixtures import new_user
from tests.phones.sip_client import SipPhone


@pytest.fixture(scope="module")
def alone(certificates: Certificates) -> Iterator[ClarionNode]:
    """A node that brings its own stores, as `make run` does."""
    node = ClarionNode(
        certificates,
        name="alone",
        options={"messages": {"retry": 300, "max_per_user": 3}, "storage": {"sweep": 1}},
    )
    yield node
    node.close()


async def clarion(node: ClarionNode, *words: str, typed: str = "") -> tuple[int, str]:
    """Exit code and everything that was said."""
    process = await asyncio.create_subprocess_exec(
        *clarion_command(), *words, "--config", str(node.config),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(30):
        output, _ = await process.communicate(typed.encode())
    assert process.returncode is not None
    return process.returncode, output.decode()


def of(node: ClarionNode, name: str) -> SipPhone:
    user = new_user(name)
    return SipPhone(user, "tcp", node.address("tcp"), instance=f"urn:uuid:{user}", reg_id=1)


async def away(phone: SipPhone) -> None:
    """It has registered, and its connection is gone."""
    await phone.open()
    await phone.register()
    await phone.close()


async def takes(phone: SipPhone, status: int = 200) -> str:
    """The text of the next message, which is answered."""
    request = await phone.expect_request("MESSAGE")
    phone.respond(request, status)
    return request.body.decode()


async def listed(node: ClarionNode, aor: str) -> list[dict[str, object]]:
    code, output = await clarion(node, "messages", aor, "--json")
    assert code == 0, output
    rows: list[dict[str, object]] = json.loads(output)
    return rows


async def test_what_was_accepted_outlives_the_node_and_is_delivered_in_order(alone: ClarionNode) -> None:
    alice, bob = of(alone, "alice"), of(alone, "bob")
    await away(bob)
    aor = bob.uri.removeprefix("sip:")
    async with alice:
        for text in ("one", "two", "three"):
            await alice.message(bob.uri, text, 202)
        await alice.message(bob.uri, "four", 480)

    alone.stop()
    alone.start()

    rows = await listed(alone, aor)
    assert [row["sender"] for row in rows] == [alice.uri] * 3
    assert [row["owed"] for row in rows] == [[{"device": f"<{bob.instance}>", "tried": None}]] * 3
    code, output = await clarion(alone, "messages", aor)
    assert (code, output.count(f"<{bob.instance}>")) == (0, 3)
    code, output = await clarion(alone, "messages")
    assert code == 0
    assert any(line.split()[:2] == [aor, "3"] for line in output.splitlines()), output
    code, output = await clarion(alone, "explain", "push", aor)
    assert "owed     3 stored messages" in output

    async with bob:
        await bob.register()
        assert [await takes(bob) for _ in range(3)] == ["one", "two", "three"]
        async with asyncio.timeout(10):
            while await listed(alone, aor):
                pass


async def test_what_was_accepted_outlives_a_power_cut(alone: ClarionNode) -> None:
    alice, bob = of(alone, "alice"), of(alone, "bob")
    await away(bob)
    async with alice:
        await alice.message(bob.uri, "one", 202)
    alone.kill()
    alone.start()
    async with bob:
        await bob.register()
        assert await takes(bob) == "one"


async def test_dropped_messages_are_gone(alone: ClarionNode) -> None:
    alice, bob = of(alone, "alice"), of(alone, "bob")
    await away(bob)
    aor = bob.uri.removeprefix("sip:")
    async with alice:
        for text in ("one", "two", "three"):
            await alice.message(bob.uri, text, 202)
    first, *_ = await listed(alone, aor)
    code, output = await clarion(alone, "messages", "drop", aor, str(first["id"])[:12], typed="n\n")
    assert code == 1
    assert f"Drop the message of {alice.uri} for {aor}?" in output
    code, output = await clarion(alone, "messages", "drop", aor, str(first["id"])[:12], typed="y\n")
    assert output.endswith("1 message dropped.\n"), output
    assert len(await listed(alone, aor)) == 2
    code, output = await clarion(alone, "messages", "drop", aor, "--yes")
    assert (code, output) == (0, "2 messages dropped.\n")
    code, output = await clarion(alone, "messages", "drop", aor, "--yes")
    assert (code, output) == (1, f"No messages wait for {aor}.\n")
    assert "stored messages for" in alone.evidence("the log"), "an operator's order is in the log"
    async with bob:
        await bob.register()
        await bob.nothing(lambda message: message.start.startswith("MESSAGE"), 0.5)


async def test_retry_asks_a_phone_at_once_that_was_to_rest(alone: ClarionNode) -> None:
    alice, bob = of(alone, "alice"), of(alone, "bob")
    aor = bob.uri.removeprefix("sip:")
    async with alice, bob:
        await bob.register()
        asking = asyncio.create_task(alice.message(bob.uri, "one", 202))
        assert await takes(bob, 503) == "one"
        await asking
        rows = await listed(alone, aor)
        assert len(rows) == 1
        # the first look at the queue asks again; from then on the phone rests for [messages] retry
        if not rows[0]["owed"][0]["tried"]:  # type: ignore[index]
            assert await takes(bob, 503) == "one"
        code, output = await clarion(alone, "messages", "retry", aor)
        assert code == 0, output
        assert output.startswith(f"Trying <{bob.instance}> now.\n")
        assert await takes(bob) == "one"
    code, output = await clarion(alone, "messages", "retry", aor)
    assert code == 1
    assert "clarion" not in output or "registered" in output


async def test_status_counts_what_waits_and_the_collector_what_expired(alone: ClarionNode) -> None:
    alice, bob = of(alone, "alice"), of(alone, "bob")
    await away(bob)
    async with alice:
        await alice.message(bob.uri, "one", 202)
        request = alice.send_request("MESSAGE", bob.uri, fields=[("Expires", "1")], body=b"soon over")
        assert (await alice.expect_response(request)).status == 202

    async def settled() -> dict[str, dict[str, object]]:
        async with asyncio.timeout(20):
            while True:
                status: dict[str, dict[str, object]] = json.loads(alone.get("/status")[1])
                if status["messages"]["pending"] and "expired after" in alone.evidence(""):
                    return status
                await asyncio.sleep(0.1)

    status = await settled()
    assert status["collector"]["leader"] == "alone"
    assert f"a message of {alice.uri} for {bob.uri.removeprefix('sip:')} expired" in alone.evidence("")
    assert len(await listed(alone, bob.uri.removeprefix("sip:"))) == 1
    code, output = await clarion(alone, "status")
    assert code == 0
    assert "Messages:  " in output
    assert "Collector: alone" in output
