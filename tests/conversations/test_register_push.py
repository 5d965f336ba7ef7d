"""Push services in REGISTER (RFC 8599 4 and 5): offers, refusals, references, and waking in time."""

from __future__ import annotations

import re

import pytest

from tests.conversations.playbook import Playbook

FCM = ";pn-provider=fcm;pn-param=4711;pn-prid=tok"
ASKED = """
        >> bob REGISTER sip:example.org
            To: <sip:bob@example.org>
            Contact: <sip:bob@192.0.2.20:5060{params}>;+sip.instance="<urn:bob>"{features}
            Expires: {expires}
            {extra}
"""


def asked(params: str, features: str = "", expires: int = 3600, extra: str = "X: y") -> str:
    return ASKED.format(params=params, features=features, expires=expires, extra=extra)


async def test_a_supported_service_is_confirmed_and_the_push_address_kept(node: Playbook) -> None:
    await node.run(
        asked(FCM)
        + """
        << bob 200
            Contact: <sip:bob@192.0.2.20:5060;pn-provider=fcm;pn-param=4711;pn-prid=tok>
            Feature-Caps: *;+sip.pns="fcm"
        """
    )
    assert b"pnsreg" not in node.flows["bob"].got[-1]
    assert b"pnspurr" not in node.flows["bob"].got[-1]
    binding = node.locations.records["bob@example.org"].bindings[-1]
    assert binding.uri == "sip:bob@192.0.2.20:5060"
    assert binding.prid == "fcm:4711:tok"


async def test_a_service_that_is_not_set_up_is_refused_with_555(node: Playbook) -> None:
    node.push.unsupported["fcm"] = "no project"
    await node.run(
        asked(FCM)
        + """
        << bob 555 Push Notification Service Not Supported
        == nothing
        """
    )
    assert node.locations.changes == []


async def test_unregistering_is_never_refused(node: Playbook) -> None:
    node.push.unsupported["fcm"] = "no project"
    await node.run(asked(FCM, expires=0) + "        << bob 200\n")


async def test_a_phone_asks_which_services_there_are(node: Playbook) -> None:
    await node.run(
        asked(";pn-provider")
        + """
        << bob 200
            Feature-Caps: *;+sip.pns="apns"
            Feature-Caps: *;+sip.pns="fcm"
            Feature-Caps: *;+sip.pns="webpush";+sip.vapid="BNbN3OiAT"
        """
    )
    assert node.locations.records["bob@example.org"].bindings[-1].prid == ""


async def test_web_push_is_told_the_vapid_key(node: Playbook) -> None:
    await node.run(
        asked(";pn-provider=webpush;pn-param=x;pn-prid=https:%2f%2fpush.example%2f1")
        + """
        << bob 200
            Feature-Caps: *;+sip.pns="webpush";+sip.vapid="BNbN3OiAT"
        """
    )


async def test_an_app_that_renews_by_itself_is_told_when(node: Playbook) -> None:
    await node.run(
        asked(FCM, features=";+sip.pnsreg")
        + """
        << bob 200
            Feature-Caps: *;+sip.pns="fcm";+sip.pnsreg="240"
        """
    )


async def test_an_app_that_wants_to_be_woken_within_dialogs_gets_a_reference(node: Playbook) -> None:
    await node.run(
        asked(FCM + ";pn-purr")
        + """
        << bob 200
            Feature-Caps: *;+sip.pns="fcm";+sip.pnspurr="
        """
    )
    found = re.search(rb'pnspurr="([A-Za-z0-9_-]+)"', node.flows["bob"].got[-1])
    assert found, "the reference can stand in a URI parameter"


async def test_another_proxy_on_the_way_wakes_the_phone(node: Playbook) -> None:
    """It finds the push address where it needs it: in the Request-URI (RFC 8599 5.6.2)."""
    node.phone("edge", "udp", "192.0.2.90", 5060)
    own = "sip:bob@192.0.2.20:5060;pn-provider=fcm;pn-param=4711;pn-prid=tok"
    del node.locations.records["bob@example.org"]
    await node.run(f"""
        >> edge REGISTER sip:example.org
            To: <sip:bob@example.org>
            Path: <sip:192.0.2.90;lr>
            Contact: <{own}>;+sip.instance="<urn:bob>"
            Feature-Caps: *;+sip.pns="fcm"
        << edge 200
            Contact: <{own}>;+sip.instance="<urn:bob>"
            !Feature-Caps
        >> alice INVITE sip:bob@example.org
        << alice 100
        << edge INVITE {own}
        == nothing
    """)
    (binding,) = node.locations.records["bob@example.org"].bindings
    assert (binding.key, binding.push, binding.prid) == ("<urn:bob>", {}, "")
    assert node.push.scheduled == {}


async def test_a_token_that_is_left_to_another_proxy_is_shown_to_nobody_else(node: Playbook) -> None:
    await node.run(
        asked(FCM, extra='Feature-Caps: *;+sip.pns="fcm"')
        + """
        << bob 200
        >> alice REGISTER sip:example.org
            To: <sip:bob@example.org>
            Contact: <sip:bob@192.0.2.10:5060>
        << alice 200
            Contact: <sip:bob@192.0.2.20:5060>;+sip.instance="<urn:bob>"
            !Feature-Caps
        """
    )
    assert b"tok" not in node.flows["alice"].got[-1]


async def test_a_service_that_no_other_proxy_has_told_of_is_ours(node: Playbook) -> None:
    await node.run(
        asked(FCM, extra='Feature-Caps: *;+sip.pns="apns"')
        + """
        << bob 200
            Feature-Caps: *;+sip.pns="fcm"
        """
    )
    assert node.locations.records["bob@example.org"].bindings[-1].prid == "fcm:4711:tok"


async def test_several_tokens_are_kept_as_they_were_given(node: Playbook) -> None:
    apns = ";pn-provider=apns;pn-param=ABCDE12345.a.b.remote&voip;pn-prid=R0:remote&V0:voip"
    await node.run(
        asked(apns)
        + f"""
        << bob 200
            Contact: <sip:bob@192.0.2.20:5060{apns}>
            Feature-Caps: *;+sip.pns="apns"
        """
    )
    binding = node.locations.records["bob@example.org"].bindings[-1]
    assert binding.push["pn-prid"] == "R0:remote&V0:voip"


async def test_older_parameters_are_never_refused(node: Playbook) -> None:
    node.push.unsupported["apns"] = "no app"
    await node.run(
        asked(";app-id=org.example.voip.dev;pn-type=apple;pn-tok=v")
        + """
        << bob 200
            !Feature-Caps
        """
    )


async def test_push_parameters_are_not_shown_to_others_but_pn_purr_is(node: Playbook) -> None:
    await node.run(
        """
        >> alice INVITE sip:bob@example.org
            Contact: <sip:alice@192.0.2.10:5060;pn-provider=fcm;pn-purr=abc;pn-prid=secret;app-id=1>
        << alice 100
        << bob INVITE
            Contact: <sip:alice@192.0.2.10:5060;pn-purr=abc>
        """
    )


def planned(node: Playbook) -> list[tuple[float, str, str]]:
    """Seconds from now, kind and token of what is scheduled."""
    now = node.locations.now_ms()
    return sorted(((due - now) / 1000, push.kind, push.token) for push, due in node.push.scheduled.values())


async def test_a_suspended_app_is_woken_before_its_registration_ends_and_again(node: Playbook) -> None:
    await node.run(asked(FCM) + "        << bob 200\n")
    assert planned(node) == [(3420.0, "data", "tok"), (3510.0, "data", "tok")]
    assert all(push.event == "refresh" for push, _ in node.push.scheduled.values())


async def test_a_further_register_replaces_what_was_scheduled(node: Playbook) -> None:
    await node.run(asked(FCM) + "        << bob 200\n        .. 3000\n")
    await node.run(asked(FCM + "2") + "        << bob 200\n")
    assert planned(node) == [(3420.0, "data", "tok2"), (3510.0, "data", "tok2")]


async def test_unregistering_takes_it_back(node: Playbook) -> None:
    await node.run(asked(FCM) + "        << bob 200\n")
    await node.run(asked(FCM, expires=0) + "        << bob 200\n")
    assert node.push.scheduled == {}


@pytest.mark.parametrize("cold", [True, False])
async def test_clearing_all_takes_it_back(node: Playbook, cold: bool) -> None:
    """Also where this node has to look first what there is."""
    await node.run(asked(FCM) + "        << bob 200\n")
    node.locations.cold = cold
    await node.run("""
        >> bob REGISTER sip:example.org
            To: <sip:bob@example.org>
            Contact: *
            Expires: 0
        << bob 200
            !Contact:
    """)
    assert node.push.scheduled == {}


async def test_clearing_all_while_the_store_is_away_is_refused(node: Playbook) -> None:
    node.locations.away = True
    await node.run("""
        >> bob REGISTER sip:example.org
            To: <sip:bob@example.org>
            Contact: *
            Expires: 0
        << bob 503
            Retry-After:
    """)
    assert node.proxy.registrar.waiting == 0


async def test_a_register_that_is_refused_plans_nothing(node: Playbook) -> None:
    node.locations.refuse = "cseq"
    await node.run(asked(FCM) + "        << bob 500\n")
    assert node.push.scheduled == {}


async def test_an_app_that_gives_up_pushes_is_not_woken_any_more(node: Playbook) -> None:
    await node.run(asked(FCM) + "        << bob 200\n")
    await node.run(asked(";pn-provider=fcm") + "        << bob 200\n")
    assert node.push.scheduled == {}
    assert node.locations.records["bob@example.org"].bindings[-1].prid == ""


async def test_a_short_registration_is_renewed_at_half_its_life(node: Playbook) -> None:
    await node.run(asked(FCM, expires=100) + "        << bob 200\n")
    assert planned(node) == [(50.0, "data", "tok"), (75.0, "data", "tok")]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (";pn-provider=apns;pn-param=ABCDE12345.a.b.voip;pn-prid=v", []),
        (
            ";pn-provider=apns;pn-param=ABCDE12345.a.b.remote&voip;pn-prid=r:remote&v:voip",
            [("background", "r")] * 2,
        ),
        (";app-id=4711;pn-type=firebase;pn-tok=t", []),
    ],
)
async def test_which_token_renews(node: Playbook, params: str, expected: list[tuple[str, str]]) -> None:
    await node.run(asked(params) + "        << bob 200\n")
    assert [(kind, token) for _, kind, token in planned(node)] == expected


async def test_phones_of_an_app_whose_key_is_broken_stay_registered(node: Playbook) -> None:
    node.push.broken.add("fcm")
    await node.run(
        asked(FCM)
        + """
        << bob 200
            !Feature-Caps
        """
    )
