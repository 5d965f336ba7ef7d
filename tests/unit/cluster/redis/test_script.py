"""A script call as it goes over the wire."""

from __future__ import annotations

import hiredis
import pytest

from cluster.redis.script import Script


@pytest.mark.parametrize(
    "arguments",
    [(), (b"", "", 0), ("é", b"\r\n$1", 1795401130594, -1), (b"x" * 1023, "y" * 1024, b"z" * 100_000)],
)
def test_it_is_what_hiredis_would_send(arguments):
    script = Script("return 1")
    expected = hiredis.pack_command(("EVALSHA", script.digest, 1, b"{k}", *arguments))
    assert script.call(b"{k}", arguments) == expected
    assert script.call(b"{k}", arguments) == expected
