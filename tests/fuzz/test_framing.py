"""However a stream is cut, the framer finds the same messages and the same end."""

from __future__ import annotations

from corpus import FRAGMENTS, MESSAGES
from framings import one_stream
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PART = st.one_of(st.sampled_from(MESSAGES), st.sampled_from(FRAGMENTS), st.binary(max_size=5))


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 63), st.lists(PART, max_size=5))
def test_streams(step: int, parts: list[bytes]) -> None:
    one_stream(bytes([step]) + b"".join(parts))
