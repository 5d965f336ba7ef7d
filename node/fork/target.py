"""Where a copy of a request may go."""

from __future__ import annotations

from cluster.location.binding import Binding


class Target:
    """One element of the target set (RFC 3261 16.5). Never changed once the set is made:
    the location stage keeps target sets and hands the same ones to many requests.

    `flow_token` names the phone's own flow on this node; without it the request goes where
    `routes` or else the Request-URI point. `asleep` says that the flow is known to be gone.
    """

    __slots__ = ("alternative", "asleep", "binding", "device", "flow_token", "internal", "q", "routes", "uri")

    def __init__(
        self,
        uri: bytes,
        q: int = 1000,
        routes: tuple[bytes, ...] = (),
        flow_token: str = "",
        device: str = "",
        asleep: bool = False,
        internal: bool = False,
        binding: Binding | None = None,
    ) -> None:
        self.uri = uri  # Request-URI of the copy
        self.q = q  # 0..1000
        self.routes = routes  # URIs put into Route, first hop first
        self.flow_token = flow_token
        self.device = device  # instance: flows of one device are alternatives (RFC 5626)
        self.asleep = asleep
        self.internal = internal  # the first hop is another node of ours
        self.binding = binding  # that it was made of
        self.alternative: Target | None = None  # the device's next flow


def device_of(binding: Binding) -> str:
    """What is one phone: all flows of one instance (RFC 5626)."""
    return binding.instance or binding.key


def groups(targets: list[Target]) -> list[list[Target]]:
    """Groups of equal q, highest first, with each device's further flows as alternatives.

    RFC 5626 section 7: a request must not be forked to several flows of one instance;
    the next one is tried when the flow before it failed.
    """
    by_q: dict[int, list[Target]] = {}
    last_flow: dict[str, Target] = {}
    for target in targets:
        if target.device:
            before = last_flow.get(target.device)
            last_flow[target.device] = target
            if before is not None:
                before.alternative = target
                continue
        by_q.setdefault(target.q, []).append(target)
    return [by_q[q] for q in sorted(by_q, reverse=True)]
