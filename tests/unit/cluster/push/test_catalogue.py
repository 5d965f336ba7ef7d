"""Which service a push goes to, what phones are told of, and what an operator is told."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from cluster.push.http.message import HttpResponse
from cluster.push.providers.catalogue import Catalogue, Offer, check
from cluster.push.settings import (
    ApnsApp,
    FcmApp,
    ProviderSettings,
    PushSettings,
    WebhookSettings,
    WebPushSettings,
    WnsApp,
)
from tests.unit.cluster.push.samples import EC_KEY, NOW, Clock, a_push, pem, point, service_account, write

APP = "org.example.app"


@pytest.fixture
def full(tmp_path: Path) -> dict[str, Any]:
    key = write(tmp_path / "key.p8", pem(EC_KEY))
    account = write(tmp_path / "account.json", service_account())
    return {
        "apns": {APP: ApnsApp(team="ABCDE12345", key_id="KEY1234567", key=key)},
        "fcm": {"123": FcmApp(service_account=account)},
        "wns": {"ms-app://x": WnsApp(secret="s")},
        "webpush": WebPushSettings(key=key, subject="mailto:a@b"),
        "webhook": WebhookSettings(url="https://h/$token"),
    }


def make(**fields: Any) -> Catalogue:
    return Catalogue(ProviderSettings(**fields), Clock(), lambda: NOW)


def serving(catalogue: Catalogue, name: str) -> str:
    provider = catalogue.of(name)
    return type(provider).__name__ if provider is not None else ""


def test_each_name_has_its_service(full: dict[str, Any]) -> None:
    catalogue = make(**full)
    expected = {
        "apns": "Apns", "apns.dev": "Apns", "fcm": "Fcm", "wns": "Wns", "webpush": "WebPush",
        "webhook": "Webhook", "own": "Webhook", "": "",
    }  # fmt: skip
    assert {name: serving(catalogue, name) for name in expected} == expected
    assert set(catalogue.providers) == {"apns", "apns.dev", "fcm", "wns", "webpush", "webhook"}
    assert catalogue.providers["own"] is catalogue.of("webhook")
    assert catalogue.providers.get("") is None
    for provider, app in (("apns", APP), ("fcm", "123"), ("wns", "x"), ("webpush", ""), ("own", "y")):
        assert catalogue.supports(provider, app) == ""
    assert catalogue.warnings(NOW) == []


def test_offers(full: dict[str, Any]) -> None:
    web = Offer("webpush", point(EC_KEY))
    assert make(**full).offers() == (Offer("apns"), Offer("apns.dev"), Offer("fcm"), Offer("wns"), web)
    assert make().offers() == ()
    assert make(**{**full, "apns": {APP: ApnsApp()}, "wns": {}, "webpush": WebPushSettings()}).offers() == (
        Offer("fcm"),
    )
    own = WebhookSettings(url="https://h/", providers=("own", "fcm"))
    assert make(**{**full, "webhook": own}).offers() == (
        Offer("apns"), Offer("apns.dev"), Offer("fcm"), Offer("wns"), Offer("own"), web,
    )  # fmt: skip
    assert make(**full, push=PushSettings(enabled=False)).offers() == ()


def test_the_webhook_takes_what_it_is_given(full: dict[str, Any]) -> None:
    named = WebhookSettings(url="https://h/$token", providers=("apns", "own"))
    catalogue = make(**{**full, "webhook": named})
    assert serving(catalogue, "apns") == "Webhook"
    assert serving(catalogue, "apns.dev") == "Apns"
    assert serving(catalogue, "own") == "Webhook"
    assert serving(catalogue, "other") == ""
    without = make(webhook=WebhookSettings(providers=("apns",)), apns=full["apns"])
    assert serving(without, "apns") == "Apns"  # a webhook without a URL takes nothing
    alone = make(webhook=WebhookSettings(url="https://h/$token"))
    assert serving(alone, "apns") == serving(alone, "webpush") == "Webhook"
    assert alone.supports("apns", "any.app") == ""


def test_what_is_missing_is_told() -> None:
    catalogue = make()
    assert f'no [apns."{APP}"]' in catalogue.supports("apns", APP)
    assert 'no [fcm."1"]' in catalogue.supports("fcm", "1")
    assert 'no [wns."1"]' in catalogue.supports("wns", "1")
    assert "[webpush] has no key" in catalogue.supports("webpush", "")
    assert "[webhook] has no url" in catalogue.supports("webhook", "")
    assert 'no push service "own"' in catalogue.supports("own", "")
    assert "names no push service" in catalogue.supports("", "")
    assert "[push] enabled is false" in make(push=PushSettings(enabled=False)).supports("apns", APP)
    assert catalogue.warnings(NOW) == []


def test_problems_before_a_start(full: dict[str, Any], tmp_path: Path) -> None:
    assert check(ProviderSettings(**full)) == []
    broken = {
        "apns": {APP: ApnsApp(team="ABCDE12345", key_id="KEY1234567", key=str(tmp_path / "none"))},
        "fcm": {"123": FcmApp()},
        "wns": {"x": WnsApp(secret="s")},
        "webpush": WebPushSettings(key=str(tmp_path / "none"), subject="mailto:a@b"),
        "webhook": WebhookSettings(url="https://h/$tokn"),
    }
    assert [warned.option for warned in check(ProviderSettings(**broken))] == [
        f'[apns."{APP}"] key',
        '[fcm."123"] service_account',
        '[wns."x"] secret',
        "[webpush] key",
        "[webhook] url",
    ]


def test_new_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "account.json"
    catalogue = make(fcm={"123": FcmApp(service_account=str(path))})
    assert "cannot be read" in catalogue.supports("fcm", "123")
    write(path, service_account())
    assert "cannot be read" in catalogue.supports("fcm", "123")  # looked at every 10 s
    catalogue.reload()
    assert catalogue.supports("fcm", "123") == ""


WORDS = some.sampled_from(
    ("reason", "timestamp", "error", "details", "errorCode", "status", "fieldViolations")
)
JSON = some.recursive(
    some.none() | some.integers() | some.text(max_size=5) | WORDS,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
BODIES = (
    some.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()) | some.just(b"[" * 60_000)
)


@given(
    status=some.sampled_from((0, 200, 302, 400, 401, 403, 404, 406, 410, 429, 503)),
    body=BODIES,
    wait=some.text(max_size=8) | some.sampled_from(("1e999", "-5", "Fri, 99 Foo 2027 08:00:30 GMT")),
)
def test_no_answer_is_too_strange(status: int, body: bytes, wait: str) -> None:
    apps: dict[str, Any] = {
        "apns": {APP: ApnsApp()},
        "fcm": {APP: FcmApp()},
        "wns": {APP: WnsApp(secret="s", tenant="t")},
        "webhook": WebhookSettings(url="https://h/"),
    }
    catalogue = make(**apps)
    response = HttpResponse(status, {"retry-after": wait}, body)
    for name, provider in catalogue.providers.items():
        push = a_push(provider=name, token="https://push.example.net/x")
        answer = provider.answer(push, response, NOW)
        assert (answer.outcome == "accepted") == (status == 200)
        assert 0 <= answer.retry_after <= 300
        assert isinstance(answer.reason, str)
        assert isinstance(answer.dead_since, int)
        granted = provider.granted(push, response, NOW)
        assert granted.outcome in ("accepted", "retry", "credentials")
