"""Web Push: encryption that others can read, VAPID, where requests may go, and answers."""

import base64
import json
from pathlib import Path
from typing import Any

import http_ece
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cluster.push.http.message import HttpResponse
from cluster.push.providers.provider import Unsendable
from cluster.push.providers.target import target
from cluster.push.providers.web_push import WebPush
from cluster.push.providers.web_push_encryption import LARGEST, encrypt
from cluster.push.push import Push
from cluster.push.settings import PushSettings, WebPushSettings
from tests.unit.cluster.push.samples import (
    EC_KEY,
    NOW,
    RSA_KEY,
    Clock,
    a_push,
    headers,
    pem,
    point,
    public_pem,
    said,
    write,
)

URL = "https://push.example.net/wpush/v2/gAAA_b-c"
BROWSER = ec.generate_private_key(ec.SECP256R1())
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"


def web_push(**changed: Any) -> Push:
    return a_push(**{"provider": "webpush", "app": "", "token": URL, "kind": "data", **changed})


class Rig:
    def __init__(self, folder: Path, **changed: Any) -> None:
        self.clock = Clock()
        self.key = write(folder / "vapid.pem", pem(EC_KEY))
        fields = {"key": self.key, "subject": "mailto:ops@example.org", **changed}
        self.web = WebPush(WebPushSettings(**fields), PushSettings(timeout=4.0), self.clock)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


# -- encryption


def test_another_implementation_can_read_it() -> None:
    for plain in (b"", b"hello", b"x" * LARGEST):
        body = encrypt(plain, point(BROWSER), AUTH)
        assert len(body) <= 4096
        auth = base64.urlsafe_b64decode(AUTH + "==")
        read = http_ece.decrypt(body, private_key=BROWSER, auth_secret=auth, version="aes128gcm")
        assert read == plain


def test_the_example_of_rfc_8291() -> None:
    def key(text: str) -> ec.EllipticCurvePrivateKey:
        number = int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")
        return ec.derive_private_key(number, ec.SECP256R1())

    salt = base64.urlsafe_b64decode("DGv6ra1nlYgDCS1FRnbzlw==")
    body = encrypt(
        b"When I grow up, I want to be a watermelon",
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        AUTH,
        key("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"),
        lambda _: salt,
    )
    assert base64.urlsafe_b64encode(body).rstrip(b"=").decode() == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6Tlz"
        "AC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_no_message_is_encrypted_like_another() -> None:
    assert encrypt(b"x", point(BROWSER), AUTH)[:86] != encrypt(b"x", point(BROWSER), AUTH)[:86]


@pytest.mark.parametrize(
    ("p256dh", "auth", "words"),
    [
        ("", AUTH, "pn-p256dh"),
        ("AAAA", AUTH, "pn-p256dh"),
        ("!!", AUTH, "pn-p256dh"),
        (point(BROWSER)[:-2] + "AA", AUTH, "pn-p256dh"),  # not on the curve
        (point(BROWSER), "", "pn-auth"),
        (point(BROWSER), "AAAA", "pn-auth"),
    ],
)
def test_wrong_keys_are_named(p256dh: str, auth: str, words: str) -> None:
    with pytest.raises(Unsendable, match=words):
        encrypt(b"x", p256dh, auth)


# -- request


def test_a_push_with_keys_is_encrypted(rig: Rig) -> None:
    parameters = {"pn-p256dh": point(BROWSER) + "%3D", "pn-auth": AUTH + "%3D%3D"}
    request = rig.web.request(web_push(parameters=parameters, collapse="0a1b"), NOW + 10)
    assert (request.method, request.url, request.timeout) == ("POST", URL, 4.0)
    found = headers(request)
    authorization = found.pop("authorization")
    assert found == {
        "ttl": "80",
        "urgency": "high",
        "topic": "0a1b",
        "content-encoding": "aes128gcm",
        "content-type": "application/octet-stream",
    }
    auth = base64.urlsafe_b64decode(AUTH + "==")
    plain = http_ece.decrypt(request.body, private_key=BROWSER, auth_secret=auth, version="aes128gcm")
    told = json.loads(plain)
    assert (told["call-id"], told["event"], told["display-name"]) == ("call-1@host", "call", "Alice")
    scheme, token, key = authorization.replace(",", "").split(" ")
    assert scheme == "vapid"
    assert key == f"k={point(EC_KEY)}"
    claims = jwt.decode(
        token.removeprefix("t="),
        public_pem(EC_KEY),
        ["ES256"],
        audience="https://push.example.net",
        options={"verify_exp": False},
    )
    assert claims == {
        "aud": "https://push.example.net",
        "exp": int(NOW) + 10 + 12 * 3600,
        "sub": "mailto:ops@example.org",
    }
    assert request.connection.public


def test_a_push_without_keys_is_empty(rig: Rig) -> None:
    request = rig.web.request(web_push(event="missed"), NOW)
    assert request.body == b""
    assert "content-encoding" not in headers(request)
    assert headers(request)["urgency"] == "low"
    assert "topic" not in headers(request)


def test_half_of_the_keys_is_a_mistake(rig: Rig) -> None:
    with pytest.raises(Unsendable, match="pn-auth"):
        rig.web.request(web_push(parameters={"pn-p256dh": point(BROWSER)}), NOW)


def test_a_topic_that_is_not_allowed_becomes_a_digest(rig: Rig) -> None:
    for word in ("x" * 33, "a@b", "é"):
        found = headers(rig.web.request(web_push(collapse=word), NOW))["topic"]
        assert len(found) == 32
        assert found.replace("-", "").replace("_", "").isalnum()


def test_the_token_is_kept_for_each_push_service(rig: Rig) -> None:
    def authorization(url: str, now: float) -> str:
        return headers(rig.web.request(web_push(token=url), now))["authorization"]

    first = authorization(URL, NOW)
    assert authorization("https://push.example.net:443/other", NOW + 6 * 3600 - 1) == first
    assert authorization("https://push.example.net:444/x", NOW) != first
    assert authorization(URL, NOW + 6 * 3600) != first
    write(Path(rig.key), pem(BROWSER))
    rig.web.reload()
    assert f"k={point(BROWSER)}" in authorization(URL, NOW + 6 * 3600)


def test_the_lane_is_that_of_the_push_service(rig: Rig) -> None:
    assert rig.web.lane(web_push()) == "webpush push.example.net"
    assert rig.web.lane(web_push(token="nonsense")) == "webpush"
    assert rig.web.grant(web_push(), NOW) is None


# -- where requests may go


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "10.0.0.1", "192.168.1.1",
        "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "[::1]", "[::ffff:127.0.0.1]",
        "[fd00::1]",
        "[fe80::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "localhost", "localhost.", "redis",
        "a.localhost", "metadata.google.internal", "printer.local", "127.0.0.1.", "1.2.3.0x7f", "LOCALHOST",
    ],
)  # fmt: skip
def test_private_hosts_are_not_asked(rig: Rig, host: str) -> None:
    with pytest.raises(Unsendable, match=r"not a public host.*\[webpush\] hosts"):
        rig.web.request(web_push(token=f"https://{host}/x"), NOW)


@pytest.mark.parametrize(
    "url",
    [
        "http://push.example.net/x", "ftp://push.example.net/", "https://user@push.example.net/", "https://",
        "https://push.example.net:99999/", "https://push.example.net/a b",
        "https://push.example.net/\r\nx: y",
        "https://pushé.example.net/", "https://[::1/", "//push.example.net/", "", "https://a%25b.net/",
        "https://push.example.net/" + "x" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_https_url_is_not_asked(rig: Rig, url: str) -> None:
    with pytest.raises(Unsendable, match="pn-prid"):
        rig.web.request(web_push(token=url), NOW)


def test_hosts_that_are_named(tmp_path: Path) -> None:
    web = Rig(tmp_path, hosts=("127.0.0.1", ".example.net")).web
    request = web.request(web_push(token="https://127.0.0.1:4443/s"), NOW)
    assert request.url == "https://127.0.0.1:4443/s"
    assert not request.connection.public
    assert web.request(web_push(), NOW).url == URL
    for other in ("https://push.example.org/", "https://notexample.net/", "https://10.0.0.1/"):
        with pytest.raises(Unsendable, match=r"not among \[webpush\] hosts"):
            web.request(web_push(token=other), NOW)


def test_urls_as_contacts_write_them() -> None:
    def url(token: str) -> str:
        return target(token, ("*",), "x").url

    assert url("https://p.example/a%3Fq%3D1%252F") == "https://p.example/a?q=1%2F"
    assert url("https%3A%2F%2Fp.example%2Fa") == "https://p.example/a"
    assert url("https://p.example/a?q=%2F") == "https://p.example/a?q=%2F"  # an operator's
    assert url("https://p.example/a#b") == "https://p.example/a"
    assert target("https://[2606:4700::1]:8443/", ("*",), "x").origin == "https://[2606:4700::1]:8443"


# -- answers


@pytest.mark.parametrize(
    ("response", "outcome", "words"),
    [
        (said(201), "accepted", ""),
        (said(202), "accepted", ""),
        (said(200), "accepted", ""),
        (said(400, b"bad"), "refused", "bad"),
        (said(401, b"bad jwt"), "credentials", "bad jwt: check [webpush] key"),
        (said(403), "credentials", "public half"),
        (said(404), "dead", "gone"),
        (said(410), "dead", "gone"),
        (said(413), "refused", "413"),
        (said(429, b"", retry_after="4"), "retry", "429"),
        (said(500), "retry", "500"),
        (said(503), "retry", "503"),
        (HttpResponse(0, error="timed out"), "retry", "timed out"),
    ],
)
def test_answers(rig: Rig, response: HttpResponse, outcome: str, words: str) -> None:
    answer = rig.web.answer(web_push(), response, NOW)
    assert (answer.outcome, answer.status) == (outcome, response.status)
    assert words in answer.reason
    assert answer.retry_after == (4 if response.status == 429 else 0)


def test_one_old_subscription_does_not_stop_the_others(rig: Rig) -> None:
    assert rig.web.answer(web_push(), said(201), NOW).outcome == "accepted"
    answer = rig.web.answer(web_push(), said(403), NOW + 60)
    assert answer.outcome == "refused"
    assert "subscribe again" in answer.reason
    other = web_push(token="https://other.example/x")
    assert rig.web.answer(other, said(403), NOW + 60).outcome == "credentials"


# -- key


def test_keys_that_cannot_serve(tmp_path: Path) -> None:
    missing = Rig(tmp_path, key="").web
    assert "[webpush] has no key" in missing.supports("webpush", "")
    assert missing.warnings(NOW) == []  # no Web Push is no mistake
    cases = [
        ({"subject": ""}, "has no subject"),
        ({"key": write(tmp_path / "rsa.pem", pem(RSA_KEY))}, "[webpush] key: "),
        ({"key": str(tmp_path / "none")}, "cannot be read"),
    ]
    for changed, words in cases:
        web = Rig(tmp_path, **changed).web
        assert words in web.supports("webpush", "")
        (warned,) = web.warnings(NOW)
        assert words in warned.text
        with pytest.raises(Unsendable):
            web.request(web_push(), NOW)


def test_keys_as_openssl_writes_them(tmp_path: Path) -> None:
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    old = EC_KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    web = Rig(tmp_path, key=write(tmp_path / "old.pem", parameters + old)).web
    assert web.supports("webpush", "") == ""
    assert web.vapid() == point(EC_KEY)
