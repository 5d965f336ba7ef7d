"""Files that are read again, keys, certificates and tokens."""

from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from cluster.push.credentials.access_token import REMEMBERED, AccessToken
from cluster.push.credentials.certificate import parse_certificate
from cluster.push.credentials.jwt import base64url, es256, from_base64url, rs256
from cluster.push.credentials.keys import p256_key, private_key
from cluster.push.credentials.watched import CredentialError, Watched
from tests.unit.cluster.push.samples import (
    EC_KEY,
    NOW,
    RSA_KEY,
    Clock,
    certificate,
    pem,
    public_pem,
    write,
)


class Counted:
    """A parser that counts; octets that begin with "bad" it refuses."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, content: bytes) -> str:
        self.calls += 1
        if content.startswith(b"bad"):
            raise CredentialError("is bad")
        return content.decode()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_file_is_parsed_once_until_it_changes(tmp_path: Path, clock: Clock) -> None:
    parse = Counted()
    path = tmp_path / "file"
    watched = Watched(write(path, b"one"), "[x] y", parse, clock)
    assert (watched.read(), watched.read(), parse.calls, watched.version) == ("one", "one", 1, 1)
    clock.now += 60
    assert (watched.read(), parse.calls) == ("one", 1)
    write(path, b"two")
    assert watched.read() == "one"
    clock.now += 10
    assert (watched.read(), watched.version) == ("two", 2)
    write(path, b"six")
    watched.look()
    assert watched.read() == "six"


def test_a_file_that_went_bad_or_away_is_told_but_the_old_one_serves(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "file"
    watched = Watched(write(path, b"one"), "[x] y", Counted(), clock)
    watched.read()
    write(path, b"bad")
    watched.look()
    assert (watched.read(), watched.problem) == ("one", f"[x] y: {path} is bad")
    path.unlink()
    watched.look()
    assert "cannot be read (No such file or directory)" in watched.problem
    write(path, b"two")
    watched.look()
    assert (watched.read(), watched.problem) == ("two", "")


def test_a_file_that_never_was_good(tmp_path: Path, clock: Clock) -> None:
    for path, words in (
        (tmp_path / "none", "No such file"),
        (tmp_path, "Is a directory"),
        (Path(write(tmp_path / "large", b"x" * ((1 << 20) + 1))), "larger than 1 MB"),
        (Path(write(tmp_path / "bad", b"bad")), "is bad"),
    ):
        watched = Watched(str(path), "[x] y", Counted(), clock)
        with pytest.raises(CredentialError, match=words):
            watched.read()
        with pytest.raises(CredentialError, match=words):
            watched.read()


def test_tokens_are_those_of_other_implementations() -> None:
    claims = {"iss": "we", "iat": int(NOW)}
    for text, key, name in (
        (es256({"kid": "k"}, claims, EC_KEY), EC_KEY, "ES256"),
        (rs256({"kid": "k"}, claims, RSA_KEY), RSA_KEY, "RS256"),
    ):
        assert jwt.decode(text, public_pem(key), [name], options={"verify_iat": False}) == claims
        assert jwt.get_unverified_header(text) == {"alg": name, "kid": "k"}


def test_base64url() -> None:
    assert base64url(b"\xfb\xff") == "-_8"
    assert from_base64url("-_8") == from_base64url("+/8=") == b"\xfb\xff"
    for wrong in ("!", "a", "ab cd", "é"):
        with pytest.raises(ValueError, match=r".*"):
            from_base64url(wrong)


def test_a_key_with_a_password_is_told() -> None:
    sealed = EC_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    with pytest.raises(CredentialError, match="protected by a password"):
        private_key(sealed)
    with pytest.raises(CredentialError, match="not a P-256 key"):
        p256_key(pem(RSA_KEY))
    assert p256_key(pem(EC_KEY)).key_size == 256


def test_the_topics_of_a_certificate() -> None:
    topics = tuple(f"org.example.app{suffix}" for suffix in ("", ".voip", ".complication", ".a" * 60))
    found = parse_certificate(certificate(EC_KEY, NOW, "org.example.app", topics))
    assert found.topics == set(topics)
    assert found.ends == NOW
    assert parse_certificate(certificate(EC_KEY, NOW)).topics == set()
    with pytest.raises(CredentialError, match="no certificate in PEM"):
        parse_certificate(b"hello")


def test_an_access_token_is_renewed_before_its_end() -> None:
    token = AccessToken()
    assert token.wanted(NOW)
    assert not token.outlives(NOW)
    token.take("one", 1000, NOW)
    assert not token.wanted(NOW + 799)
    assert token.wanted(NOW + 800)
    assert token.outlives(NOW + 800)
    assert not token.wanted(NOW + 829)
    assert token.outlives(NOW + 990)
    assert token.wanted(NOW + 1000)
    assert not token.outlives(NOW + 1000)


def test_what_is_remembered_of_requests_is_bounded() -> None:
    token = AccessToken()
    token.take("one", 1000, NOW)
    for number in range(REMEMBERED + 50):
        token.use(str(number))
    assert len(token._used) == REMEMBERED
    assert token.refused("0") == "renew"  # not known any more: as if sent with an older one
    assert not token.wanted(NOW)
