"""Real phones call each other through one node: linphonec at both ends, baresip as callee."""

from collections.abc import Callable

import pytest

from tests.phones.baresip import Baresip
from tests.phones.fixtures import Node, Phone
from tests.phones.linphone import Linphone

pytestmark = pytest.mark.real_clients
Make = Callable[..., Phone]


@pytest.fixture(params=["udp", "tcp", "tls"])
def pair(request: pytest.FixtureRequest, node: Node, phone: Make) -> tuple[Phone, Phone]:
    """Two linphonec that are registered; the second takes one call at a time."""
    alice = phone(Linphone, "alice", request.param, node)
    bob = phone(Linphone, "bob", request.param, node, max_calls=1)
    alice.registered()
    bob.registered()
    return alice, bob


def establish(caller: Phone, callee: Phone) -> None:
    """A call with media between two phones."""
    caller.call(callee.uri)
    assert caller.uri in callee.wait_incoming()
    caller.wait_ringing()
    callee.answer()
    caller.wait_established()
    callee.wait_established()


def test_calls_in_both_directions_ended_by_either_side(pair: tuple[Phone, Phone]) -> None:
    alice, bob = pair
    for caller, callee, ends in (
        (alice, bob, bob),
        (bob, alice, bob),
        (alice, bob, alice),
        (bob, alice, alice),
    ):
        establish(caller, callee)
        ends.hang_up()
        caller.wait_ended()
        callee.wait_ended()


def test_cancel(pair: tuple[Phone, Phone]) -> None:
    alice, bob = pair
    alice.call(bob.uri)
    bob.wait_incoming()
    alice.wait_ringing()
    alice.cancel()
    bob.wait_ended()
    alice.wait_ended()


def test_decline(pair: tuple[Phone, Phone]) -> None:
    alice, bob = pair
    alice.call(bob.uri)
    bob.wait_incoming()
    bob.decline()
    assert alice.wait_refused() == 603
    bob.wait_ended()


def test_busy(pair: tuple[Phone, Phone], node: Node, phone: Make) -> None:
    alice, bob = pair
    carol = phone(Linphone, "carol", "udp", node)
    carol.registered()
    establish(alice, bob)
    carol.call(bob.uri)
    assert carol.wait_refused() == 486
    bob.hang_up()
    alice.wait_ended()


def test_message(pair: tuple[Phone, Phone]) -> None:
    alice, bob = pair
    alice.message(bob.uri, "see you at noon")
    assert bob.wait_message() == (alice.uri, "see you at noon")
    bob.message(alice.uri, "gladly")
    assert alice.wait_message() == (bob.uri, "gladly")


def test_nobody_there(node: Node, phone: Make) -> None:
    alice = phone(Linphone, "alice", "udp", node)
    alice.registered()
    alice.call("sip:nobody@phones.test")
    assert alice.wait_refused() in (404, 480)


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_linphone_and_baresip(transport: str, node: Node, phone: Make) -> None:
    alice = phone(Linphone, "alice", "udp" if transport == "tls" else "tls", node)
    bob = phone(Baresip, "bob", transport, node, friend=alice.uri)
    alice.registered()
    bob.registered()
    establish(alice, bob)
    bob.hang_up()
    alice.wait_ended()
    bob.wait_ended()
    establish(bob, alice)
    bob.hang_up()
    alice.wait_ended()
    bob.wait_ended()
    alice.call(bob.uri)
    bob.wait_incoming()
    alice.wait_ringing()
    alice.cancel()
    bob.wait_ended()
    alice.wait_ended()
    bob.call(alice.uri)
    alice.wait_incoming()
    alice.decline()
    assert bob.wait_refused() == 603
    alice.wait_ended()
    alice.call(bob.uri)
    bob.wait_incoming()
    bob.decline()
    assert alice.wait_refused() == 486
    alice.message(bob.uri, "hello")
    assert bob.wait_message() == (alice.uri, "hello")
    bob.message(alice.uri, "hello yourself")
    assert alice.wait_message() == (bob.uri, "hello yourself")
