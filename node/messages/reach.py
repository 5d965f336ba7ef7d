"""Which devices of a record can be reached now, and by which flows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from node.fork.target import device_of

if TYPE_CHECKING:
    from cluster.location.binding import Binding
    from cluster.location.record import Record
    from node.fork.target import Target
    from node.messages.copy import Copy


class Reach:
    """The way to one device. `registered_at` is its latest registration that is known of."""

    __slots__ = ("named", "registered_at", "target")

    def __init__(self, binding: Binding, target: Target) -> None:
        self.target = target
        self.named = bool(binding.instance or binding.prid)
        self.registered_at = binding.registered_at


def reach_of(
    record: Record, now_ms: int, target: Callable[[Binding], Target], gone: Callable[[Target], bool]
) -> dict[str, Reach]:
    """Devices that take a message now, with all of their flows that are not known to be gone as alternatives
    (RFC 5626), in the order of the record."""
    found: dict[str, Reach] = {}
    last: dict[str, Target] = {}
    for binding in record.bindings:
        if binding.message_expires_at <= now_ms:
            continue
        made = target(binding)
        if gone(made):
            continue
        device = device_of(binding)
        known = found.get(device)
        if known is None:
            found[device] = Reach(binding, made)
        else:
            last[device].alternative = made
            known.registered_at = max(known.registered_at, binding.registered_at)
        last[device] = made
    return found


def moved(copy: Copy, record: Record) -> bool:
    """Whether its phone has registered elsewhere, so that no answer is to be expected."""
    branch = copy.branch
    return (
        branch is not None
        and branch.target.binding is not None
        and _known(branch.target.binding, record) is None
    )


def follow(copy: Copy, record: Record, target: Callable[[Binding], Target]) -> None:
    """Its phone has registered anew where it was while a copy is on its way: over UDP it is sent again at
    once."""
    branch = copy.branch
    if branch is None or branch.target.binding is None:
        return
    asked = branch.target.binding
    binding = _known(asked, record)
    if binding is not None and binding.registered_at > asked.registered_at:
        newer = target(binding)
        newer.alternative = branch.target.alternative
        branch.again(newer)


def _known(asked: Binding, record: Record) -> Binding | None:
    """The binding by which a phone was asked, as it is registered now; None where it is not any more."""
    for binding in record.bindings:
        if binding.key == asked.key and _way(binding) == _way(asked):
            return binding
    return None


def _way(binding: Binding) -> tuple[object, ...]:
    return (binding.uri, binding.flow, binding.node, binding.epoch, binding.path)
