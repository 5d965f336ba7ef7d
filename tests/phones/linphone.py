"""Linphone's console phone, linphonec, driven on its standard input.

It runs without a sound card, without a display and without DNS: the server is named by its numeric address,
and for TLS the server's certificate must carry that address as a dNSName as well, because the TLS library
of Linphone 5.1 does not read addresses in certificates. Each phone has a HOME, a configuration and a
database of its own.
"""

import contextlib
import re
import subprocess
import uuid
from pathlib import Path

from tests.phones.program import DOMAIN, PATIENCE, Program, need

CONFIGURATION = """\
[sip]
default_proxy=0
sip_port={udp}
sip_tcp_port={tcp}
sip_tls_port={tls}
use_ipv6=0
root_ca={ca}
verify_server_certs=1
verify_server_cn=1
media_encryption=none
keepalive_period=10000
inc_timeout=30
guess_hostname=0
register_only_when_network_is_up=0
[net]
firewall_policy=0
dns_srv_enabled=0
dns_search_enabled=0
[misc]
max_calls={max_calls}
uuid={uuid}
[proxy_0]
reg_proxy=<sip:{server}:{port};transport={transport}>
reg_route=<sip:{server}:{port};transport={transport};lr>
reg_identity=sip:{user}@{domain}
reg_expires=300
reg_sendregister=1
publish=0
{extra}
[rtp]
audio_rtp_port=-1
[sound]
echocancellation=0
[video]
enabled=0
capture=0
display=0
[storage]
uri={folder}/linphone.db
[lime]
enabled=0
"""


class Linphone(Program):
    """One linphonec with one account."""

    def __init__(
        self,
        folder: Path,
        user: str,
        transport: str,
        server: tuple[str, int],
        *,
        domain: str = DOMAIN,
        ca: Path | None = None,
        max_calls: int = 10,
        extra: str = "",
    ) -> None:
        program = need("linphonec", "linphone-cli")
        home = folder / f"linphone-{user}"
        (home / ".local/share/linphone").mkdir(parents=True, exist_ok=True)
        self.user = user
        self.domain = domain
        self.uri = f"sip:{user}@{self.domain}"
        listen = {name: -1 if name == transport else 0 for name in ("udp", "tcp", "tls")}
        (home / "rc").write_text(
            CONFIGURATION.format(
                **listen,
                ca=ca or "",
                max_calls=max_calls,
                server=server[0],
                port=server[1],
                transport=transport,
                user=user,
                domain=self.domain,
                folder=home,
                extra=extra,
                uuid=uuid.uuid5(uuid.NAMESPACE_DNS, user),
            )
        )
        argv = [program, "-S", "-c", str(home / "rc"), "-d", "6"]
        super().__init__(f"linphonec {user}", argv, home, {"HOME": str(home), "TERM": "dumb"})
        self.say("soundcard use files")

    def registered(self, seconds: float = PATIENCE) -> None:
        """Waits until the registrar has accepted the account."""
        self.wait(r"to \[LinphoneRegistrationOk\]", seconds, "its registration")

    def call(self, uri: str) -> None:
        """Dials and waits until the INVITE is on its way."""
        self.say(f"call {uri}")
        self._state("OutgoingProgress")

    def wait_ringing(self, seconds: float = PATIENCE) -> None:
        """Caller: waits until the other side rings."""
        self._state("OutgoingRinging", seconds)

    def wait_incoming(self, seconds: float = PATIENCE) -> str:
        """Callee: waits for a call; returns the URI of who calls."""
        return self.wait(r"new incoming call from (.*), assigned id \d+", seconds, "a call")[1]

    def answer(self) -> None:
        """Callee: takes the call that rings."""
        self.say("answer")

    def wait_established(self, seconds: float = PATIENCE) -> None:
        """Waits until offer and answer are through and media runs."""
        self._state("StreamsRunning", seconds)

    def decline(self) -> None:
        """Callee: refuses the call that rings (603)."""
        self.say("terminate")

    def cancel(self) -> None:
        """Caller: gives up before the other side has answered."""
        self.say("terminate")

    def hang_up(self) -> None:
        self.say("terminate")

    def wait_refused(self, seconds: float = PATIENCE) -> int:
        """Caller: waits for the final answer that refuses the call; returns its status."""
        found = self.wait(r"receiving call response \[([3-6]\d\d)\]", seconds, "a refusal")
        self._state("(?:End|Error)", seconds)
        self._state("Released", seconds)
        return int(found[1])

    def wait_ended(self, seconds: float = PATIENCE) -> None:
        """Waits until the call is over, and all of its transactions with it."""
        self._state("End", seconds)
        self._state("Released", seconds)

    def message(self, uri: str, text: str) -> None:
        """Sends a MESSAGE."""
        self.say(f"chat {uri} {text}")

    def wait_message(self, seconds: float = PATIENCE) -> tuple[str, str]:
        """Waits for a MESSAGE; returns its sender and text."""
        found = self.wait(r"Message received from (.*?): (.*)$", seconds, "a message")
        return found[1], found[2].strip()

    def _state(self, state: str, seconds: float = PATIENCE) -> None:
        self.wait(rf"moving from state \w+ to LinphoneCall{state}$", seconds, f"its call to be {state}")

    def digest(self) -> str:
        """The SIP messages; the output is mostly about sound cards otherwise."""
        found = re.findall(
            r"(\d\d:\d\d:\d\d:\d{3}) \S+?channel \[0x\w+\]: "
            r"(message sent to|received \[\d+\] new bytes from)[^\n]*\n"
            r"(.*?)(?=\n(?:linphonec> )?\d{4}-\d\d-\d\d )",
            self.text,
            re.S,
        )
        blocks = [f"{at} {'<<' if how[0] == 'r' else '>>'} {text.strip()}" for at, how, text in found]
        errors = [line for line in self.text.splitlines() if "-error-" in line and "sound" not in line]
        return "\n\n".join(blocks[-12:] + errors[-10:] + [self.text[-600:]])

    def quit(self) -> None:
        """Begins to end: unregisters and quits."""
        with contextlib.suppress(AssertionError):
            self.say("quit")

    def stop(self, seconds: float = 5.0) -> None:
        self.quit()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        super().stop(seconds)
