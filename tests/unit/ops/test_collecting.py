"""How long users are remembered, and by whom what expired is removed."""

import pytest

from cluster.collect.settings import StorageSettings
from cluster.messages.settings import MessagesSettings
from ops.collecting import kept, remembers_accounts
from ops.settings import Settings


@pytest.mark.parametrize(
    ("messages", "sweep", "expected"),
    [
        (MessagesSettings(account_memory=1000.0), 120.0, 1000.0),
        (MessagesSettings(account_memory=100.0), 120.0, 300.0),
        (MessagesSettings(accept="bindings", account_memory=1000.0), 120.0, 300.0),
        (MessagesSettings(enabled=False, account_memory=1000.0), 10.0, 80.0),
    ],
)
def test_users_are_kept_for_two_sweeps_or_as_accounts(
    messages: MessagesSettings, sweep: float, expected: float
) -> None:
    settings = Settings(messages=messages, storage=StorageSettings(sweep=sweep))
    assert kept(settings) == expected
    assert remembers_accounts(settings) == (messages.enabled and messages.accept == "accounts")
