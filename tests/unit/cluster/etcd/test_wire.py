"""etcd's JSON."""

from base64 import b64decode

from cluster.etcd.gateway import refusal
from cluster.etcd.wire import KeyValue, key_value, prefix_end


def test_a_prefix_ends_before_its_successor() -> None:
    assert b64decode(prefix_end("/clarion/members/")) == b"/clarion/members0"
    assert b64decode(prefix_end("")) == b"\0"


def test_absent_numbers_are_zero() -> None:
    assert key_value({"key": "YQ=="}) == KeyValue("a", b"")


def test_errors_are_found_plain_and_wrapped() -> None:
    for answer in (
        {"error": "no leader", "code": 14, "message": "no leader"},
        {"code": 14, "message": "no leader"},
        {"error": {"grpc_code": 14, "http_code": 503, "message": "no leader"}},
    ):
        error = refusal(answer)
        assert (error.code, error.message) == (14, "no leader")
    assert refusal({"error": "odd"}).code == 2
