"""Options of `[messages]` that contradict each other are named with a remedy."""

from pathlib import Path

import pytest

from ops.config.load import load


def problems(folder: Path, text: str) -> list[str]:
    file = folder / "clarion.toml"
    file.write_text(text)
    return [str(problem).replace(f"{folder}/", "") for problem in load(file, {}).problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[messages]\nmax_per_user = 500\nmax_total = 499\n",
            "clarion.toml:2: [messages] max_per_user: expected at most max_total, which is 499, got 500",
        ),
        (
            "[messages]\ndelivery_timeout = 60\nretry = 60\n",
            "clarion.toml:3: [messages] retry: expected less than delivery_timeout, which is 60 s: "
            "a message would expire before it is tried again",
        ),
        (
            "[messages]\naccount_memory = 0\n",
            'clarion.toml:2: [messages] account_memory: expected seconds above 0 with accept = "accounts", '
            'got 0: nobody is remembered; set accept = "bindings" if that is meant',
        ),
        (
            "[messages]\nreplicas = 1\n",
            'clarion.toml:2: [messages] replicas: expected 0 with [redis] url = "embedded", which has no '
            "replicas, got 1: nothing would be accepted; "
            "an embedded store writes to the disk before it answers",
        ),
        (
            "[redis]\nreplicas = 2\n",
            'clarion.toml:2: [redis] replicas: expected 0 with [redis] url = "embedded", which has no '
            "replicas, got 2: nothing would be accepted; "
            "an embedded store writes to the disk before it answers",
        ),
    ],
    ids=["total", "retry", "memory", "replicas", "replicas of redis"],
)
def test_what_could_never_work_is_named(tmp_path: Path, text: str, expected: str) -> None:
    assert problems(tmp_path, text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        '[redis]\nurl = "redis://127.0.0.1:6379"\nreplicas = 1\n[messages]\nreplicas = 2\n',
        '[messages]\naccept = "bindings"\naccount_memory = 0\n',
        "[redis]\nreplicas = 1\n[messages]\nreplicas = 0\nenabled = false\n",
        "[messages]\nfsync = true\n[storage]\ncollect = false\n",
    ],
)
def test_what_may_be_meant_is_let_be(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text) == []
