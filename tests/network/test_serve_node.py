"""`clarion serve` as an operator meets it: start, ports, signals, and what is left behind."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from tests.stores import free_port

REGISTER = (
    "REGISTER sip:localhost SIP/2.0\r\n"
    "Via: SIP/2.0/{transport} 127.0.0.1:{port};branch=z9hG4bK{cseq};rport\r\n"
    "Max-Forwards: 70\r\n"
    "From: <sip:{user}@localhost>;tag=t\r\n"
    "To: <sip:{user}@localhost>\r\n"
    "Call-ID: {user}-call\r\n"
    "CSeq: {cseq} REGISTER\r\n"
    "Contact: <sip:{user}@127.0.0.1:{port}>\r\n"
    "Expires: 600\r\n"
    "User-Agent: Test/1\r\n"
    "Content-Length: 0\r\n\r\n"
)


class Serve:
    """One `clarion serve` without a configuration file, in a folder of its own, on free ports."""

    begun: ClassVar[list["Serve"]] = []

    def __init__(self, folder: Path, *words: str, **environment: str) -> None:
        self.folder = folder
        self.port, self.tls, self.internal = free_port(), free_port(), free_port()
        self.environment = {
            "CLARION_NODE_LISTEN": ",".join(
                f"{kind}:127.0.0.1:{port}"
                for kind, port in (("udp", self.port), ("tcp", self.port), ("tls", self.tls))
            ),
            "CLARION_NODE_INTERNAL": f"tcp:127.0.0.1:{self.internal}",
            "CLARION_NODE_DRAIN_TIMEOUT": "5",
            **environment,
        }
        self.words = words
        self.process: subprocess.Popen[str]
        self.output = ""

    def start(self) -> "Serve":
        self.begin()
        with socket.socket() as probe:
            probe.settimeout(0.2)
        deadline = time.monotonic() + 30
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if line.startswith("  stores"):
                return self
            assert time.monotonic() < deadline
        raise AssertionError(f"no start: {self.output}\n{self.errors()}")

    def begin(self) -> None:
        clarion = Path(sys.executable).with_name("clarion")
        log = (self.folder / "stderr").open("ab")
        self.process = subprocess.Popen(
            [str(clarion), "serve", *self.words],
            cwd=self.folder,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        log.close()
        self.begun.append(self)

    def errors(self) -> str:
        return (self.folder / "stderr").read_text()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(20)
        finally:
            if self.process.poll() is None:
                self.process.kill()
            assert self.process.stdout is not None
            self.process.stdout.close()

    def run(self, *words: str) -> str:
        """A clarion command in the same folder."""
        clarion = Path(sys.executable).with_name("clarion")
        done = subprocess.run(
            [str(clarion), *words], cwd=self.folder, env={**os.environ, **self.environment},
            capture_output=True, text=True, timeout=20,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def register(self, user: str, cseq: int = 1) -> str:
        """Over UDP; the answer."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.bind(("127.0.0.1", 0))
            phone.settimeout(5)
            port = phone.getsockname()[1]
            text = REGISTER.format(user=user, cseq=cseq, port=port, transport="UDP")
            phone.sendto(text.encode(), ("127.0.0.1", self.port))
            return phone.recv(65535).decode()


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """Also a test that fails ends the nodes that it began."""
    yield
    while Serve.begun:
        node = Serve.begun.pop()
        if node.process.poll() is None:
            node.process.kill()
            node.process.wait()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    node = Serve(tmp_path).start()
    yield node
    node.stop()


def test_without_a_file_it_serves_and_keeps_registrations_over_kill_9(serve: Serve) -> None:
    assert "sip:alice@localhost" in serve.output
    assert "clarion-data/ca/ca.pem" in serve.output
    assert serve.register("alice").startswith("SIP/2.0 200 ")

    rows = json.loads(serve.run("registrations", "alice@localhost", "--json"))
    assert [row["aor"] for row in rows] == ["alice@localhost"]
    assert "alice@localhost" in serve.run("registrations")
    status = json.loads(serve.run("status", "--json"))
    assert [member["name"] for member in status["members"]] == [status["node"]["name"]]
    assert status["counts"]["requests"] == {"REGISTER": 1}
    assert status["stores"] == {"redis": "connected", "etcd": "connected"}
    assert "serving" in serve.run("status")

    children = psutil.Process(serve.process.pid).children()
    assert len(children) == 2
    serve.process.kill()
    serve.stop()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert all(child.status() == psutil.STATUS_ZOMBIE for child in alive)

    serve.start()
    rows = json.loads(serve.run("registrations", "alice@localhost", "--json"))
    assert [row["user_agent"] for row in rows] == ["Test/1"]


def test_tls_with_the_development_ca(serve: Serve) -> None:
    context = ssl.create_default_context(cafile=str(serve.folder / "clarion-data" / "ca" / "ca.pem"))
    with (
        socket.create_connection(("127.0.0.1", serve.tls), 5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as phone,
    ):
        port = phone.getsockname()[1]
        phone.sendall(REGISTER.format(user="tina", cseq=1, port=port, transport="TLS").encode())
        assert phone.recv(65535).startswith(b"SIP/2.0 200 ")


def test_sigterm_drains_and_leaves_nothing(serve: Serve) -> None:
    children = psutil.Process(serve.process.pid).children()
    assert serve.stop() == 0
    assert psutil.wait_procs(children, timeout=5)[1] == []
    assert not (serve.folder / "clarion-data" / "admin.sock").exists()
    assert "draining" in serve.errors()


def test_a_second_node_in_the_folder_is_told_so_and_join_runs_beside_it(serve: Serve) -> None:
    other = Serve(serve.folder)
    other.begin()
    assert other.process.wait(20) == 1
    assert "is in use by the node with process id" in serve.errors()
    other.stop()

    beside = Serve(
        serve.folder, "--join", "clarion-data", CLARION_NODE_NAME="second", CLARION_NODE_DATA="second"
    ).start()
    try:
        serve.register("alice")
        rows = json.loads(beside.run("registrations", "alice@localhost", "--json"))
        assert len(rows) == 1
        assert "(trust " in beside.output
        assert "clarion-data/ca/ca.pem" in beside.output
    finally:
        assert beside.stop() == 0


def test_a_taken_port_names_the_option(tmp_path: Path) -> None:
    node = Serve(tmp_path)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", node.port))
        node.begin()
        assert node.process.wait(20) == 1
    assert f"clarion: [node] listen: udp:127.0.0.1:{node.port} is taken by another program" in node.errors()
    node.stop()


def test_a_wrong_option_is_exit_code_2(tmp_path: Path) -> None:
    node = Serve(tmp_path, CLARION_NODE_LISTEN="udp:nowhere")
    node.begin()
    assert node.process.wait(20) == 2
    assert "environment CLARION_NODE_LISTEN: [node] listen: expected" in node.errors()
    node.stop()


def test_open_mode_beyond_loopback_is_warned_of(tmp_path: Path) -> None:
    port = free_port()
    node = Serve(tmp_path, CLARION_NODE_LISTEN=f"udp:0.0.0.0:{port}").start()
    node.stop()
    assert f"[auth] mode is open and udp:0.0.0.0:{port} is not loopback" in node.errors()


def test_systemd_is_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        node = Serve(tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="200000").start()
        assert b"READY=1" in manager.recv(4096)
        assert manager.recv(4096) == b"WATCHDOG=1"
        assert manager.recv(4096) == b"WATCHDOG=1"
        node.process.send_signal(signal.SIGINT)
        while b"STOPPING=1" not in manager.recv(4096):
            pass
        assert node.process.wait(20) == 0
        node.stop()


def test_static_registrations_are_served_and_read_again_on_sighup(tmp_path: Path) -> None:
    file = tmp_path / "static"
    file.write_text("gateway@localhost sip:gw@192.0.2.9\nbroken line\n")
    node = Serve(tmp_path, CLARION_REGISTRAR_STATIC_FILE=str(file)).start()
    try:
        assert _eventually(lambda: "sip:gw@192.0.2.9" in node.run("registrations", "gateway@localhost"))
        assert "static_file: line 2" in node.errors()
        file.write_text("second@localhost sip:gw@192.0.2.10\n")
        node.process.send_signal(signal.SIGHUP)
        assert _eventually(lambda: "192.0.2.10" in node.run("registrations", "second@localhost"))
    finally:
        assert node.stop() == 0


def _eventually(true: Callable[[], bool], patience: float = 15.0) -> bool:
    end = time.monotonic() + patience
    while not true():
        if time.monotonic() > end:
            return False
    return True
