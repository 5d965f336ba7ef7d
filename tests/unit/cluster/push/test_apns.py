"""Apple: the exact request, each answer, each problem of credentials."""

import json
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cluster.push.providers.apns import Apns
from cluster.push.providers.provider import Unsendable
from cluster.push.settings import ApnsApp, PushSettings
from tests.unit.cluster.push.samples import (
    EC_KEY,
    NOW,
    RSA_KEY,
    TOKEN,
    Clock,
    a_push,
    certificate,
    headers,
    pem,
    public_pem,
    said,
    write,
)

APP = "org.example.app"


class Rig:
    def __init__(self, folder: Path, push: PushSettings | None = None, **changed: object) -> None:
        self.clock = Clock()
        self.key = write(folder / "key.p8", pem(EC_KEY))
        fields = {"team": "ABCDE12345", "key_id": "KEY1234567", "key": self.key, **changed}
        app = ApnsApp(**fields)  # type: ignore[arg-type]
        self.wall = NOW
        self.apns = Apns({APP: app}, push or PushSettings(), self.clock, lambda: self.wall)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def token_of(apns: Apns, now: float, app: str = APP) -> str:
    return headers(apns.request(a_push(app=app), now))["authorization"].removeprefix("bearer ")


# -- requests


def test_a_voip_push_is_what_linphone_reads(rig: Rig) -> None:
    request = rig.apns.request(a_push(collapse="c1"), NOW)
    assert (request.method, request.url) == ("POST", f"https://api.push.apple.com/3/device/{TOKEN}")
    found = headers(request)
    text = found.pop("authorization").removeprefix("bearer ")
    assert jwt.get_unverified_header(text) == {"alg": "ES256", "kid": "KEY1234567"}
    claims = jwt.decode(text, public_pem(EC_KEY), ["ES256"], options={"verify_iat": False})
    assert claims == {"iss": "ABCDE12345", "iat": int(NOW)}
    assert found == {
        "apns-topic": "org.example.app.voip",
        "apns-push-type": "voip",
        "apns-priority": "10",
        "apns-expiration": str(int(NOW) + 90),
        "apns-id": "9a2f6d2e-0b57-4f0e-8a3c-6a6f1f2f9a01",
        "apns-collapse-id": "c1",
        "content-type": "application/json",
    }
    assert json.loads(request.body) == {
        "aps": {
            "sound": "",
            "loc-key": "IC_MSG",
            "loc-args": ["Alice"],
            "call-id": "call-1@host",
            "uuid": "<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>",
            "send-time": "2027-01-15 08:00:00",
        },
        "from-uri": "sip:alice@example.org",
        "display-name": "Alice",
        "pn_ttl": 90,
        "push-id": "9a2f6d2e-0b57-4f0e-8a3c-6a6f1f2f9a01",
        "customPayload": {},
    }


def test_an_alert_may_be_changed_by_the_app(rig: Rig) -> None:
    push = a_push(kind="alert", event="message", loc_key="IM_MSG", sound="msg.caf", device="prid:x")
    request = rig.apns.request(push, NOW)
    assert headers(request)["apns-topic"] == APP
    assert headers(request)["apns-push-type"] == "alert"
    assert headers(request)["apns-priority"] == "10"
    assert "apns-collapse-id" not in headers(request)
    told = json.loads(request.body)
    assert told["aps"] == {
        "alert": {"loc-key": "IM_MSG", "loc-args": ["Alice"]},
        "sound": "msg.caf",
        "mutable-content": 1,
        "badge": 1,
    }
    assert {name: told[name] for name in ("call-id", "uuid", "chat-room-addr", "pn_ttl")} == {
        "call-id": "call-1@host",
        "uuid": "",
        "chat-room-addr": "",
        "pn_ttl": 90,
    }
    assert told["send-time"] == "2027-01-15 08:00:00"


def test_sounds_and_badge(rig: Rig, tmp_path: Path) -> None:
    def aps(apns: Apns, **changed: str) -> dict[str, object]:
        aps: dict[str, object] = json.loads(apns.request(a_push(kind="alert", **changed), NOW).body)["aps"]
        return aps

    assert aps(rig.apns)["sound"] == "empty"
    assert aps(rig.apns, event="missed", loc_key="MC_MSG")["sound"] == ""
    assert aps(rig.apns, event="missed", loc_key="MC_MSG")["alert"] == {
        "loc-key": "MC_MSG",
        "loc-args": ["Alice"],
    }
    assert aps(Rig(tmp_path, badge=False).apns)["badge"] == 0


def test_a_background_push_is_silent_and_of_low_priority(rig: Rig) -> None:
    request = rig.apns.request(a_push(kind="background", event="refresh", loc_key=""), NOW)
    assert headers(request)["apns-push-type"] == "background"
    assert headers(request)["apns-priority"] == "5"
    assert headers(request)["apns-topic"] == APP
    aps = json.loads(request.body)["aps"]
    assert aps["content-available"] == 1
    assert aps["badge"] == 0
    assert "sound" not in aps
    assert "alert" not in aps
    assert aps["call-id"] == "call-1@host"


def test_servers_proxy_and_time_out_are_those_of_the_settings(tmp_path: Path) -> None:
    push = PushSettings(proxy="http://proxy:3128", ca="/ca.pem", timeout=3.0)
    rig = Rig(tmp_path, push, sandbox="https://127.0.0.1:4443/")
    request = rig.apns.request(a_push(provider="apns.dev"), NOW)
    assert request.url == f"https://127.0.0.1:4443/3/device/{TOKEN}"
    assert request.timeout == 3.0
    connection = request.connection
    assert (connection.ca, connection.proxy, connection.cert) == ("/ca.pem", "http://proxy:3128", "")
    assert rig.apns.lane(a_push(provider="apns.dev")) == "apns.dev org.example.app"
    assert rig.apns.lane(a_push()) == "apns org.example.app"
    assert rig.apns.grant(a_push(), NOW) is None


def test_a_long_collapse_id_becomes_a_digest(rig: Rig) -> None:
    for word in ("x" * 65, "é", "line\r\nfeed"):
        found = headers(rig.apns.request(a_push(collapse=word), NOW))["apns-collapse-id"]
        assert len(found) == 64
        assert found.isalnum()
        assert found == headers(rig.apns.request(a_push(collapse=word), NOW))["apns-collapse-id"]
    assert headers(rig.apns.request(a_push(collapse="x" * 64), NOW))["apns-collapse-id"] == "x" * 64


def test_names_are_cut_before_a_push_is_given_up(rig: Rig) -> None:
    long = a_push(kind="alert", from_name="ü" * 1500, loc_args=("ü" * 1500,))
    body = rig.apns.request(long, NOW).body
    assert len(body) <= 4096
    assert json.loads(body)["aps"]["alert"]["loc-args"] == ["ü" * 64]
    with pytest.raises(Unsendable, match=r"4096.*shorten"):
        rig.apns.request(a_push(kind="alert", loc_key="k" * 5000), NOW)
    assert len(rig.apns.request(a_push(loc_key="k" * 4500), NOW).body) > 4096  # VoIP may have 5120


def test_a_token_cannot_leave_its_place_in_the_path(rig: Rig) -> None:
    for token in ("../../x", "a b", "", "a%2F..", "a" * 201):
        with pytest.raises(Unsendable, match="device token"):
            rig.apns.request(a_push(token=token), NOW)


# -- the token


def test_the_token_is_renewed_after_40_minutes(rig: Rig) -> None:
    first = token_of(rig.apns, NOW)
    assert token_of(rig.apns, NOW + 40 * 60 - 1) == first
    second = token_of(rig.apns, NOW + 40 * 60)
    assert second != first
    claims = jwt.decode(second, public_pem(EC_KEY), ["ES256"], options={"verify_iat": False})
    assert claims["iat"] == int(NOW) + 40 * 60


def test_apps_that_share_a_key_share_the_token(tmp_path: Path) -> None:
    key = write(tmp_path / "key.p8", pem(EC_KEY))
    app = ApnsApp(team="ABCDE12345", key_id="KEY1234567", key=key)
    apns = Apns({APP: app, "org.example.other": app}, PushSettings())
    assert token_of(apns, NOW) == token_of(apns, NOW + 1, "org.example.other")


def test_an_expired_token_is_renewed_once(rig: Rig) -> None:
    expired = said(403, {"reason": "ExpiredProviderToken"})
    first = token_of(rig.apns, NOW)
    at = NOW + 25 * 60
    assert rig.apns.answer(a_push(), expired, at).outcome == "retry"
    assert rig.apns.answer(a_push(), expired, at).outcome == "retry"
    second = token_of(rig.apns, at)
    assert second != first
    assert rig.apns.answer(a_push(), expired, at + 1).outcome == "retry"  # was under way with the first
    assert token_of(rig.apns, at + 1) == second
    answer = rig.apns.answer(a_push(), expired, at + 60)
    assert answer.outcome == "credentials"
    assert "clock" in answer.reason
    assert token_of(rig.apns, at + 61) == second  # Apple forbids more than one in 20 minutes


def test_a_clock_that_was_wrong_from_the_start_is_told(rig: Rig) -> None:
    token_of(rig.apns, NOW)
    answer = rig.apns.answer(a_push(), said(403, {"reason": "ExpiredProviderToken"}), NOW + 1)
    assert (answer.outcome, answer.status) == ("credentials", 403)


def test_a_new_key_is_used_without_a_restart(rig: Rig) -> None:
    first = token_of(rig.apns, NOW)
    other = ec.generate_private_key(ec.SECP256R1())
    write(Path(rig.key), pem(other))
    assert token_of(rig.apns, NOW) == first  # not looked at yet
    rig.clock.now += 10
    jwt.decode(token_of(rig.apns, NOW), public_pem(other), ["ES256"], options={"verify_iat": False})
    write(Path(rig.key), pem(EC_KEY))
    rig.apns.reload()
    jwt.decode(token_of(rig.apns, NOW), public_pem(EC_KEY), ["ES256"], options={"verify_iat": False})


# -- answers


@pytest.mark.parametrize(
    ("status", "reason", "outcome", "words"),
    [
        (400, "BadDeviceToken", "dead", "apns.dev"),
        (400, "DeviceTokenNotForTopic", "refused", "org.example.app.voip"),
        (400, "BadCollapseId", "refused", "BadCollapseId"),
        (400, "MissingTopic", "credentials", '[apns."org.example.app"]'),
        (400, "BadTopic", "credentials", "bundle identifier"),
        (400, "TopicDisallowed", "credentials", "org.example.app.voip is not an app of the team"),
        (400, "IdleTimeout", "retry", "IdleTimeout"),
        (403, "InvalidProviderToken", "credentials", "key_id"),
        (403, "BadCertificate", "credentials", "cert"),
        (403, "BadCertificateEnvironment", "credentials", "sandbox"),
        (403, "BadEnvironmentKeyIdInToken", "credentials", "environment"),
        (403, "UnrelatedKeyIdInToken", "credentials", "team"),
        (403, "MissingProviderToken", "credentials", "team"),
        (403, "Forbidden", "credentials", "Apple forbids it"),
        (403, "SomethingNew", "credentials", "SomethingNew"),
        (404, "BadPath", "refused", "server"),
        (405, "MethodNotAllowed", "refused", "MethodNotAllowed"),
        (410, "ExpiredToken", "dead", "ExpiredToken"),
        (413, "PayloadTooLarge", "refused", "shorten"),
        (429, "TooManyRequests", "retry", "TooManyRequests"),
        (429, "SomethingNew", "retry", "SomethingNew"),
        (500, "InternalServerError", "retry", "InternalServerError"),
        (503, "ServiceUnavailable", "retry", "ServiceUnavailable"),
        (503, "Shutdown", "retry", "Shutdown"),
    ],
)
def test_answers(rig: Rig, status: int, reason: str, outcome: str, words: str) -> None:
    answer = rig.apns.answer(a_push(), said(status, {"reason": reason}), NOW)
    assert (answer.outcome, answer.status) == (outcome, status)
    assert reason in answer.reason
    assert words in answer.reason
    assert "{" not in answer.reason


def test_accepted_and_dead_since(rig: Rig) -> None:
    assert rig.apns.answer(a_push(), said(200), NOW).outcome == "accepted"
    gone = said(410, {"reason": "Unregistered", "timestamp": 1_799_999_000_123})
    answer = rig.apns.answer(a_push(), gone, NOW)
    assert (answer.outcome, answer.dead_since) == ("dead", 1_799_999_000_123)
    assert rig.apns.answer(a_push(), said(410), NOW).outcome == "dead"  # without a body


def test_retry_after(rig: Rig) -> None:
    def wait(status: int, reason: str, **fields: str) -> float:
        return rig.apns.answer(a_push(), said(status, {"reason": reason}, **fields), NOW).retry_after

    assert wait(429, "TooManyRequests", retry_after="7") == 7
    assert wait(503, "Shutdown", retry_after="Fri, 15 Jan 2027 08:00:30 GMT") == 30
    assert wait(503, "Shutdown", retry_after="99999999") == 300
    assert wait(503, "Shutdown", retry_after="soon") == 0
    assert wait(429, "TooManyProviderTokenUpdates") == 60


def test_no_answer_and_no_json(rig: Rig) -> None:
    silent = said(0)
    assert rig.apns.answer(a_push(), silent, NOW).outcome == "retry"
    page = rig.apns.answer(a_push(), said(502, b"<html>Bad\n Gateway</html>"), NOW)
    assert (page.outcome, page.reason) == ("retry", "<html>Bad Gateway</html>")
    assert rig.apns.answer(a_push(), said(400, b"[1]"), NOW).outcome == "refused"


def test_a_certificate_refused_by_tls_is_a_matter_of_credentials(rig: Rig) -> None:
    def outcome(error: str) -> str:
        response = said(0)
        return rig.apns.answer(a_push(), type(response)(0, error=error), NOW).outcome

    assert outcome("api.push.apple.com refuses our client certificate: replace cert.pem") == "credentials"
    assert outcome("the client certificate for api.push.apple.com cannot be used: check x") == "credentials"
    assert outcome("api.push.apple.com has no address: check the name") == "retry"
    assert outcome("the certificate of api.push.apple.com is not trusted: set [push] ca") == "retry"


# -- credentials


def test_what_is_missing_is_told_with_the_remedy(rig: Rig, tmp_path: Path) -> None:
    assert rig.apns.supports("apns", APP) == ""
    assert 'no [apns."x.y"]' in rig.apns.supports("apns", "x.y")
    assert "pn-param" in rig.apns.supports("apns", "")
    with pytest.raises(Unsendable, match=r"no \[apns"):
        rig.apns.request(a_push(app="x.y"), NOW)
    cases: list[tuple[dict[str, object], str]] = [
        ({"team": "abc"}, "team: 'abc'"),
        ({"key_id": ""}, "key_id"),
        ({"key": ""}, "add key, key_id and team, or cert"),
        ({"key": str(tmp_path / "none.p8")}, "none.p8 cannot be read (No such file"),
        ({"key": write(tmp_path / "rsa.p8", pem(RSA_KEY))}, "is not a P-256 key"),
        ({"key": write(tmp_path / "p384", pem(ec.generate_private_key(ec.SECP384R1())))}, "not a P-256 key"),
        ({"key": write(tmp_path / "text.p8", b"hello")}, "holds no private key in PEM"),
        ({"key": write(tmp_path / "bad.p8", pem(EC_KEY)[:80])}, "cannot be decoded"),
    ]
    for changed, words in cases:
        apns = Rig(tmp_path, **changed).apns
        assert words in apns.supports("apns", APP)
        assert apns.supports("apns", APP).startswith('[apns."org.example.app"]')
        assert [warned.text for warned in apns.warnings(NOW)] == [apns.supports("apns", APP)]
        with pytest.raises(Unsendable):
            apns.request(a_push(), NOW)


def by_certificate(folder: Path, ends: float = NOW + 100 * 86_400, **changed: object) -> Rig:
    topics = (APP, f"{APP}.voip")
    cert = write(folder / "cert.pem", certificate(EC_KEY, ends, APP, topics) + pem(EC_KEY))
    return Rig(folder, **{"team": "", "key_id": "", "key": "", "cert": cert, **changed})


def test_a_certificate_goes_with_the_connection(tmp_path: Path) -> None:
    rig = by_certificate(tmp_path)
    assert rig.apns.supports("apns", APP) == ""
    assert rig.apns.warnings(NOW) == []
    request = rig.apns.request(a_push(), NOW)
    assert "authorization" not in headers(request)
    assert request.connection.cert == request.connection.key == str(tmp_path / "cert.pem")


def test_voip_may_have_a_certificate_of_its_own(tmp_path: Path) -> None:
    ends = NOW + 100 * 86_400
    key = write(tmp_path / "cert.key", pem(RSA_KEY))
    cert = write(tmp_path / "alerts.pem", certificate(RSA_KEY, ends, APP))
    voip = write(tmp_path / "voip.pem", certificate(EC_KEY, ends, f"{APP}.voip") + pem(EC_KEY))
    apns = by_certificate(tmp_path, cert=cert, cert_key=key, voip_cert=voip).apns
    assert apns.request(a_push(), NOW).connection.cert == voip
    alert = apns.request(a_push(kind="alert"), NOW).connection
    assert (alert.cert, alert.key) == (cert, key)
    alone = by_certificate(tmp_path, cert=cert, cert_key=key).apns
    with pytest.raises(Unsendable, match=r"is for org.example.app, not for org.example.app.voip"):
        alone.request(a_push(), NOW)


def test_certificates_that_cannot_serve(tmp_path: Path) -> None:
    expired = by_certificate(tmp_path, NOW - 86_400)
    assert "expired on 2027-01-14" in expired.apns.supports("apns", APP)
    early = write(tmp_path / "early.pem", certificate(EC_KEY, NOW + 9e6, begins=NOW + 86_400) + pem(EC_KEY))
    assert "clock" in by_certificate(tmp_path, cert=early).apns.supports("apns", APP)
    bare = write(tmp_path / "bare.pem", certificate(EC_KEY, NOW + 9e6))
    assert "holds no private key" in by_certificate(tmp_path, cert=bare).apns.supports("apns", APP)
    other = write(tmp_path / "other.key", pem(RSA_KEY))
    text = by_certificate(tmp_path, cert=bare, cert_key=other).apns.supports("apns", APP)
    assert "does not belong to" in text
    wrong = write(tmp_path / "wrong.pem", certificate(EC_KEY, NOW + 9e6, "org.other") + pem(EC_KEY))
    assert "is for org.other" in by_certificate(tmp_path, cert=wrong).apns.supports("apns", APP)


def test_a_certificate_is_announced_30_days_before_its_end(tmp_path: Path) -> None:
    rig = by_certificate(tmp_path, NOW + 29 * 86_400)
    assert rig.apns.supports("apns", APP) == ""
    (warned,) = rig.apns.warnings(NOW)
    assert warned.option == '[apns."org.example.app"] cert'
    assert "expires on 2027-02-13, in 29 days" in warned.text
    assert rig.apns.warnings(NOW - 2 * 86_400) == []
    topics = (APP, f"{APP}.voip")
    write(tmp_path / "cert.pem", certificate(EC_KEY, NOW + 9e6, APP, topics) + pem(EC_KEY))
    rig.apns.reload()
    assert rig.apns.warnings(NOW) == []


def test_a_bad_new_file_does_not_replace_a_good_one(rig: Rig) -> None:
    first = token_of(rig.apns, NOW)
    write(Path(rig.key), b"half a f")
    rig.apns.reload()
    assert token_of(rig.apns, NOW) == first
    (warned,) = rig.apns.warnings(NOW)
    assert "holds no private key" in warned.text
