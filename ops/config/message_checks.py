"""The rules of `[messages]` that no single type can say: what could never be kept, or never be tried."""

from collections.abc import Iterator

from ops.config.push_checks import Finding
from ops.settings import Settings


def check_messages(settings: Settings) -> Iterator[Finding]:
    """Every broken rule, as the option to change and what was expected of it."""
    messages = settings.messages
    if not messages.enabled:
        return
    yield from _replicas(settings)
    if messages.max_per_user > messages.max_total:
        yield (
            ("messages", "max_per_user"),
            f"expected at most max_total, which is {messages.max_total}, got {messages.max_per_user}",
        )
    if messages.retry >= messages.delivery_timeout:
        yield (
            ("messages", "retry"),
            f"expected less than delivery_timeout, which is {messages.delivery_timeout:g} s: "
            "a message would expire before it is tried again",
        )
    if messages.accept == "accounts" and not messages.account_memory:
        yield (
            ("messages", "account_memory"),
            'expected seconds above 0 with accept = "accounts", got 0: nobody is remembered; '
            'set accept = "bindings" if that is meant',
        )


def _replicas(settings: Settings) -> Iterator[Finding]:
    """A store of our own has no replicas: every message would be refused with 503."""
    if settings.redis.url != "embedded":
        return
    if settings.messages.replicas > 0:
        option, count = ("messages", "replicas"), settings.messages.replicas
    elif settings.redis.replicas > 0:
        option, count = ("redis", "replicas"), settings.redis.replicas
    else:
        return
    yield (
        option,
        f'expected 0 with [redis] url = "embedded", which has no replicas, got {count}: nothing would be '
        "accepted; an embedded store writes to the disk before it answers",
    )
