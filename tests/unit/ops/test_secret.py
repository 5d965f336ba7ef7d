"""The key for flow tokens: shared, remembered, waited for."""

from pathlib import Path

import pytest

from cluster.errors import StoreUnavailable
from ops import secret
from ops.secret import flow_token_key

KEY = b"k" * 32


class Store:
    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)

    async def shared_secret(self, name: str) -> bytes:
        answer = self.answers.pop(0)
        if answer is None:
            raise StoreUnavailable("nobody answers")
        return answer


async def test_it_is_remembered_privately_and_used_while_the_store_is_away(tmp_path: Path) -> None:
    assert await flow_token_key(Store(KEY), tmp_path) == KEY
    assert (tmp_path / "flow-tokens.key").stat().st_mode & 0o077 == 0
    assert await flow_token_key(Store(None), tmp_path) == KEY
    assert await flow_token_key(Store(b"n" * 32), tmp_path) == b"n" * 32
    assert await flow_token_key(Store(None), tmp_path) == b"n" * 32


async def test_the_first_start_waits_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(secret, "RETRY", 0)
    assert await flow_token_key(Store(None, None, KEY), tmp_path) == KEY
    assert caplog.text.count("waiting for it") == 1
