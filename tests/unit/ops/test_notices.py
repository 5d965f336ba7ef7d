"""Events that an operator must read are log lines, each with all of its fields."""

import msgspec
import pytest

from cluster import events
from ops.notices import NOTICES, notice


@pytest.mark.parametrize("kind", NOTICES, ids=lambda kind: kind.__name__)
def test_each_line_can_be_written(kind: type[msgspec.Struct], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    notice(kind(**{name: f"<{name}>" for name in kind.__struct_fields__}))
    assert "<" in caplog.text


def test_every_event_of_the_cluster_has_a_line() -> None:
    kinds = {
        kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event)
    }
    assert kinds - {events.Event} <= NOTICES.keys()


def test_other_events_are_silent(caplog: pytest.LogCaptureFixture) -> None:
    notice(object())
    assert caplog.text == ""
