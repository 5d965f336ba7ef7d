"""The read cache: bounds, expiry, and what is left of it while Redis is away."""

from cluster.location.binding import Binding
from cluster.location.cache import RecordCache
from cluster.location.record import NEVER, make_record


def _binding(name: str, until: int, **fields: int) -> Binding:
    return Binding(key=name, uri=f"sip:{name}", expires_at=until, message_expires_at=until, **fields)


def test_records_are_ordered_by_q_then_by_the_latest_registration() -> None:
    record = make_record(
        "a@x",
        [_binding("low", 9, q=1), _binding("old", 9, registered_at=1), _binding("new", 9, registered_at=2),
         _binding("gone", 5)],
        5,
    )  # fmt: skip
    assert [binding.key for binding in record.bindings] == ["new", "old", "low"]
    assert record.until == 9
    assert make_record("a@x", [], 0).until == NEVER


def test_expired_bindings_leave_the_cached_record() -> None:
    cache = RecordCache(10)
    cache.put(make_record("a@x", [_binding("one", 10), _binding("two", 20)], 0))
    whole = cache.get("a@x", 9)
    assert whole is cache.get("a@x", 9) and len(whole.bindings) == 2
    assert [binding.key for binding in cache.get("a@x", 10).bindings] == ["two"]
    assert cache.get("a@x", 20).bindings == ()
    assert cache.get("b@x", 0) is None
    assert (cache.hits, cache.misses) == (4, 1)


def test_the_least_recently_used_leaves_first() -> None:
    cache = RecordCache(2)
    for aor in ("a", "b"):
        cache.put(make_record(aor, [], 0))
    cache.get("a", 0)
    cache.put(make_record("c", [], 0))
    assert [cache.get(aor, 0) is not None for aor in "abc"] == [True, False, True]


def test_while_away_the_last_known_stands_until_it_expires() -> None:
    cache = RecordCache(2)
    cache.put(make_record("a", [_binding("one", 10)], 0))
    assert cache.last_known("a", 0) is None
    cache.disconnected()
    cache.disconnected()  # every failed attempt says so again
    assert cache.get("a", 0) is None and len(cache) == 0
    assert len(cache.last_known("a", 9).bindings) == 1
    assert cache.last_known("a", 10).bindings == ()
    for aor in ("b", "c"):  # one of several servers is away: others are read and lost too
        cache.put(make_record(aor, [], 0))
    cache.disconnected()
    assert [cache.last_known(aor, 0) is not None for aor in "abc"] == [False, True, True]
    cache.connected()
    assert cache.last_known("c", 0) is None


def test_dropping() -> None:
    cache = RecordCache(5)
    for aor in ("a", "b"):
        cache.put(make_record(aor, [], 0))
    cache.drop("a")
    cache.drop("never")
    assert cache.get("a", 0) is None and cache.get("b", 0) is not None
    cache.clear()
    assert len(cache) == 0 and cache.last_known("b", 0) is None
