"""A real phone sleeps, is called through another node, is woken by a push, and rings where it comes back.

The app is what a mobile system makes of it: killed (its connection breaks) or frozen on an open connection;
the test is the end of its push service on the phone: it starts the app again, or lets it run on.
"""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.phones.certificates import Certificates
from tests.phones.fixtures import Cluster, Phone, Stores, new_user, on
from tests.phones.linphone import Linphone
from tests.standins.process import StandInProcess

pytestmark = pytest.mark.real_clients
FCM = "pn-provider=fcm;pn-param=4711;pn-prid="
VOIP = "pn-provider=apns;pn-param=ABCDE12345.org.example.app.voip;pn-prid="


@pytest.fixture(scope="module")
def fcm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandInProcess]:
    standin = StandInProcess("fcm", tmp_path_factory.mktemp("fcm"))
    yield standin
    standin.stop()


@pytest.fixture(scope="module")
def apns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandInProcess]:
    standin = StandInProcess("apns", tmp_path_factory.mktemp("apns"))
    yield standin
    standin.stop()


@pytest.fixture(scope="module", params=["fcm", "apns"])
def pushed(request: pytest.FixtureRequest) -> StandInProcess:
    """The push service of this run."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def cluster(pushed: StandInProcess, stores: Stores, certificates: Certificates) -> Iterator[Cluster]:
    """Two nodes that push through the stand-in."""
    options = pushed.options()
    a = on(stores, certificates, new_user("a"), options)
    try:
        b = on(stores, certificates, new_user("b"), options)
        yield Cluster(a, b)
        b.close()
    finally:
        a.close()


def contact(pushed: StandInProcess, token: str) -> str:
    """What the app puts into its Contact."""
    return f"contact_uri_parameters={FCM if pushed.kind == 'fcm' else VOIP}{token}"


def called(pushed: StandInProcess, number: int, token: str, caller: str) -> None:
    """Waits for push `number` of the stand-in, that of a call, and looks at what it says."""
    push = pushed.wait_push(number)[-1]
    assert push["token"] == token
    payload = push["payload"]
    if pushed.kind == "fcm":
        data = payload["message"]["android"]["data"]
        assert payload["message"]["android"]["priority"].lower() == "high"
        assert data["from-uri"] == caller and data["loc-key"] == "IC_MSG"
    else:
        assert push["headers"]["apns-push-type"] == "voip"
        assert push["headers"]["apns-topic"] == "org.example.app.voip"
        assert payload["from-uri"] == caller and payload["aps"]["loc-key"] == "IC_MSG"


def test_an_app_that_was_killed_rings_at_the_other_node(
    cluster: Cluster, phone: Callable[..., Phone], pushed: StandInProcess, tmp_path: Path
) -> None:
    token = "a1" * 32
    alice = phone(Linphone, "alice", "tcp", cluster.a)
    user, extra = new_user("bob"), contact(pushed, token)
    bob = Linphone(tmp_path, user, "tls", cluster.b.address("tls"), ca=cluster.b.ca, extra=extra)
    back = None
    try:
        alice.registered()
        bob.registered()
        bob.signal(signal.SIGKILL)
        bob.wait_end()
        number = len(pushed.pushes()) + 1
        alice.call(bob.uri)
        called(pushed, number, token, alice.uri)
        back = Linphone(tmp_path, user, "tls", cluster.a.address("tls"), ca=cluster.a.ca, extra=extra)
        back.registered()
        assert alice.uri in back.wait_incoming()
        alice.wait_ringing()
        back.answer()
        alice.wait_established()
        back.wait_established()
        heard = [f"SIP/2.0 {status}" for status in ("100 ", "110 Push sent", "180 ", "200 ")]
        places = [alice.text.rfind(line) if "200" in line else alice.text.find(line) for line in heard]
        assert -1 not in places and places == sorted(places), f"the caller heard {places}"
        alice.hang_up()
        alice.wait_ended()
        back.wait_ended()
    finally:
        bob.stop()
        if back is not None:
            back.stop()


def test_an_app_frozen_on_an_open_connection_is_woken(
    cluster: Cluster, phone: Callable[..., Phone], pushed: StandInProcess, tmp_path: Path
) -> None:
    token = "b2" * 32
    alice = phone(Linphone, "alice", "tcp", cluster.a)
    extra = contact(pushed, token)
    bob = Linphone(tmp_path, new_user("bob"), "tcp", cluster.b.address("tcp"), extra=extra)
    try:
        alice.registered()
        bob.registered()
        bob.signal(signal.SIGSTOP)
        number = len(pushed.pushes()) + 1
        alice.call(bob.uri)
        called(pushed, number, token, alice.uri)
        bob.signal(signal.SIGCONT)
        bob.wait_incoming()
        alice.wait_ringing()
        bob.answer()
        alice.wait_established()
        bob.hang_up()
        alice.wait_ended()
    finally:
        bob.signal(signal.SIGCONT)
        bob.stop()
