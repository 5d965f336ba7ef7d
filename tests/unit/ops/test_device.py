"""A push token is never shown whole: who has it can push to the phone."""

from ops.device import cut, device_shown


def test_devices_known_by_a_token_show_its_start_only() -> None:
    assert device_shown("prid:apns:org.example.app:740f4acd98e2") == "prid:apns:org.example.app:740f4a…"
    assert device_shown("prid:webpush::https://push.example.org:8443/secret") == "prid:webpush::https:…"
    assert device_shown("prid:740f4acd98e2") == "prid:740f4a…"


def test_other_devices_stay_as_they_are() -> None:
    for key in ("<urn:uuid:1>", "<urn:uuid:1>;reg-id=2", "sip:alice@192.0.2.1:5060"):
        assert device_shown(key) == key


def test_a_short_token_is_no_secret() -> None:
    assert cut("abc") == "abc"
    assert cut("abcdefg") == "abcdef…"
