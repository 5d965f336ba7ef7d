"""When apps are woken to register again, and what takes that back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cluster.location.binding import Binding
from cluster.location.record import Change, Record
from cluster.push.partition import partition_of
from cluster.push.push import Push
from node.registrar.push import push_identity
from node.settings import WakingSettings
from node.waking.refresh import Refresh, due_times, member

AOR = "bob@example.org"
NOW = 1_000_000


class Shelf:
    """Pushes that wait, by partition and member, as Redis keeps them."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, str], tuple[Push, int]] = {}
        self.missing = ""
        self.catalogue = self

    def supports(self, provider: str, app: str) -> str:
        return self.missing

    def schedule(self, name: str, push: Push, due_ms: int) -> None:
        self.kept[partition_of(push.token), name] = (push, due_ms)

    def unschedule(self, name: str, token: str) -> None:
        self.kept.pop((partition_of(token), name), None)

    @property
    def tokens(self) -> list[str]:
        return sorted(push.token for push, _ in self.kept.values())

    @property
    def due(self) -> list[int]:
        return sorted(due for _, due in self.kept.values())


def settings(**changes: object) -> WakingSettings:
    return WakingSettings(**({"wakeup_before": 180.0, "wakeup_repeat": 1} | changes))  # type: ignore[arg-type]


def binding(
    key: str = "<urn:bob>", token: str = "tok", life: int = 3600, at: int = NOW, **push: str
) -> Binding:
    named = {"pn-provider": "fcm", "pn-param": "4711", "pn-prid": token}
    named = {name.replace("_", "-"): value for name, value in push.items()} or named
    return Binding(
        key=key, push=named, prid=push_identity(named), registered_at=at, expires_at=at + 1000 * life
    )  # fmt: skip


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


Registers = Callable[..., None]


@pytest.fixture
def register(shelf: Shelf) -> Registers:
    """Bindings that are registered (of all that are there then), and those that are removed by name."""

    def accepted(
        *made: Binding, removed: tuple[Binding, ...] = (), before: tuple[Binding, ...] = (),
        others: tuple[Binding, ...] = (), **changes: object,
    ) -> None:  # fmt: skip
        asked = [Change(b, b.expires_at - b.registered_at, 0) for b in made]
        asked += [Change(b, 0, 0) for b in removed]
        refresh = Refresh(shelf, settings(**changes))  # type: ignore[arg-type]
        refresh.changed(AOR, before, asked, Record(AOR, (*made, *others)))

    return accepted


@pytest.mark.parametrize(
    ("ttl", "changes", "due"),
    [
        (3600, {"wakeup_repeat": 0}, [3420]),
        (3600, {"wakeup_repeat": 3}, [3420, 3465, 3510, 3555]),
        (3600, {"wakeup_before": 600.0, "wakeup_repeat": 1}, [3000, 3300]),
        (100, {"wakeup_repeat": 1}, [50, 75]),
        (360, {"wakeup_repeat": 0}, [180]),
        (1, {"wakeup_repeat": 0}, [0.5]),
    ],
)
def test_times(ttl: int, changes: dict[str, object], due: list[float]) -> None:
    found = due_times(NOW, 1000 * ttl, settings(**changes))
    assert [(at - NOW) / 1000 for at in found] == due
    assert all(NOW <= at < NOW + 1000 * ttl for at in found)


def test_what_such_a_push_is(shelf: Shelf, register: Registers) -> None:
    register(binding())
    pushes = [push for push, _ in shelf.kept.values()]
    for push in pushes:
        assert (push.event, push.kind, push.provider, push.app) == ("refresh", "data", "fcm", "4711")
        assert (push.aor, push.device, push.registered_at) == (AOR, "<urn:bob>", NOW)
        assert push.expires_at == NOW + 3_600_000, "after its end there is nothing to renew"
    assert len({push.id for push in pushes}) == 2, "each is a push of its own"
    assert len({push.collapse for push in pushes}) == 1, "and replaces the one before"
    assert shelf.due == [NOW + 3_420_000, NOW + 3_510_000]


def test_the_next_register_replaces_it(shelf: Shelf, register: Registers) -> None:
    first = binding()
    register(first)
    register(binding(at=NOW + 3_000_000), before=(first,))
    assert shelf.due == [NOW + 6_420_000, NOW + 6_510_000]


def test_a_new_token_takes_the_old_one_back_from_its_partition(shelf: Shelf, register: Registers) -> None:
    old, new = binding(token="tok"), binding(token="token7")
    assert partition_of("tok") != partition_of("token7")
    register(old)
    register(new, before=(old,))
    assert shelf.tokens == ["token7"] * 2


def test_an_app_that_gives_no_token_any_more_is_left_alone(shelf: Shelf, register: Registers) -> None:
    old = binding()
    register(old)
    register(Binding(key=old.key, registered_at=NOW, expires_at=NOW + 60_000), before=(old,))
    assert shelf.kept == {}


@pytest.mark.parametrize("known", [True, False])
def test_unregistering_by_name(shelf: Shelf, register: Registers, known: bool) -> None:
    there = binding()
    register(there)
    register(removed=(there,), before=(there,) if known else ())
    assert shelf.kept == {}


def test_unregistering_without_its_push_address_or_all_at_once(shelf: Shelf, register: Registers) -> None:
    there = binding()
    register(there)
    register(before=(there,))
    assert shelf.kept == {}


def test_the_other_phone_of_a_user_keeps_its_own(shelf: Shelf, register: Registers) -> None:
    one, two = binding("<urn:1>", "t1"), binding("<urn:2>", "t2")
    register(one)
    register(two, others=(one,), before=(one,))
    register(removed=(one,), others=(two,), before=(one, two))
    assert shelf.tokens == ["t2"] * 2


def test_what_was_sent_to_the_other_phone_is_not_planned_again(shelf: Shelf, register: Registers) -> None:
    one, two = binding("<urn:1>", "t1"), binding("<urn:2>", "t2", at=NOW + 3_500_000)
    register(one)
    shelf.kept.clear()  # its time came
    register(two, others=(one,), before=(one,))
    assert shelf.tokens == ["t2"] * 2


def test_the_same_phone_under_a_new_instance_is_woken_once(shelf: Shelf, register: Registers) -> None:
    old = binding("<urn:1>")
    register(old)
    register(binding("<urn:2>", at=NOW + 60_000), before=(old,))
    assert shelf.due == [NOW + 60_000 + 3_420_000, NOW + 60_000 + 3_510_000]


def test_two_flows_of_a_phone_are_woken_once_and_one_of_them_may_go(
    shelf: Shelf, register: Registers
) -> None:
    one, two = binding("<urn:1>;reg-id=1"), binding("<urn:1>;reg-id=2", at=NOW + 9000)
    register(one)
    register(two, others=(one,), before=(one,))
    assert shelf.due == [NOW + 9000 + 3_420_000, NOW + 9000 + 3_510_000]
    register(removed=(two,), others=(one,), before=(one, two))
    assert shelf.tokens == ["tok"] * 2


@pytest.mark.parametrize(
    ("push", "all_of_them", "woken"),
    [
        ({"app_id": "4711", "pn_type": "firebase", "pn_tok": "t"}, False, []),
        ({"app_id": "4711", "pn_type": "firebase", "pn_tok": "t"}, True, [("data", "t")]),
        ({"pn_provider": "apns", "pn_param": "ABCDE12345.a.b.voip", "pn_prid": "v"}, True, []),
        (
            {"pn_provider": "apns", "pn_param": "ABCDE12345.a.b.remote&voip", "pn_prid": "r:remote&v:voip"},
            False,
            [("background", "r")],
        ),
        ({"pn_provider": "fcm"}, True, []),
    ],
)
def test_whom_and_by_which_token(
    shelf: Shelf, register: Registers, push: dict[str, str], all_of_them: bool, woken: list[tuple[str, str]]
) -> None:
    register(binding(**push), refresh_all=all_of_them, wakeup_repeat=0)
    assert [(kept.kind, kept.token) for kept, _ in shelf.kept.values()] == woken


def test_nothing_is_planned_that_cannot_be_sent(shelf: Shelf, register: Registers) -> None:
    shelf.missing = "no key"
    register(binding())
    assert shelf.kept == {}


def test_a_token_that_its_provider_refused_is_not_used(shelf: Shelf, register: Registers) -> None:
    there = binding()
    refused = Binding(
        key=there.key, push=there.push, prid="fcm:4711:-", registered_at=NOW, expires_at=there.expires_at
    )
    register(refused)
    assert shelf.kept == {}


def test_users_do_not_share_names() -> None:
    assert member("a@x", "t", 0) != member("b@x", "t", 0)
    assert member("a@x", "t", 0) != member("a@x", "u", 0)
    assert member("a@x", "t", 0) != member("a@x", "t", 1)
