"""`clarion push send` against a push service: what it says, and its exit code."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ops.demo.push_service import PROJECT, PushService

TOKEN = "a-token-that-is-alive"


class Service:
    """The push service, a configuration that leads to it, and what it was pushed."""

    def __init__(self, folder: Path) -> None:
        self.pushed: list[dict[str, Any]] = []
        self.push = PushService(
            folder, ["n"], lambda *_: None, lambda *_: None, lambda _, message: self.pushed.append(message)
        )
        self.push.phones.add(TOKEN)
        self.config = folder / "clarion.toml"

        self.config.write_text(
            f'[push]\nca = "{self.push.ca}"\ntimeout = 3\n'
            f'[fcm.{PROJECT}]\nserver = "{self.push.url("n")}"\n'
            f'service_account = "{self.push.service_account("n")}"\n'
        )


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    service = Service(tmp_path)
    await service.push.start()
    yield service
    await service.push.stop()


async def send(service: Service, *words: str, app: str = PROJECT, token: str = TOKEN) -> tuple[int, str]:
    """Exit code and everything that was said."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("clarion")),
        *("push", "send", "--config", str(service.config), "--app", app, "--prid", token, *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    async with asyncio.timeout(30):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


@pytest.mark.parametrize("kind", ["call", "message", "background"])
async def test_a_push_that_is_accepted(service: Service, kind: str) -> None:
    code, said = await send(service, "--provider", "fcm", "--kind", kind)
    assert code == 0, said
    assert said.startswith("Accepted: fcm answered 200")
    assert "look at the phone" in said
    assert [message["token"] for message in service.pushed] == [TOKEN]


async def test_json(service: Service) -> None:
    code, said = await send(service, "--provider", "fcm", "--json")
    answer = json.loads(said)
    assert (code, answer["outcome"], answer["status"], answer["kind"]) == (0, "accepted", 200, "data")


async def test_a_dead_token_says_what_to_do(service: Service) -> None:
    code, said = await send(service, "--provider", "fcm", token="another")
    assert code == 1
    assert said.startswith("Dead: fcm answered 404 UNREGISTERED")
    assert "let the phone register again" in said


async def test_credentials_of_another_are_said(service: Service, tmp_path: Path) -> None:
    service.config.write_text(service.config.read_text().replace("n-account.json", "other-account.json"))
    (tmp_path / "other").mkdir()
    other = PushService(tmp_path / "other", ["n"], *[lambda *_: None] * 3)
    account = json.loads(other.service_account("n").read_text())
    account["token_uri"] = service.push.url("n") + "/token"
    (tmp_path / "other-account.json").write_text(json.dumps(account))
    code, said = await send(service, "--provider", "fcm")
    assert code == 1
    assert said.startswith("Credentials: fcm answered 400")
    assert "config check" in said


async def test_a_service_that_does_not_answer(service: Service) -> None:
    await service.push.stop()
    code, said = await send(service, "--provider", "fcm")
    assert code == 1
    assert said.startswith("Retry: ")


async def test_a_certificate_of_an_unknown_authority_is_refused(service: Service) -> None:
    service.config.write_text(service.config.read_text().replace(f'ca = "{service.push.ca}"\n', ""))
    code, said = await send(service, "--provider", "fcm")
    assert code == 1
    assert "certificate" in said.lower()
    assert service.pushed == []


async def test_what_is_not_set_up_is_exit_code_2(service: Service) -> None:
    code, said = await send(service, "--provider", "fcm", app="another-project")
    assert code == 2
    assert "another-project" in said
    code, said = await send(service, "--provider", "pigeon")
    assert code == 2
    assert "--provider pigeon: there is none of that name; there are apns, apns.dev, fcm" in said


async def test_a_wrong_configuration_is_exit_code_2(service: Service) -> None:
    service.config.write_text("[fcm.app]\nserver = 5\n")
    code, said = await send(service, "--provider", "fcm")
    assert code == 2
    assert '[fcm."app"] server: expected a text' in said
