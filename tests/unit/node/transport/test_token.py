"""Flow tokens: what goes in comes out, and nothing else is believed."""

import base64
import random

import pytest

from node.transport.flow import Flow, Listener
from node.transport.token import FlowAddress, FlowTokens, TokenError

KEY = b"k" * 32
OTHER = b"o" * 32


def flow(transport: str = "tcp", host: str = "192.0.2.7", port: int = 40000, serial: int = 77) -> Flow:
    return Flow(None, Listener(transport, "192.0.2.1", 5060), host, port, serial)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (flow(), FlowAddress("node-a", "epoch-1", "tcp", 5060, 77, "192.0.2.7", 40000)),
        (flow("tls", "2001:db8::7"), FlowAddress("node-a", "epoch-1", "tls", 5060, 77, "2001:db8::7", 40000)),
        (flow("udp", serial=0), FlowAddress("node-a", "", "udp", 5060, 0, "192.0.2.7", 40000)),
        (flow("udp", "fe80::1%2", serial=0), FlowAddress("node-a", "", "udp", 5060, 0, "fe80::1", 40000)),
    ],
)
def test_round_trip(made: Flow, expected: FlowAddress) -> None:
    token = FlowTokens("node-a", [KEY], "epoch-1").token(made)
    assert made.token == token
    assert token.replace("-", "").replace("_", "").isalnum()
    assert FlowTokens("node-b", [KEY], "epoch-9").open(token) == expected


def test_keys_rotate() -> None:
    old, new = FlowTokens("a", [KEY]), FlowTokens("a", [OTHER, KEY])
    assert new.open(old.token(flow())).node == "a"
    with pytest.raises(TokenError):
        old.open(new.token(flow()))
    for keys in ([], [b"short"]):
        with pytest.raises(ValueError, match="16 octets"):
            FlowTokens("a", keys)


def test_every_changed_bit_is_found() -> None:
    tokens = FlowTokens("node-a", [KEY], "epoch-1")
    token = tokens.token(flow())
    octets = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for bit in range(len(octets) * 8):
        forged = bytearray(octets)
        forged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(TokenError):
            tokens.open(base64.urlsafe_b64encode(forged).rstrip(b"=").decode())


@pytest.mark.parametrize("text", ["", "=", "bob", "a" * 500, "\u00e9", "AAAA AAAA", "+/+/", "%41"])
def test_other_user_parts_are_no_tokens(text: str) -> None:
    with pytest.raises(TokenError):
        FlowTokens("a", [KEY]).open(text)


def test_one_spelling_only() -> None:
    tokens = FlowTokens("ab", [KEY], "e")
    token = tokens.token(flow())
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for text in (token + "=", token + "==", token + "\n", token.replace("-", "+").replace("_", "/") + "="):
        with pytest.raises(TokenError):
            tokens.open(text)
    for last in alphabet.replace(token[-1], ""):
        with pytest.raises(TokenError):
            tokens.open(token[:-1] + last)


def test_noise() -> None:
    tokens = FlowTokens("a", [KEY])
    dice = random.Random(1)
    for _ in range(500):
        with pytest.raises(TokenError):
            tokens.open(base64.urlsafe_b64encode(dice.randbytes(dice.randrange(60))).rstrip(b"=").decode())
