"""baresip, driven by JSON in netstrings over its control connection; no sound card, no DNS.

What the control connection reports is put into the same text that the program prints, one line per event,
so that `wait` sees both. baresip 1.0 does not verify certificates: a test about certificates needs
Linphone.
"""

import contextlib
import json
import signal
import socket
import threading
import time
from pathlib import Path

from tests.phones.program import DOMAIN, LOOPBACK, PATIENCE, Program, free_port, need

CONFIGURATION = """\
poll_method epoll
sip_listen {listen}
sip_cafile {ca}
call_max_calls {max_calls}
audio_source aufile,{folder}/silence.wav
audio_player aufile,{folder}/heard.wav
audio_alert aufile,/dev/null
net_interface {loopback}
module_path {modules}
module g711.so
module aufile.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app contact.so
module_app ctrl_tcp.so
ctrl_tcp_listen {control}
"""
ACCOUNT = '<sip:{user}@{domain};transport={transport}>;outbound="sip:{server}:{port};transport={transport}";'
ACCOUNT += "regint=300;audio_codecs=PCMU/8000/1\n"


def _modules() -> str:
    for folder in (Path("/usr/lib/baresip/modules"), Path("/usr/local/lib/baresip/modules")):
        if folder.is_dir():
            return str(folder)
    return "/usr/lib64/baresip/modules"


def _silence(path: Path, seconds: int = 60) -> None:
    """A WAV file of 8 kHz, 16 bit, mono."""
    size = seconds * 16000
    head = b"RIFF" + (36 + size).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    head += bytes.fromhex("01000100401f0000803e000002001000") + b"data" + size.to_bytes(4, "little")
    path.write_bytes(head + bytes(size))


class Baresip(Program):
    """One baresip with one account and, for messages, one other it may write to."""

    def __init__(
        self,
        folder: Path,
        user: str,
        transport: str,
        server: tuple[str, int],
        *,
        domain: str = DOMAIN,
        ca: Path | None = None,
        max_calls: int = 4,
        friend: str = "",
    ) -> None:
        program = need("baresip", "baresip-core")
        home = folder / f"baresip-{user}"
        home.mkdir()
        self.uri = f"sip:{user}@{domain}"
        _silence(home / "silence.wav")
        control = (LOOPBACK, free_port())
        (home / "config").write_text(
            CONFIGURATION.format(
                ca=ca or "/dev/null",
                loopback=LOOPBACK,
                listen=f"{LOOPBACK}:{free_port()}",
                max_calls=max_calls,
                folder=home,
                modules=_modules(),
                control=f"{control[0]}:{control[1]}",
            )
        )
        (home / "accounts").write_text(
            ACCOUNT.format(user=user, domain=domain, transport=transport, server=server[0], port=server[1])
        )
        (home / "contacts").write_text(f'"Friend" <{friend}>\n' if friend else "")
        super().__init__(f"baresip {user}", [program, "-s", "-v", "-f", str(home)], home, {"HOME": str(home)})
        self._control = self._connect(control)
        self._listener = threading.Thread(target=self._listen, name=f"events of {self.name}", daemon=True)
        self._listener.start()

    def _connect(self, address: tuple[str, int]) -> socket.socket:
        deadline = time.monotonic() + PATIENCE
        self.wait(r"ctrl_tcp", what="its control connection")
        while time.monotonic() < deadline and self.alive:
            with contextlib.suppress(ConnectionRefusedError):
                return socket.create_connection(address, PATIENCE)
        raise AssertionError(self.evidence("does not take a control connection"))

    def _listen(self) -> None:
        self._control.settimeout(None)
        data = b""
        with contextlib.suppress(OSError, ValueError):
            while more := self._control.recv(65536):
                data += more
                while b":" in data:
                    length, rest = data.split(b":", 1)
                    size = int(length)
                    if len(rest) <= size:
                        break
                    self._report(json.loads(rest[:size]))
                    data = rest[size + 1 :]

    def _report(self, report: dict[str, object]) -> None:
        if report.get("event"):
            line = " ".join(str(report.get(k, "")) for k in ("type", "direction", "peeruri", "param"))
        else:
            line = f"RESPONSE {report.get('ok')} {report.get('data')!r}"
        self.note(f"\n[control] {line}\n")

    def tell(self, command: str, parameters: str = "") -> None:
        """Gives one command; its outcome comes as an event."""
        body = json.dumps({"command": command, "params": parameters, "token": "t"}).encode()
        self._control.sendall(b"%d:%s," % (len(body), body))

    def registered(self, seconds: float = PATIENCE) -> None:
        """Waits until the registrar has accepted the account."""
        if "200 OK" not in self.text:
            self.wait(r"REGISTER_OK|\{\d+/\w+/v\d\} 200 OK", seconds, "its registration")

    def call(self, uri: str) -> None:
        self.tell("dial", uri)

    def wait_ringing(self, seconds: float = PATIENCE) -> None:
        self.wait(r"CALL_RINGING", seconds, "ringing at the other side")

    def wait_incoming(self, seconds: float = PATIENCE) -> str:
        """Callee: waits for a call; returns the URI of who calls."""
        return self.wait(r"CALL_INCOMING incoming (\S+)", seconds, "a call")[1]

    def answer(self) -> None:
        self.tell("accept")

    def wait_established(self, seconds: float = PATIENCE) -> None:
        self.wait(r"CALL_ESTABLISHED", seconds, "an established call")

    def decline(self) -> None:
        """Callee: refuses the call that rings (486)."""
        self.tell("hangup")

    def cancel(self) -> None:
        self.tell("hangup")

    def hang_up(self) -> None:
        self.tell("hangup")

    def wait_refused(self, seconds: float = PATIENCE) -> int:
        """Caller: waits for the final answer that refuses the call; returns its status."""
        return int(self.wait(r"CALL_CLOSED \w* \S* ([3-6]\d\d)", seconds, "a refusal")[1])

    def wait_ended(self, seconds: float = PATIENCE) -> None:
        self.wait(r"CALL_CLOSED", seconds, "the end of its call")

    def message(self, uri: str, text: str) -> None:
        """Sends a MESSAGE to the friend it was made with, the only one it can write to."""
        assert uri in (self.folder / "contacts").read_text(), "baresip writes only to its friend"
        self.tell("contact_next")
        self.tell("message", text)

    def wait_message(self, seconds: float = PATIENCE) -> tuple[str, str]:
        """Waits for a MESSAGE; returns its sender and text."""
        pattern = r"^MESSAGE sip:[^\x1b]*?^From: [^<]*<(sip:[^>]+)>[^\x1b]*?\r?\n\r?\n([^\x1b]*)\x1b"
        found = self.wait(pattern, seconds, "a message")
        return found[1], found[2].strip()

    def quit(self) -> None:
        """Begins to end: unregisters and quits."""
        self.signal(signal.SIGTERM)

    def stop(self, seconds: float = 5.0) -> None:
        super().stop(seconds)
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        self._listener.join(2)
        self._control.close()
