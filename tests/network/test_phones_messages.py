"""Messages for a real phone that is not there: kept, told by a push, delivered in order when it is back."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from tests.phones.certificates import Certificates
from tests.phones.fixtures import Cluster, Phone, Stores, new_user, on
from tests.phones.linphone import Linphone
from tests.standins.process import StandInProcess

pytestmark = pytest.mark.real_clients
TOKEN = "c3" * 32
CONTACT = f"contact_uri_parameters=pn-provider=fcm;pn-param=4711;pn-prid={TOKEN}"


@pytest.fixture(scope="module")
def fcm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandInProcess]:
    standin = StandInProcess("fcm", tmp_path_factory.mktemp("fcm"))
    yield standin
    standin.stop()


@pytest.fixture(scope="module")
def cluster(fcm: StandInProcess, stores: Stores, certificates: Certificates) -> Iterator[Cluster]:
    """Two nodes that push through the stand-in."""
    a = on(stores, certificates, new_user("a"), fcm.options())
    try:
        b = on(stores, certificates, new_user("b"), fcm.options())
        yield Cluster(a, b)
        b.close()
    finally:
        a.close()


def stored(cluster: Cluster, uri: str) -> list[dict[str, object]]:
    """What `clarion messages` would show of a user."""
    status, body = cluster.a.get(f"/messages/{uri.removeprefix('sip:')}")
    assert status == 200
    rows: list[dict[str, object]] = orjson.loads(body)
    return rows


def test_ten_messages_wait_for_an_app_that_was_killed(
    cluster: Cluster, phone: Callable[..., Phone], fcm: StandInProcess, tmp_path: Path
) -> None:
    alice = phone(Linphone, "alice", "tcp", cluster.a)
    user = new_user("bob")
    bob = Linphone(tmp_path, user, "tcp", cluster.b.address("tcp"), extra=CONTACT)
    back = None
    try:
        alice.registered()
        bob.registered()
        bob.signal(signal.SIGKILL)
        bob.wait_end()
        before = len(fcm.pushes())
        texts = [f"message {number}" for number in range(10)]
        for number, text in enumerate(texts, 1):
            alice.message(bob.uri, text)
            push = fcm.wait_push(before + number)[-1]
            data = push["payload"]["message"]["android"]["data"]
            assert (push["token"], data["loc-key"], data["from-uri"]) == (TOKEN, "IM_MSG", alice.uri)
        assert len(stored(cluster, bob.uri)) == 10
        back = Linphone(tmp_path, user, "tcp", cluster.a.address("tcp"), extra=CONTACT)
        back.registered()
        assert [back.wait_message() for _ in texts] == [(alice.uri, text) for text in texts]
        alice.message(bob.uri, "you are back")
        assert back.wait_message() == (alice.uri, "you are back")
        assert stored(cluster, bob.uri) == []
        assert alice.text.count("SIP/2.0 202 ") == 10
    finally:
        bob.stop()
        if back is not None:
            back.stop()
